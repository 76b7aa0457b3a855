"""Names that the runtime refuses or mangles for actors, in a form that reaches the app whole.

Since 1.17 it refuses ``#``, ``?``, ``/``, a backslash and control characters in the ids of actors
and in the names of reminders and timers. It also puts names into the path of its calls of the app
as they are, so that ``%2F`` arrives there decoded. Sent as ``%2F``, a slash comes through; all
other names but those with ``%`` stay as they are, so that other SDKs see the same ones.
"""

import re

_NAME = r"[#%?/\\\x00-\x1f\x7f]"
_METHOD = r"[#%?\\\x00-\x1f\x7f]"


def escaped(name: str) -> str:
    """Return the name of an actor, a reminder or a timer as the runtime takes it."""
    if name.isalnum():
        return name
    if name in {".", ".."}:
        return name.replace(".", "%2E")
    return re.sub(_NAME, _escape, name)


def escaped_method(name: str) -> str:
    """Return the name of a method as the runtime takes it."""
    return name if name.isidentifier() else re.sub(_METHOD, _escape, name)


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"
