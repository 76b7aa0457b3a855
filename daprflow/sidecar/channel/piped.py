"""An app channel behind middleware: ``appHttpPipeline`` stands before every call on the app."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import unquote

from daprflow.protocol.http import (
    Headers,
    HttpRequest,
    HttpResponse,
    StreamedRequest,
    StreamedResponse,
)
from daprflow.sidecar.channel.base import AppChannel, AppUnreachable
from daprflow.sidecar.components.middleware import AsgiApp, Event, Receive, Scope, Send, raw_target

_WAITING = 16
_FRAMING = frozenset({"content-length", "transfer-encoding"})


class PipedChannel:
    """Sends calls through a pipeline; health probes pass it by, as in the real runtime.

    Args:
        inner: what reaches the app.
        pipeline: puts the middleware around an ASGI application.
    """

    def __init__(self, inner: AppChannel, pipeline: Callable[[AsgiApp], AsgiApp]) -> None:
        self._inner = inner
        self._pipeline = pipeline(self._call)

    def use(self, pipeline: Callable[[AsgiApp], AsgiApp]) -> None:
        """Send later calls through another pipeline."""
        self._pipeline = pipeline(self._call)

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app and collect its answer."""

        async def body() -> AsyncIterator[bytes]:
            yield request.body

        answer = await self.stream(
            StreamedRequest(
                request.method, request.target, request.headers, body(), len(request.body)
            )
        )
        try:
            data = b"".join([chunk async for chunk in answer.chunks])
        finally:
            await answer.close()
        return HttpResponse(answer.status, answer.headers, data)

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Call the app with bodies in pieces both ways."""
        exchange = _Exchange(request)
        task = asyncio.create_task(exchange.run(self._pipeline))
        return await exchange.answer(task)

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Make a health probe."""
        return await self._inner.check(request)

    async def probe(self) -> bool:
        """Tell whether the app accepts a connection now."""
        return await self._inner.probe()

    async def close(self) -> None:
        """Give back every connection."""
        await self._inner.close()

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stand at the end of the pipeline: what came this far goes to the app."""
        headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in scope["headers"])
        length = next((int(v) for k, v in headers if k == "content-length" and v.isdigit()), None)
        if length is None and all(name != "transfer-encoding" for name, _ in headers):
            length = 0
        kept = tuple(pair for pair in headers if pair[0] not in _FRAMING)
        request = StreamedRequest(
            scope["method"], raw_target(scope), kept, _chunks(receive), length
        )
        answer = await self._inner.stream(request)
        try:
            pairs = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in answer.headers]
            start = {"type": "http.response.start", "status": answer.status, "headers": pairs}
            await send(start)
            async for chunk in answer.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await answer.close()


class _Exchange:
    """One call on its way through the pipeline; what comes back waits in a short queue."""

    def __init__(self, request: StreamedRequest) -> None:
        self._request = request
        self._chunks = aiter(request.chunks)
        self._sent: asyncio.Queue[Event | None] = asyncio.Queue(_WAITING)
        self._failure: BaseException | None = None

    async def run(self, pipeline: AsgiApp) -> None:
        try:
            await pipeline(self._scope(), self._receive, self._sent.put)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            self._failure = error
        await self._sent.put(None)

    async def answer(self, task: asyncio.Task[None]) -> StreamedResponse:
        try:
            start = await self._sent.get()
        except BaseException:
            await _cancelled(task)
            raise
        if start is None:
            raise self._failure or AppUnreachable("the pipeline gave no answer")
        headers: Headers = tuple(
            (k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in start["headers"]
        )
        return StreamedResponse(start["status"], headers, self._body(), lambda: _cancelled(task))

    async def _body(self) -> AsyncIterator[bytes]:
        while (event := await self._sent.get()) is not None:
            if event.get("body"):
                yield event["body"]
        if self._failure is not None:
            raise self._failure

    async def _receive(self) -> Event:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": chunk, "more_body": True}

    def _scope(self) -> Scope:
        request = self._request
        path, _, query = request.target.partition("?")
        pairs = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in request.headers]
        if request.length is None:
            pairs.append((b"transfer-encoding", b"chunked"))
        else:
            pairs.append((b"content-length", b"%d" % request.length))
        return {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "scheme": "http",
            "server": None,
            "client": None,
            "headers": pairs,
        }


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        event = await receive()
        more = event.get("more_body", False)
        if event.get("body"):
            yield event["body"]


async def _cancelled(task: asyncio.Task[None]) -> None:
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait({task})
