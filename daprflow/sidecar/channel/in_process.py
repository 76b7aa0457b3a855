"""The app channel without a socket: the app's ASGI callable is called directly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from daprflow.protocol.http import (
    Headers,
    HttpRequest,
    HttpResponse,
    StreamedRequest,
    StreamedResponse,
)
from daprflow.sidecar.channel.base import AppUnreachable

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
AsgiApp = Callable[
    [Scope, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]
]


class AsgiChannel:
    """Calls an ASGI app in this process.

    Args:
        app: the app; its lifespan is the caller's business.
        app_token: sent as ``dapr-api-token``; None sends none.
    """

    def __init__(self, app: AsgiApp, *, app_token: str | None = None) -> None:
        self._app = app
        self._token: Headers = () if app_token is None else (("dapr-api-token", app_token),)

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app and collect its answer.

        Raises:
            AppUnreachable: the app raised, or returned without an answer.
        """
        return await self._send(request, self._token)

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Make a health probe, without the token."""
        return await self._send(request, ())

    async def _send(self, request: HttpRequest, token: Headers) -> HttpResponse:
        answer = _Answer()
        pending = True

        async def receive() -> Event:
            nonlocal pending
            if not pending:
                await answer.ended.wait()
                return {"type": "http.disconnect"}
            pending = False
            return {"type": "http.request", "body": request.body, "more_body": False}

        scope = self._scope(
            request.method, request.target, (*request.headers, *token), len(request.body)
        )
        await self._call(scope, receive, answer)
        return HttpResponse(answer.started(), answer.headers, b"".join(answer.parts))

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Call the app with bodies in pieces both ways.

        Raises:
            AppUnreachable: the app raised before it answered.
        """
        answer = _Answer()
        chunks = aiter(request.chunks)
        complete = False

        async def receive() -> Event:
            nonlocal complete
            if complete:
                await answer.ended.wait()
                return {"type": "http.disconnect"}
            body = await anext(chunks, None)
            if body is None:
                complete = True
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.request", "body": body, "more_body": True}

        scope = self._scope(
            request.method, request.target, (*request.headers, *self._token), request.length
        )
        task = asyncio.get_running_loop().create_task(self._call(scope, receive, answer))
        waiter = asyncio.get_running_loop().create_task(answer.begun.wait())
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.begun.is_set():
            waiter.cancel()
            await task  # raises what the app raised
            answer.started()
        return StreamedResponse(answer.status, answer.headers, answer.chunks(task), _closer(task))

    async def probe(self) -> bool:
        """Tell that the app is there: it is part of this process."""
        return True

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    async def _call(
        self, scope: Scope, receive: Callable[[], Awaitable[Event]], answer: "_Answer"
    ) -> None:
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            if not answer.begun.is_set():
                raise AppUnreachable(f"the app raised {type(error).__name__}: {error}") from error
        finally:
            answer.finish()

    def _scope(self, method: str, target: str, headers: Headers, length: int | None) -> Scope:
        path, _, query = target.partition("?")
        pairs = [
            (name.encode("latin-1", "replace"), value.encode("utf-8", "surrogateescape"))
            for name, value in (("host", "127.0.0.1"), *headers)
        ]
        if length is not None and (length or method not in {"GET", "OPTIONS", "HEAD"}):
            pairs.append((b"content-length", str(length).encode()))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": pairs,
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
            "state": {},
        }


class _Answer:
    """Collects what the app sends."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = ()
        self.parts: list[bytes] = []
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self._news = asyncio.Event()

    async def send(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.headers = tuple(
                (bytes(name).decode("latin-1").lower(), bytes(value).decode("latin-1"))
                for name, value in event.get("headers", ())
            )
            self.begun.set()
        elif event["type"] == "http.response.body":
            if body := event.get("body", b""):
                self.parts.append(bytes(body))
                self._news.set()
            if not event.get("more_body", False):
                self.finish()

    def finish(self) -> None:
        """Note that nothing more comes."""
        self.ended.set()
        self._news.set()

    def started(self) -> int:
        """Return the status, or raise when there is none."""
        if not self.status:
            raise AppUnreachable("the app returned without an answer")
        return self.status

    async def chunks(self, task: asyncio.Task[None]) -> AsyncIterator[bytes]:
        """Give the body piece by piece as it comes."""
        while True:
            while self.parts:
                yield self.parts.pop(0)
            if self.ended.is_set():
                await task
                return
            self._news.clear()
            await self._news.wait()


def _closer(task: asyncio.Task[None]) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        task.cancel()
        await asyncio.wait({task})

    return close
