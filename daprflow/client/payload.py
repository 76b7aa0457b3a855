"""Payloads as the client sends them: bytes, and the content type that says what they are."""

import msgspec

from daprflow.handlers import codec
from daprflow.protocol.http import JSON

BYTES = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"


class Payload(msgspec.Struct, frozen=True):
    """An encoded value."""

    body: bytes
    content_type: str


def encode(value: object, content_type: str | None = None) -> Payload:
    """Encode a value: bytes and text as they are, anything else as JSON.

    A content type that is given is believed; bytes and text may then already be JSON, XML or a
    CloudEvent.

    Raises:
        TypeError: the value has no JSON form.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return Payload(bytes(value), content_type or BYTES)
    if isinstance(value, str):
        return Payload(value.encode(), content_type or TEXT)
    return Payload(codec.encode(value), content_type or JSON)
