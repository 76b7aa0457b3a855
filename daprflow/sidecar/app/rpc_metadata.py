"""Headers of HTTP as metadata of gRPC and back, by the real runtime's rules."""

from daprflow.protocol.http import Headers
from daprflow.sidecar.channel.rpc import Metadata

_RENAMED = frozenset(
    {
        "accept", "accept-charset", "accept-language", "accept-ranges", "connection", "keep-alive",
        "proxy-connection", "transfer-encoding", "upgrade", "cache-control", "content-type",
        "content-length", "cookie", "date", "expect", "from", "host", "if-match",
        "if-modified-since", "if-none-match", "if-schedule-tag-match", "if-unmodified-since",
        "max-forwards", "origin", "pragma", "referer", "via", "warning",
    }
)  # fmt: skip
"""Headers that have a meaning for HTTP; an app gets them as ``dapr-…``."""

_NOT_SENT = frozenset({"destination-app-id", "te", "user-agent"})
_NOT_ANSWERED = frozenset({"content-length", "content-type", "destination-app-id"})


def metadata_of(headers: Headers) -> Metadata:
    """Return headers of an HTTP call as metadata for the app."""
    pairs: list[tuple[str, str | bytes]] = []
    for name, value in headers:
        if name in _NOT_SENT or name.endswith("-bin") or not _fits(name, value):
            continue
        key = f"dapr-{name}" if name in _RENAMED or name.startswith("grpc-") else name
        pairs.append((key, value))
    return tuple(pairs)


def headers_of(metadata: Metadata) -> Headers:
    """Return metadata of an app's answer as headers of an HTTP answer."""
    headers: list[tuple[str, str]] = []
    for name, value in metadata:
        if isinstance(value, bytes) or name in _NOT_ANSWERED:
            continue
        headers.append((f"dapr-{name}" if name.startswith("grpc-") else name, value))
    return tuple(headers)


def _fits(name: str, value: str) -> bool:
    """Tell whether a header can be metadata: the library refuses calls over one that cannot."""
    return (
        value.isascii()
        and value.isprintable()
        and all(char in "0123456789abcdefghijklmnopqrstuvwxyz_-." for char in name)
    )
