"""The ``baggage`` of a call, read as the real runtime reads it and sent back with the answer."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import msgspec

NAME = "baggage"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")
_UNFINISHED = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}")
_PLAIN = "!#$&'()*+-./:<=>?@[]^_`{|}~"


class BaggageError(ValueError):
    """Text that is no baggage; what is wrong is said in the runtime's words."""


def sent_baggage(metadata: Any) -> str | None:
    """Return what came as baggage with a call, several entries as one; None without any."""
    found = [value for name, value in metadata or () if name == NAME]
    return ",".join(found) if found else None


def echoed(text: str) -> str:
    """Return baggage as it goes back: each member once, the last one of its name.

    Raises:
        BaggageError: it is none.
    """
    if not text:
        return ""
    members: dict[str, str] = {}
    problems = []
    for member in text.split(","):
        try:
            key, value = _member(member)
        except BaggageError as problem:
            problems.append(str(problem))
        else:
            members[key] = value
    if problems:
        raise BaggageError("\n".join(problems))
    return ",".join(f"{key}={value}" for key, value in members.items())


def problem_of(text: str) -> str:
    """Return what is wrong with baggage; empty where nothing is."""
    try:
        echoed(text)
    except BaggageError as problem:
        return str(problem)
    return ""


def _member(text: str) -> tuple[str, str]:
    pair, semicolon, properties = text.partition(";")
    kept = [_property(each) for each in properties.split(";")] if semicolon else []
    key, equals, value = pair.partition("=")
    if not equals:
        raise BaggageError(f"invalid baggage list-member: {_quoted(text)}")
    key, bare = key.strip(), value.strip()
    if not _TOKEN.fullmatch(key):
        raise BaggageError(f"invalid key: {_quoted(key)}")
    if not _VALUE.fullmatch(bare):
        raise BaggageError(f"invalid value: {_quoted(value)}")
    if wrong := _UNFINISHED.search(bare):
        raise BaggageError(f"invalid value: invalid URL escape {_quoted(wrong[0])}")
    return key, ";".join((_escaped(bare), *kept))


def _property(text: str) -> str:
    if not text:
        return ""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    sound = _TOKEN.fullmatch(key) and _VALUE.fullmatch(value) and not _UNFINISHED.search(value)
    if not sound:
        raise BaggageError(f"invalid baggage list-member property: {_quoted(text)}")
    return f"{key}={_escaped(value)}" if equals else key


def _escaped(value: str) -> str:
    return quote(unquote_to_bytes(value), safe=_PLAIN)


def echo_of(metadata: Any) -> Iterable[tuple[str, str]]:
    """Return the metadata of an answer that sends a call's baggage back."""
    text = sent_baggage(metadata)
    back = echoed(text) if text else ""
    return ((NAME, back),) if back else ()


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
