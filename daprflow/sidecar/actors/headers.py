"""Headers on their way to an actor and back: which travel, and how Go writes their names."""

from collections.abc import Iterable

from daprflow.protocol.actors import REENTRANCY_ID
from daprflow.protocol.http import Headers

_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
        "http2-settings", "te", "trailer", "proxy-authorization", "proxy-authenticate",
        "content-length",
    }
)  # fmt: skip
_ENDS_HERE = _HOP_BY_HOP | {
    "host", "destination-app-id", "dapr-api-call", "dapr-caller-app-id", "dapr-caller-namespace",
    "traceparent", "tracestate", REENTRANCY_ID,
}  # fmt: skip
_KEPT_BACK = "dapr-api-token"


def to_actor(headers: Iterable[tuple[str, str]], *, secret: bool) -> list[tuple[str, str]]:
    """Return what of a caller's headers goes to an actor; its trace and its turn go beside them.

    Args:
        headers: names in lower case.
        secret: whether the API token must stay here.
    """
    kept = [
        (name, value)
        for name, value in headers
        if name not in _ENDS_HERE
        and not name.endswith("-bin")
        and not (secret and name == _KEPT_BACK)
    ]
    named = _nominated(headers)
    return [pair for pair in kept if pair[0] not in named] if named else kept


def to_caller(headers: Headers) -> list[tuple[str, str]]:
    """Return what of an actor's answer goes to its caller."""
    dropped = _HOP_BY_HOP | _nominated(headers)
    return [(name, value) for name, value in headers if name not in dropped]


def canonical(name: str) -> str:
    """Return a header's name as Go writes it: ``X-Foo`` for ``x-foo``."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def _nominated(headers: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the names that a ``connection`` header lists."""
    return frozenset(
        token.strip().lower()
        for name, value in headers
        if name == "connection"
        for token in value.split(",")
    )
