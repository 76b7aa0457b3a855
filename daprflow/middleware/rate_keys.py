"""Whose requests are counted together."""

from collections.abc import Callable, Sequence

from starlette.types import Scope

RateKey = Callable[[Scope], str]
"""Returns the part of a count's key that a request decides."""

CALLER = b"dapr-caller-app-id"
"""The header in which a sidecar says which app calls."""
_LONGEST = 128


def by_route(scope: Scope) -> str:
    """Count each verb and path for itself; of a route with parameters, the path as it is written.

    Where only the path as it came is known, at most 128 characters of it count.

    Args:
        scope: of the request.

    Returns:
        the verb and the path, such as ``GET /orders/{id}``.

    Example:
        ```python
        limit = Middleware(RateLimit, rule=TokenBucket(100), by=by_route)
        ```
    """
    path = getattr(scope.get("route"), "path", None) or scope["path"]
    return f"{scope['method']} {path[:_LONGEST]}"


def by_caller(scope: Scope) -> str:
    """Count each app for itself, by the ``dapr-caller-app-id`` that its sidecar sends.

    Requests without one, which came through no sidecar, count as one caller.

    Args:
        scope: of the request.

    Returns:
        the app's id; empty without one.

    Example:
        ```python
        limit = Middleware(RateLimit, rule=TokenBucket(100), by=by_caller)
        ```
    """
    found = b""
    for name, value in scope["headers"]:
        if name == CALLER:  # the last one, where a stranger sent several
            found = value
    return shortened(found)


def by_header(name: str) -> RateKey:
    """Count each value of a header for itself; requests without one are counted together.

    Callers choose headers: take one that something in front has checked.

    Args:
        name: of the header, in any case.

    Returns:
        what ``by`` of a rate limit takes.

    Example:
        ```python
        limit = Middleware(RateLimit, rule=TokenBucket(100), by=by_header("x-tenant"))
        ```
    """
    wanted = name.lower().encode("ascii")

    def key(scope: Scope) -> str:
        text: str = dict(scope["headers"]).get(wanted, b"")[:_LONGEST].decode("latin-1")
        return text

    return key


def joined(parts: Sequence[RateKey]) -> RateKey:
    """Return one key of several."""
    if len(parts) == 1:
        return parts[0]

    def key(scope: Scope) -> str:
        return "\n".join(part(scope) for part in parts)

    return key


def shortened(value: bytes) -> str:
    """Return a header's value as a part of a key, no longer than keys may be."""
    return str(value[:_LONGEST], "latin-1") if value else ""
