"""The details of a rich error, by their ``@type``: Google's error model, as Dapr uses it."""

import msgspec

_RPC = "type.googleapis.com/google.rpc."


class ErrorInfo(msgspec.Struct, frozen=True, tag_field="@type", tag=_RPC + "ErrorInfo"):
    """Why a call failed, for machines; ``metadata`` None is written as null."""

    domain: str = "dapr.io"
    metadata: dict[str, str] | None = None
    reason: str = ""


class ResourceInfo(msgspec.Struct, frozen=True, tag_field="@type", tag=_RPC + "ResourceInfo"):
    """The component a call failed on."""

    description: str = ""
    owner: str = ""
    resource_name: str = ""
    resource_type: str = ""


class FieldViolation(msgspec.Struct, frozen=True):
    """One wrong field of a request."""

    field: str
    description: str


class BadRequest(msgspec.Struct, frozen=True, tag_field="@type", tag=_RPC + "BadRequest"):
    """The wrong fields of a request."""

    field_violations: tuple[FieldViolation, ...] = ()


class HelpLink(msgspec.Struct, frozen=True):
    """A page that says more."""

    description: str
    url: str


class Help(msgspec.Struct, frozen=True, tag_field="@type", tag=_RPC + "Help"):
    """Pages that say more."""

    links: tuple[HelpLink, ...] = ()


Known = ErrorInfo | ResourceInfo | BadRequest | Help


class OtherDetail(msgspec.Struct, frozen=True):
    """A detail of a type that is not listed here.

    Attributes:
        type: its ``@type``; empty where it has none.
        json: the detail as it came.
    """

    type: str
    json: bytes


Detail = ErrorInfo | ResourceInfo | BadRequest | Help | OtherDetail


class _Typed(msgspec.Struct, frozen=True):
    type: str = msgspec.field(default="", name="@type")


_list = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
_known: msgspec.json.Decoder[Detail] = msgspec.json.Decoder(Known)
_typed = msgspec.json.Decoder(_Typed)


def decode(json: bytes | msgspec.Raw) -> tuple[Detail, ...]:
    """Read the details of an error body, none where they are no list."""
    try:
        return tuple(_detail(bytes(raw)) for raw in _list.decode(json))
    except msgspec.MsgspecError:
        return ()


def _detail(raw: bytes) -> Detail:
    try:
        return _known.decode(raw)
    except msgspec.MsgspecError:
        try:
            return OtherDetail(_typed.decode(raw).type, raw)
        except msgspec.MsgspecError:
            return OtherDetail("", raw)
