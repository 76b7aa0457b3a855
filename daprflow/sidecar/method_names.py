"""Names of methods of apps: what they may not hold, and what is left of them."""

import posixpath


def problem_of(method: str) -> str | None:
    """Return what a method may not hold, in the real runtime's words; None where it is fine."""
    shown = method.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    if any(char in "#?\0" for char in method):
        return f'forbidden character: "{shown}"'
    for at, char in enumerate(method):
        if char < " " or char == "\x7f":
            return f'control character at position {at}: "{shown}"'
    return None


def cleaned(method: str) -> str:
    """Return ``method`` without what leads nowhere: doubled slashes, dots, a slash at the end."""
    path = posixpath.normpath(method) if method else ""
    if path.startswith("//"):
        path = path[1:]  # POSIX leaves two slashes at the beginning alone
    while path.startswith("../"):
        path = path[3:]
    return "" if path in {".", ".."} else path
