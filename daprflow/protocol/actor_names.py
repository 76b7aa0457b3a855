"""What may be the name of an actor, of its methods, timers and reminders."""

_IN_NO_NAME = frozenset("#?\0/\\")
_IN_NO_METHOD = frozenset("#?\0")


def name_problem(name: str) -> str:
    """Return why ``name`` cannot be that of a type, an actor, a timer or a reminder; else nothing.

    The text is the real runtime's.
    """
    if not _IN_NO_NAME.isdisjoint(name):
        return f"name contains forbidden character: {quoted(name)}"
    if name in {".", ".."}:
        return f"name is a path traversal sequence: {quoted(name)}"
    return _control_problem("name", name)


def method_problem(method: str) -> str:
    """Return why ``method`` cannot be called, in the real runtime's words; else nothing."""
    if not _IN_NO_METHOD.isdisjoint(method):
        return f"method contains forbidden character: {quoted(method)}"
    return _control_problem("method", method)


def plain_method(method: str) -> str:
    """Return ``method`` without empty parts, dots and what leads out of it."""
    if "/" not in method and method not in {".", ".."}:
        return method
    kept: list[str] = []
    for part in method.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in {"", "."}:
            kept.append(part)
    rooted = "/" if method.startswith("/") else ""
    return rooted + "/".join(kept)


def quoted(text: str) -> str:
    """Return ``text`` in quotes, with what cannot be seen escaped."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
    return f'"{shown}"'


def _control_problem(what: str, text: str) -> str:
    if text.isprintable():
        return ""
    for char in text:
        if char < " " or char == "\x7f":
            at = len(text[: text.index(char)].encode())
            return f"{what} contains control character at position {at}: {quoted(text)}"
    return ""
