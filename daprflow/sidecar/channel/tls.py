"""The app channel over TLS, through aiohttp."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from daprflow.protocol.http import (
    Headers,
    HttpRequest,
    HttpResponse,
    StreamedRequest,
    StreamedResponse,
)
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.channel.probing import accepts_connections, unverified

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

CHUNK = 64 * 1024


class TlsChannel:
    """Calls an app over HTTPS; as with the real runtime, its certificate is not verified.

    Args:
        host: address of the app.
        port: where it listens.
        app_token: sent as ``dapr-api-token``; None sends none.
        max_concurrency: calls at one time; None means no limit, probes pass it by.
        head_limit: bytes of one header line of an answer.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        app_token: str | None = None,
        max_concurrency: int | None = None,
        head_limit: int = 4096,
    ) -> None:
        self._host = host
        self._port = port
        self._origin = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._token: Headers = () if app_token is None else (("dapr-api-token", app_token),)
        self._slots = asyncio.Semaphore(max_concurrency) if max_concurrency else None
        self._head_limit = head_limit
        self._session: ClientSession | None = None

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app and collect its answer.

        Raises:
            AppAway: the app does not listen.
            AppUnreachable: no sound answer came.
        """
        async with self._slots or contextlib.nullcontext():
            return await self._send(request, self._token)

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Make a health probe: without the token, past the limit on concurrent calls."""
        return await self._send(request, ())

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Call the app with bodies in pieces both ways.

        Raises:
            AppAway: the app does not listen.
            AppUnreachable: no sound answer came.
        """
        if self._slots is not None:
            await self._slots.acquire()
        try:
            headers = (*request.headers, *self._token)
            if request.length is not None:
                headers = (*headers, ("content-length", str(request.length)))
            body = None if request.length == 0 else request.chunks
            response = await self._request(request.method, request.target, headers, body)
        except BaseException:
            self._give_slot()
            raise

        give_back = self._once()

        async def close() -> None:
            response.close()
            give_back()

        return StreamedResponse(
            response.status, _headers(response), self._chunks(response, give_back), close
        )

    async def probe(self) -> bool:
        """Tell whether the app completes a TLS handshake now."""
        return await accepts_connections(self._host, self._port, tls=True)

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(self, request: HttpRequest, token: Headers) -> HttpResponse:
        from aiohttp import ClientError  # noqa: PLC0415 - only apps with TLS need aiohttp

        headers = (*request.headers, *token)
        response = await self._request(
            request.method, request.target, headers, request.body or None
        )
        try:
            return HttpResponse(response.status, _headers(response), await response.read())
        except ClientError as error:
            raise AppUnreachable(f"the app's answer broke off: {error}") from error
        finally:
            response.release()

    async def _request(
        self, method: str, target: str, headers: Headers, body: bytes | AsyncIterator[bytes] | None
    ) -> "ClientResponse":
        from aiohttp import ClientConnectorError, ClientError  # noqa: PLC0415 - as above
        from yarl import URL  # noqa: PLC0415 - as above

        try:
            return await self._opened().request(
                method,
                URL(self._origin + target, encoded=True),
                headers=list(headers),
                data=body,
                allow_redirects=False,
                skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
            )
        except ClientConnectorError as error:
            raise AppAway(f"the app does not accept connections: {error}") from error
        except (ClientError, ValueError, OSError) as error:
            raise AppUnreachable(f"the app gave no sound answer: {error}") from error

    async def _chunks(
        self, response: "ClientResponse", give_back: Callable[[], None]
    ) -> AsyncIterator[bytes]:
        from aiohttp import ClientError  # noqa: PLC0415 - as above

        try:
            async for chunk in response.content.iter_chunked(CHUNK):
                yield chunk
        except ClientError as error:
            raise AppUnreachable(f"the app's answer broke off: {error}") from error
        finally:
            response.release()
            give_back()

    def _once(self) -> Callable[[], None]:
        """Return a function that gives the slot of one call back, whoever calls it first."""
        given = False

        def give_back() -> None:
            nonlocal given
            if not given:
                given = True
                self._give_slot()

        return give_back

    def _give_slot(self) -> None:
        if self._slots is not None:
            self._slots.release()

    def _opened(self) -> "ClientSession":
        if self._session is None:
            from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector  # noqa: PLC0415 - as above

            self._session = ClientSession(
                connector=TCPConnector(ssl=unverified(), limit=1024),
                timeout=ClientTimeout(total=None, connect=5.0),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                max_line_size=self._head_limit,
                max_field_size=self._head_limit,
            )
        return self._session


def _headers(response: "ClientResponse") -> Headers:
    return tuple((name.lower(), value) for name, value in response.headers.items())
