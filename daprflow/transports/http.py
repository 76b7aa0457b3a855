"""The client's way to a sidecar over HTTP, pooled, on aiohttp.

Import it inside the function that opens a connection: aiohttp costs more than all of daprflow.
"""

import asyncio
import io
import os
from collections.abc import AsyncIterator

import aiohttp
from yarl import URL

from daprflow.errors import SidecarError
from daprflow.protocol.http import (
    Headers,
    HttpRequest,
    HttpResponse,
    StreamedRequest,
    StreamedResponse,
)
from daprflow.settings import Settings
from daprflow.transports.base import ConnectionLost
from daprflow.transports.tls import client_context

KEEPALIVE = 4.0
"""Seconds an idle connection is kept. Less than the 5 s of uvicorn, so that we close it and not
the sidecar: a POST that meets a closing connection could not be repeated."""

CONNECTIONS = 1024
"""More than calls of one target may be under way, so that one that hangs leaves some to others."""
ANOTHER_LOOP = (
    "this client is open in another event loop, which its connections belong to; close it there, "
    "or make one client per loop"
)
LONG_BODY = 2**20
AGENT = "daprflow"
_UNTYPED = ("content-type",)


class HttpTransport:
    """Requests to the sidecar of ``settings`` through one pool of connections."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._base = settings.http_endpoint
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def address(self) -> str:
        """The URL of the sidecar."""
        return self._settings.http_endpoint

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Carry ``request`` to the sidecar.

        Raises:
            ConnectionLost: the connection could not be made or broke.
            SidecarError: the answer is longer than the settings allow.
        """
        session = self._opened()
        try:
            response = await session.request(
                request.method,
                URL(self._base + request.target, encoded=True),
                data=_body(request.body),
                headers=request.headers,
                skip_auto_headers=_left_out(request.method, request.headers),
                allow_redirects=False,
            )
            try:
                body = await self._read(response)
            except BaseException:
                response.close()
                raise
        except aiohttp.ClientError as error:
            raise self._lost(error) from None
        return HttpResponse(response.status, _headers(response), body)

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Carry ``request`` in pieces, and return when the head of the answer has come.

        Raises:
            ConnectionLost: the connection could not be made or broke.
        """
        session = self._opened()
        headers = request.headers
        if request.length is not None:
            headers = (*headers, ("content-length", str(request.length)))
        try:
            response = await session.request(
                request.method,
                URL(self.address + request.target, encoded=True),
                data=None if request.length == 0 else request.chunks,
                headers=headers,
                skip_auto_headers=_left_out(request.method, headers),
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            raise self._lost(error) from None

        async def close() -> None:
            response.close()

        return StreamedResponse(response.status, _headers(response), self._chunks(response), close)

    async def close(self) -> None:
        """Close every connection; the next ``send`` opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session, self._loop = self._open(), asyncio.get_running_loop()
        elif self._loop is not asyncio.get_running_loop():
            raise RuntimeError(ANOTHER_LOOP)
        return self._session

    def _open(self) -> aiohttp.ClientSession:
        # Said here and not left out call by call, which costs a twentieth of a call.
        headers = {"user-agent": AGENT}
        if self._settings.api_token:
            headers["dapr-api-token"] = self._settings.api_token
        if self._settings.loopback:
            headers["accept-encoding"] = "identity"  # compression costs more than loopback
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=client_context(self._settings) or True,
                limit=CONNECTIONS,
                keepalive_timeout=KEEPALIVE,
            ),
            timeout=aiohttp.ClientTimeout(),  # the client's own cancels
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=not self._settings.loopback,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the body; counted after decompression, so that a small bomb stays small."""
        limit = self._settings.max_response_size
        length = response.content_length
        if length is not None and length <= limit and "Content-Encoding" not in response.headers:
            return await response.read()
        if (length or 0) <= limit:
            pieces = []
            size = 0
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > limit:
                    break
                pieces.append(piece)
            else:
                return b"".join(pieces)
        raise SidecarError(
            f"the answer of the sidecar at {self.address} is longer than {limit} bytes; "
            "raise 'max_response_size' of the settings if that is expected",
            status=response.status,
        )

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except aiohttp.ClientError as error:
            raise self._lost(error) from None

    def _lost(self, error: aiohttp.ClientError) -> ConnectionLost:
        return ConnectionLost(
            f"no sidecar answered at {self.address}: {_reason(error)}; start the app "
            "with 'daprflow run' or 'dapr run', or set DAPR_HTTP_PORT or DAPR_HTTP_ENDPOINT to "
            "where it listens"
        )


def _reason(error: aiohttp.ClientError) -> str:
    """Return why a connection failed.

    aiohttp's own texts show queries, keys and pieces of answers, and talk of TLS where there is
    none.
    """
    said = type(error).__name__
    match error:
        case aiohttp.ClientResponseError():
            said = "what it sent is no HTTP answer"
        case aiohttp.ClientPayloadError():
            said = "its answer broke off or is damaged"
        case aiohttp.ClientSSLError():
            said = str(error)
        case aiohttp.ClientConnectorError():
            said = _system_text(error.os_error)
        case aiohttp.ClientOSError(errno=int()):
            said = _system_text(error)
        case aiohttp.ClientConnectionError():
            said = "it closed the connection"
    return said


def _system_text(error: OSError) -> str:
    number = error.errno or 0
    return (os.strerror(number) if number > 0 else error.strerror) or type(error).__name__


def _body(body: bytes) -> bytes | io.BytesIO | None:
    """Return a body as aiohttp likes it: it warns of long ones that it cannot send in pieces."""
    if not body:
        return None
    return body if len(body) <= LONG_BODY else io.BytesIO(body)


def _left_out(method: str, headers: Headers) -> tuple[str, ...] | None:
    """Return what aiohttp must not add: a type of the body where nobody said one."""
    if method == "GET" or any(name == "content-type" for name, _ in headers):
        return None
    return _UNTYPED


def _headers(response: aiohttp.ClientResponse) -> Headers:
    return tuple([(name.lower(), value) for name, value in response.headers.items()])
