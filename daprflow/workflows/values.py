"""The values that travel with a workflow: JSON text on the wire, declared types in the code."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from daprflow.addresses import Activity, Workflow, type_name
from daprflow.handlers.codecs import NO_CODECS, Codecs

Decode = Callable[[str | None], Any]


@dataclass(frozen=True, slots=True)
class Callee:
    """An activity or a workflow as it is called.

    Attributes:
        app_id: empty for the own app.
        input: what its input is called in messages.
        decode: makes a value of its result.
    """

    name: str
    app_id: str
    input: str
    decode: Decode


class Values:
    """Encodes values and makes decoders, each once.

    Attributes:
        is_own: whether a handle is one of the app that runs. The runtime may know that app under
            another id than its code does.
    """

    __slots__ = ("_callees", "_codecs", "_decoders", "is_own")

    def __init__(
        self, codecs: Codecs = NO_CODECS, is_own: Callable[[Any], bool] = lambda _: False
    ) -> None:
        self._codecs = codecs
        self.is_own: Callable[[Any], bool] = is_own
        self._decoders: dict[Any, Decode] = {}
        self._callees: WeakKeyDictionary[Any, Callee] = WeakKeyDictionary()

    def encode(self, value: Any, what: str) -> str | None:
        """Return a value as JSON text; None is no text at all.

        Raises:
            TypeError: it has no JSON form; the text names its type.
        """
        if value is None:
            return None
        try:
            return self._codecs.encode(value).decode()
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            kind = type_name(type(value))
            why = "write 'await' before it" if isinstance(value, Awaitable) else error
            raise TypeError(f"{what} is of type '{kind}', which cannot be kept: {why}") from None

    def callee(self, handle: Activity[Any, Any] | Workflow[Any, Any]) -> Callee:
        """Return what calling an activity or a workflow needs, prepared once.

        Raises:
            ValueError: it is a version of a workflow that starts no new instances.
            TypeError: it is neither.
        """
        try:
            known = self._callees.get(handle)
        except TypeError:  # no weak reference: it is none of ours
            known = None
        if known is None:
            if not isinstance(handle, Activity | Workflow):
                raise TypeError(
                    f"a value of type '{type_name(type(handle))}' is called as an activity or a "
                    "workflow; give what '@app.activity' or '@app.workflow' returned, or an "
                    "Activity or a Workflow that names one"
                )
            noun = "activity" if isinstance(handle, Activity) else "workflow"
            who = f"{noun} '{handle.name}'"
            decode = self.decoder(handle.returns, f"the result of {who}")
            if isinstance(handle, Workflow):
                refuse_replaced(handle)
            app_id = "" if self.is_own(handle) else handle.app_id
            known = Callee(handle.name, app_id, f"the input of {who}", decode)
            self._callees[handle] = known
        return known

    def decoder(self, wanted: Any, what: str) -> Decode:
        """Return what decodes JSON text to a type.

        It raises ``ValueError`` for text that does not fit, naming ``what`` and holding no part of
        it.
        """
        key = (_key(wanted), what)
        known = self._decoders.get(key)
        if known is None:
            known = self._decoders[key] = self._made(wanted, what)
        return known

    def _made(self, wanted: Any, what: str) -> Decode:
        if wanted in (None, type(None)):
            return _nothing
        decode = self._codecs.decoder(wanted).decode

        def decoded(text: str | None) -> Any:
            try:
                return decode(text or "null")
            except (msgspec.MsgspecError, ValueError) as error:
                found = "is missing" if not text else f"does not fit: {_reason(error)}"
                raise ValueError(f"{what}, a '{type_name(wanted)}', {found}") from None

        return decoded


def refuse_replaced(workflow: Workflow[Any, Any]) -> None:
    """Refuse a version that starts no new instances: the runtime is told a name, and no version.

    Raises:
        ValueError: another version is the default.
    """
    default: str | None = getattr(workflow, "replaced_by", None)
    if default is not None:
        which = (
            f"version '{workflow.version}'" if workflow.version else "the version without a name"
        )
        other = f"version '{default}'" if default else "the version without a name"
        raise ValueError(
            f"{which} of workflow '{workflow.name}' begins no new instances, since {other} is the "
            "default; start that one, or give this one a name of its own"
        )


def _nothing(_: str | None) -> None:
    """Decode to nothing, whatever came."""


def _key(wanted: Any) -> Any:
    try:
        hash(wanted)
    except TypeError:
        return repr(wanted)
    return wanted


def _reason(error: Exception) -> str:
    if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
        return "it is not JSON"
    return str(error)
