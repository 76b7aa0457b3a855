"""Reads protobuf's JSON form, which the runtime takes on its newer HTTP routes."""

from functools import cache
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")


class ProtoJsonError(ValueError):
    """A body is not the JSON form of its message; the text says why and holds no value of it."""


def read_message(message: type[T], body: bytes) -> T:
    """Decode ``body`` as ``message``, a Struct with camel-case names on the wire.

    As protobuf does it: a name may come in camel or snake case, an unknown one is passed over,
    null and an empty body leave defaults, a 64-bit number may be a string.

    Raises:
        ProtoJsonError: the body is no JSON object, or a field has another type.
    """
    if not body.strip():
        body = b"{}"
    try:
        value = msgspec.json.decode(body)
        kind = _described(cast("Any", message))
        return msgspec.convert(_fit(value, kind), message, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else error
        raise ProtoJsonError(str(reason)) from None


@cache
def _described(message: Any) -> Any:
    from msgspec import inspect  # noqa: PLC0415 - costs an import that few runs need

    return inspect.type_info(message)


def _fit(value: Any, kind: Any) -> Any:
    """Return ``value`` with the names that the described type has, and without nulls."""
    from msgspec import inspect  # noqa: PLC0415 - loaded already

    if isinstance(kind, inspect.UnionType):
        kind = next(part for part in kind.types if not isinstance(part, inspect.NoneType))
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        return _fields(value, kind)
    if isinstance(kind, inspect.VarTupleType) and isinstance(value, list):
        return [_fit(item, kind.item_type) for item in value]
    return value


def _fields(value: dict[str, Any], kind: Any) -> dict[str, Any]:
    fitted: dict[str, Any] = {}
    for field in kind.fields:
        name = field.encode_name if field.encode_name in value else field.name
        if value.get(name) is not None:
            fitted[field.encode_name] = _fit(value[name], field.type)
    return fitted
