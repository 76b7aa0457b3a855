"""Values of a state store: what is written of them, and what is made of what was read."""

import math
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from daprflow.client.caller import Caller
from daprflow.handlers.codecs import NO_CODECS, Codecs

T = TypeVar("T")

EXACT = 2**53
"""The integers a runtime keeps: it reads numbers as doubles."""
BYTES_HEAD = b'"data:application/octet-stream;base64,'
"""How bytes begin that this client wrote: a JSON text that says what it is."""

_long_number = re.compile(rb"[0-9]{16}")
_plain = msgspec.json.Decoder()
_quoted = msgspec.json.Decoder(str)


def encode(value: object, what: str, codecs: Codecs = NO_CODECS) -> bytes:
    """Return the JSON that is written for ``value``.

    The runtime's HTTP API keeps JSON alone, so bytes become a text that holds them in base64.

    Raises:
        ValueError: an integer in it would come back as another one.
        TypeError: the value has no JSON form.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return BYTES_HEAD + b64encode(value) + b'"'
    document = codecs.encode(value)
    if _long_number.search(document) and not _exact(_plain.decode(document)):
        raise ValueError(
            f"{what} holds an integer beyond ±2^53, which a runtime would round; store it as text"
        )
    return document


def decode(caller: Caller, body: bytes, payload: type[T], what: str) -> T:
    """Return what was read as a ``payload``.

    Bytes come as they are stored, whoever wrote them, or out of the text that `encode` makes. Text
    is a JSON text, or what is stored as it is: other SDKs write text without quotes.

    Raises:
        msgspec.ValidationError: it is not a ``payload``; the text holds no part of it.
    """
    if payload in (bytes, str):
        return plain(body, payload, what)
    return caller.decode(body, payload, what)


def plain(body: bytes, payload: type[T], what: str) -> T:
    """Return what was read as bytes or text.

    Raises:
        msgspec.ValidationError: it is no text.
    """
    if payload is bytes:
        return _bytes(body)  # type: ignore[return-value]  # T is bytes
    return _text(body, what)  # type: ignore[return-value]  # T is str


def checked(key: str) -> str:
    """Return ``key``.

    Raises:
        ValueError: it is empty.
    """
    if not key:
        raise ValueError("a state key is empty; the runtime cannot address it")
    return key


def metadata_with(
    metadata: Mapping[str, str] | None, ttl: timedelta | None
) -> dict[str, str] | None:
    """Return request metadata with a time to live, None where there is neither.

    Raises:
        ValueError: ``ttl`` is not longer than 0.
    """
    found = dict(metadata) if metadata else {}
    if ttl is not None:
        found["ttlInSeconds"] = str(_seconds(ttl))
    return found or None


def _seconds(ttl: timedelta) -> int:
    seconds = math.ceil(ttl.total_seconds())
    if seconds <= 0:  # the runtime would take it for "for ever"
        raise ValueError(f"a state's ttl is {ttl}; it must be longer than 0")
    return seconds


def _bytes(body: bytes) -> bytes:
    if not (body.startswith(BYTES_HEAD) and body.endswith(b'"')):
        return body
    try:
        return b64decode(body[len(BYTES_HEAD) : -1], validate=True)
    except ValueError:
        return body


def _text(body: bytes, what: str) -> str:
    if body.startswith(b'"'):
        try:
            return _quoted.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass  # a text that begins with a quotation
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise msgspec.ValidationError(f"{what} is not 'str': {error.reason}") from None


def _exact(value: Any) -> bool:
    """Tell whether every integer in a JSON value survives being read as a double."""
    if isinstance(value, dict):
        return all(map(_exact, value.values()))
    if isinstance(value, list):
        return all(map(_exact, value))
    return not isinstance(value, int) or -EXACT <= value <= EXACT
