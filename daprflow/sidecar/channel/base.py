"""The app channel: the one seam through which the sidecar reaches an app."""

from typing import Protocol

from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest, StreamedResponse


class AppUnreachable(Exception):  # noqa: N818 - named for the state
    """The app did not answer: not listening, connection lost, or an answer that is not HTTP."""


class AppAway(AppUnreachable):
    """Nothing of the call reached the app: it does not listen, or the call was not begun."""


class AppChannel(Protocol):
    """A way to one app.

    Implementations add ``dapr-api-token`` (from ``APP_API_TOKEN``) themselves and raise
    `AppUnreachable` when no proper answer comes.
    """

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app and collect its answer."""
        ...

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Call the app with bodies in pieces both ways (service invocation)."""
        ...

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Make a health probe: without a token, past the limit on concurrent calls."""
        ...

    async def probe(self) -> bool:
        """Tell whether the app accepts a connection now."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...
