"""Payloads as the client sends them: bytes, and the content type that says what they are."""

import msgspec

from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.protocol.http import JSON

BYTES = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"


class Payload(msgspec.Struct, frozen=True):
    """An encoded value."""

    body: bytes
    content_type: str


def encode(value: object, content_type: str | None = None, codecs: Codecs = NO_CODECS) -> Payload:
    """Encode a value: bytes and text as they are, by a content codec, anything else as JSON.

    A content type that is given is believed; bytes and text may then already be JSON, XML or a
    CloudEvent.

    Raises:
        TypeError: the value has no JSON form.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return Payload(bytes(value), content_type or BYTES)
    if isinstance(value, str):
        return Payload(value.encode(), content_type or TEXT)
    content = codecs.content_of(type(value)) if codecs.has_contents else None
    if content is not None:
        return Payload(content.write(value), content_type or content.content_type)
    return Payload(codecs.encode(value), content_type or JSON)


def event(value: object, content_type: str | None = None, codecs: Codecs = NO_CODECS) -> Payload:
    """Encode the data of an event, which a sidecar puts into an envelope.

    It takes every content type but JSON and ``application/octet-stream`` for text, and would
    mangle what is binary; so what a content codec writes as bytes goes as the latter.

    Raises:
        TypeError: the value has no JSON form.
    """
    content = codecs.content_of(type(value)) if codecs.has_contents else None
    if content is None or content_type is not None:
        return encode(value, content_type, codecs)
    body = content.encode(value)
    if isinstance(body, str):
        return Payload(body.encode(), content.content_type)
    return Payload(bytes(body), BYTES)
