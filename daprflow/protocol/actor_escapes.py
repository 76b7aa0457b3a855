"""Names that the runtime refuses for actors, in a form that it takes and an app takes back.

Since 1.17 it refuses ``#``, ``?``, ``/``, a backslash and control characters in the ids of actors
and in the names of reminders and timers. They travel as ``%2F`` and the like; other names stay as
they are, so that other SDKs see the same ones.
"""

import re

_REFUSED = r"[#?/\\\x00-\x1f\x7f]"
_ESCAPED = r"%(?:23|3F|2F|5C|25|2E|7F|[01][0-9A-F])"


def escaped(name: str) -> str:
    """Return a name as the runtime takes it."""
    if name.isalnum():
        return name
    if name in {".", ".."}:
        return name.replace(".", "%2E")
    return re.sub(f"{_REFUSED}|%(?=(?:23|3F|2F|5C|25|2E|7F|[01][0-9A-F]))", _escape, name)


def unescaped(name: str) -> str:
    """Return a name as it was given."""
    if "%" not in name:
        return name
    return re.sub(_ESCAPED, lambda found: chr(int(found[0][1:], 16)), name)


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"
