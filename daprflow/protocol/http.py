"""HTTP messages as values, for both directions: app to sidecar and sidecar to app."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

Headers = tuple[tuple[str, str], ...]
"""Header pairs in order; names are lower-case."""

JSON = "application/json"
CLOUDEVENTS_JSON = "application/cloudevents+json"


class HttpRequest(msgspec.Struct, frozen=True):
    """One request whose body is at hand.

    Attributes:
        method: upper-case verb.
        target: path with query, percent-encoded, as it stands in the request line.
    """

    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""


class HttpResponse(msgspec.Struct, frozen=True):
    """One response whose body is at hand."""

    status: int
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str, default: str = "") -> str:
        """Return the first value of the header called ``name`` (lower-case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return default


@dataclass(frozen=True, slots=True)
class StreamedRequest:
    """One request whose body arrives in pieces; ``length`` is None where it is not known."""

    method: str
    target: str
    headers: Headers
    chunks: AsyncIterator[bytes]
    length: int | None = None


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """One response whose body arrives in pieces; ``close`` gives up the rest.

    Attributes:
        final: whether no policy takes it for a failure, whatever its status.
    """

    status: int
    headers: Headers
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    final: bool = False


class Exchange(Protocol):
    """Something that carries a request to a peer and brings back its response."""

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Carry ``request``; errors of the connection are the implementation's own."""
        ...
