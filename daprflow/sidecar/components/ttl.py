"""Integers and time-to-live values as Go reads them, with Go's error texts."""

import msgspec

from daprflow.sidecar.components.base import ComponentError

_LARGEST = 2**31 - 1
_LIMIT = 2**63


def parse_int(text: str, function: str) -> int:
    """Read a decimal integer as Go's ``strconv`` does.

    Raises:
        ComponentError: with the words of ``strconv.<function>``.
    """
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not (digits.isascii() and digits.isdigit()):
        quoted = msgspec.json.encode(text).decode()
        raise ComponentError(f"strconv.{function}: parsing {quoted}: invalid syntax")
    number = int(text)
    if not -_LIMIT <= number < _LIMIT:
        quoted = msgspec.json.encode(text).decode()
        raise ComponentError(f"strconv.{function}: parsing {quoted}: value out of range")
    return number


def require_ttl(ttl: int) -> int | None:
    """Return ``ttl`` in seconds, None for "never" (-1 and 0).

    Raises:
        ComponentError: it is below -1 or too large.
    """
    if not -1 <= ttl <= _LARGEST:
        raise ComponentError("incorrect value for metadata 'ttlInSeconds': must be -1 or greater")
    return ttl if ttl > 0 else None


def parse_sql_ttl(text: str) -> int | None:
    """Read ``ttlInSeconds`` as the stores on SQL databases do; None means never.

    Raises:
        ComponentError: in those stores' words.
    """
    try:
        return require_ttl(parse_int(text, "ParseInt"))
    except ComponentError as error:
        reason = str(error)
        if reason.startswith("strconv"):
            reason = f"incorrect value for metadata 'ttlInSeconds': {reason}"
        raise ComponentError(f"error parsing TTL: {reason}") from None
