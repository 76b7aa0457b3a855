"""Codecs: types and content types of the user's own, registered once for app and client."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from daprflow.addresses import type_name
from daprflow.handlers import codec
from daprflow.protocol.http import CLOUDEVENTS_JSON, JSON

T = TypeVar("T")

_RESERVED = frozenset({JSON, CLOUDEVENTS_JSON})


@dataclass(frozen=True, slots=True)
class JsonCodec(Generic[T]):
    """How a class that msgspec does not know stands inside JSON.

    ``JsonCodec(Money, encode=str, decode=Money.parse)`` works wherever a `Money` occurs: as a
    payload, in a field, in a list, in a query parameter.

    Attributes:
        kind: the class; its subclasses are encoded, too.
        encode: makes of a value what JSON has: text, a number, a list, a mapping, or anything else
            that can be encoded.
        decode: makes a value of that. Whatever it raises counts as data that does not fit; the
            error's text is not passed on, since it may quote the data.

    Example:
        ```python
        tables = JsonCodec(Table, encode=lambda table: table.text, decode=Table)
        shop = DaprFlow("shop", codecs=Codecs(tables))
        ```
    """

    kind: type[T]
    encode: Callable[[T], Any] = field(kw_only=True)
    decode: Callable[[Any], T] = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class ContentCodec(Generic[T]):
    """How a class travels as a whole body of a content type other than JSON.

    Inside JSON (in state, in a list, beside other fields) its bytes stand as base64 text.

    Attributes:
        content_type: such as ``application/x-protobuf``.
        kind: the class, or the common base of all of them.
        encode: makes bytes of a value; text, for a content type that is text.
        decode: makes a value of bytes, given the class that is wanted. Whatever it raises counts
            as data that does not fit; the error's text is not passed on.

    Example:
        ```python
        text = ContentCodec(
            "text/csv",
            Table,
            encode=lambda table: table.text,
            decode=lambda body, kind: kind(body.decode()),
        )
        shop = DaprFlow("shop", codecs=Codecs(text))
        ```
    """

    content_type: str
    kind: type[T]
    encode: Callable[[T], bytes | str] = field(kw_only=True)
    decode: Callable[[bytes, type[T]], T] = field(kw_only=True)

    def read(self, body: bytes, wanted: type[T]) -> T:
        """Decode a body.

        Raises:
            ValueError: it does not fit; the text holds no part of it.
        """
        try:
            return self.decode(body, wanted)
        except Exception as error:  # noqa: BLE001 - a user's decoder raises what it likes
            reason = f"no '{type_name(wanted)}' in {self.content_type}: {type(error).__name__}"
            raise ValueError(reason) from None

    def write(self, value: T) -> bytes:
        """Encode a value."""
        body = self.encode(value)
        return body.encode() if isinstance(body, str) else bytes(body)


class Codecs:
    """The codecs of an app or a client; give both the same one.

    ``codecs = Codecs(JsonCodec(...), ContentCodec(...))``, then ``DaprFlow("shop",
    codecs=codecs)``, whose handlers and injected client use it, and ``Client(codecs=codecs)`` for a
    client that stands alone. It never changes.

    Raises:
        ValueError: a class is registered twice or needs no codec, or a content type is JSON.

    Example:
        ```python
        codecs = Codecs(JsonCodec(Table, encode=lambda table: table.text, decode=Table))
        shop = DaprFlow("shop", codecs=codecs)
        client = Client(codecs=codecs)
        ```
    """

    __slots__ = ("_contents", "_json", "decode_other", "encode", "encode_other")

    def __init__(self, *codecs: JsonCodec[Any] | ContentCodec[Any]) -> None:
        self._json: Mapping[type, JsonCodec[Any]] = _by_kind(codecs, JsonCodec)
        self._contents: Mapping[type, ContentCodec[Any]] = _by_kind(codecs, ContentCodec)
        for each in self._json.values():
            _check_json(each)
        for content in self._contents.values():
            _check_content(content)
        # Without codecs, the hooks are the plain ones: nobody pays for what is not registered.
        self.encode_other: Callable[[Any], Any] = self._encode if codecs else codec.encode_other
        self.decode_other: Callable[[type[Any], Any], Any] = (
            self._decode if codecs else codec.decode_other
        )
        self.encode: Callable[[Any], bytes] = msgspec.json.Encoder(
            enc_hook=self.encode_other
        ).encode

    @property
    def has_contents(self) -> bool:
        """Whether any class has a content type of its own."""
        return bool(self._contents)

    def content_of(self, payload: Any) -> ContentCodec[Any] | None:
        """Return the codec of bodies that are a ``payload``; None where they are JSON."""
        return _nearest(self._contents, payload) if self._contents else None

    def decoder(self, payload: Any) -> msgspec.json.Decoder[Any]:
        """Return a JSON decoder for ``payload``."""
        return msgspec.json.Decoder(payload, dec_hook=self.decode_other)

    def knows(self, kind: Any) -> bool:
        """Whether a class has a codec here."""
        return kind in self._json or self.content_of(kind) is not None

    def undecodable(self, payload: Any) -> str:
        """Return why nothing can become ``payload``; empty when something can."""
        return "" if self.content_of(payload) else codec.undecodable(payload, self.knows)

    def unencodable(self, answer: Any) -> str:
        """Return why a value of type ``answer`` can never be sent; empty when it may be."""
        return "" if self.content_of(answer) else codec.unencodable(answer, self._encodes)

    def _encodes(self, kind: Any) -> bool:
        return _nearest(self._json, kind) is not None or self.content_of(kind) is not None

    def _encode(self, value: Any) -> Any:
        kind = type(value)
        known = _nearest(self._json, kind)
        if known is not None:
            return known.encode(value)
        content = self.content_of(kind)
        return codec.encode_other(value) if content is None else content.write(value)

    def _decode(self, wanted: type[Any], value: Any) -> Any:
        if isinstance(value, wanted):
            return value
        known = self._json.get(wanted)
        if known is not None:
            return _decoded(known, value)
        content = self.content_of(wanted)
        if content is None:
            return codec.decode_other(wanted, value)
        return content.read(msgspec.convert(value, bytes), wanted)


def _by_kind(codecs: tuple[Any, ...], wanted: type[Any]) -> dict[type, Any]:
    found: dict[type, Any] = {}
    for each in codecs:
        if not isinstance(each, JsonCodec | ContentCodec):
            text = f"Codecs takes JsonCodec and ContentCodec, not '{type_name(type(each))}'"
            raise TypeError(text)
        if not isinstance(each, wanted):
            continue
        if each.kind in found:
            raise ValueError(f"'{type_name(each.kind)}' has two codecs of one sort; keep one")
        found[each.kind] = each
    return found


def _check_json(each: JsonCodec[Any]) -> None:
    if not codec.is_foreign(each.kind):
        raise ValueError(
            f"'{type_name(each.kind)}' is encoded as JSON without a codec; a JsonCodec is for "
            "classes that msgspec does not know"
        )


def _check_content(each: ContentCodec[Any]) -> None:
    media = each.content_type.partition(";")[0].strip().lower()
    if "/" not in media or media in _RESERVED:
        raise ValueError(
            f"the content type '{each.content_type}' of '{type_name(each.kind)}' cannot be "
            "registered; it must be a media type, and not JSON, which needs no codec"
        )


def _nearest(codecs: Mapping[type, Any], kind: Any) -> Any:
    """Return the codec of a class or of its nearest base."""
    if not codecs or not isinstance(kind, type):
        return None
    return next((codecs[base] for base in kind.__mro__ if base in codecs), None)


def _decoded(known: JsonCodec[Any], value: Any) -> Any:
    try:
        return known.decode(value)
    except Exception as error:  # noqa: BLE001 - a user's decoder raises what it likes
        reason = f"Expected `{type_name(known.kind)}`: {type(error).__name__}"
        raise ValueError(reason) from None


NO_CODECS = Codecs()
"""What every type that needs no codec is encoded with."""
