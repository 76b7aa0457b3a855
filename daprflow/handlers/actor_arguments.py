"""The arguments of an actor's method as a body, and as the data of a tick."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from daprflow.handlers.codecs import Codecs
from daprflow.handlers.decoding import Undecodable, json_body
from daprflow.handlers.signature import MISSING, Argument
from daprflow.protocol.envelopes import OCTET_STREAM
from daprflow.protocol.http import JSON


class Arguments:
    """How the arguments of one method travel: none is no body, one its JSON, more a JSON array.

    A single argument of type `bytes` is the body itself.

    Attributes:
        content_type: of a body.
    """

    __slots__ = ("_codecs", "_declared", "_json", "_required", "content_type")

    def __init__(self, declared: Sequence[Argument], codecs: Codecs) -> None:
        self._declared = tuple(declared)
        self._codecs = codecs
        self._required = sum(each.default is MISSING for each in declared)
        is_raw = len(self._declared) == 1 and self._declared[0].type is bytes
        self.content_type = OCTET_STREAM if is_raw else JSON
        self._json = _decoder(self._declared, codecs)

    def bound(self, given: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return arguments in order.

        Raises:
            TypeError: there are too many or too few, or one is not known.
        """
        values = list(given)
        for each in self._declared[len(given) :]:
            if each.name in named:
                values.append(named[each.name])
            elif each.default is MISSING:
                break
            elif set(named) & {later.name for later in self._declared[len(values) + 1 :]}:
                values.append(each.default)
            else:
                break
        if not self._required <= len(values) <= len(self._declared) or len(values) < len(
            given
        ) + len(named):
            raise TypeError(f"it takes {self._described()}")
        return tuple(values)

    def body(self, values: tuple[Any, ...]) -> bytes:
        """Return arguments as a body.

        Raises:
            TypeError: one has no JSON form.
        """
        if self.content_type is OCTET_STREAM and values:
            return bytes(values[0])
        return self.document(values)

    def document(self, values: tuple[Any, ...]) -> bytes:
        """Return arguments as JSON; nothing for none.

        Raises:
            TypeError: one has no JSON form.
        """
        if len(self._declared) > 1:
            return self._codecs.encode(values)
        return self._codecs.encode(values[0]) if values else b""

    def read_body(self, body: bytes) -> tuple[Any, ...]:
        """Return the arguments that a body holds.

        Raises:
            Undecodable: they do not fit.
        """
        if self.content_type is OCTET_STREAM:
            return (body,)
        return self.read_document(body)

    def read_document(self, document: bytes) -> tuple[Any, ...]:
        """Return the arguments that a JSON document holds.

        Raises:
            Undecodable: they do not fit.
        """
        if not self._declared or not (document or self._required):
            return ()
        try:
            return self._json(document)
        except Undecodable as error:
            raise Undecodable(f"it takes {self._described()}: {error}") from None

    def _described(self) -> str:
        names = [
            f"'{each.name}'" + ("" if each.default is MISSING else " (optional)")
            for each in self._declared
        ]
        return ", ".join(names) or "nothing"


def _decoder(declared: Sequence[Argument], codecs: Codecs) -> Callable[[bytes], tuple[Any, ...]]:
    if len(declared) == 1:
        one = json_body(declared[0].type, codecs)
        return lambda document: (one(document),)
    fields = [_field(each) for each in declared]
    shape = msgspec.defstruct("Arguments", fields, array_like=True, forbid_unknown_fields=True)
    several = json_body(shape, codecs)
    return lambda document: msgspec.structs.astuple(several(document))


def _field(argument: Argument) -> tuple[str, Any] | tuple[str, Any, Any]:
    if argument.default is MISSING:
        return (argument.name, argument.type)
    default = argument.default
    return (argument.name, argument.type, msgspec.field(default_factory=lambda: default))
