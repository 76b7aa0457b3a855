"""An app on a real socket that records what reaches it and answers as it is told."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec
import uvicorn

Message = MutableMapping[str, Any]


class AsgiApp(Protocol):
    """An ASGI application."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Any],
        send: Callable[[Message], Any],
        /,
    ) -> None:
        """Serve one scope."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request that reached an app; header names are lower-case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        """The decoded path without its query."""
        return unquote(self.target.partition("?")[0])

    def header(self, name: str) -> str | None:
        """Return the first value of the header called ``name``, None when absent."""
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        """Return the body decoded as JSON."""
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an app answers; ``content_type`` empty leaves the header out."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object, status: int = 200) -> "Answer":
        """Answer ``value`` as JSON."""
        return cls(status, msgspec.json.encode(value), "application/json")


NOT_FOUND = Answer(404)
DONE = Answer(200)


class RecordingApp:
    """Records every call.

    Args:
        default: answers where neither ``computed`` nor ``answers``, both by path, does.

    Attributes:
        held: by path, what an answer waits for.
    """

    def __init__(self, default: Callable[[Call], Answer] = lambda _: DONE) -> None:
        self.calls: list[Call] = []
        self.answers: dict[str, Answer] = {}
        self.computed: dict[str, Callable[[Call], Answer]] = {}
        self.held: dict[str, asyncio.Event] = {}
        self._default = default
        self._changed = asyncio.Condition()

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Any],
        send: Callable[[Message], Any],
    ) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            raise AssertionError(f"unexpected scope {scope['type']!r}")
        call = await read_call(scope, receive)
        async with self._changed:
            self.calls.append(call)
            self._changed.notify_all()
        if held := self.held.get(call.path):
            await held.wait()
        computed = self.computed.get(call.path, self._default)
        answer = self.answers.get(call.path) or computed(call)
        headers = [(key.encode(), value.encode()) for key, value in answer.headers.items()]
        if answer.content_type:
            headers.append((b"content-type", answer.content_type.encode()))
        if answer.status != 204:
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def to(self, path: str) -> list[Call]:
        """Return the calls on ``path`` so far."""
        return [call for call in self.calls if call.path == path]

    async def wait_until(self, done: Callable[[], bool], within: float) -> bool:
        """Wait until ``done()`` holds, looking again after each call; tell whether it does."""

        async def held() -> None:
            async with self._changed:
                await self._changed.wait_for(done)

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(held(), within)
        return done()

    async def wait_for(self, path: str, count: int = 1, within: float = 5.0) -> list[Call]:
        """Return the first ``count`` calls on ``path``; fails when they do not come in time."""
        came = await self.wait_until(lambda: len(self.to(path)) >= count, within)
        assert came, f"{len(self.to(path))} of {count} calls on '{path}' within {within} s"
        return self.to(path)[:count]


async def read_call(scope: Mapping[str, Any], receive: Callable[[], Any]) -> Call:
    """Read one HTTP request to its end."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    target = scope["raw_path"].decode("latin-1").partition("?")[0]
    if query := scope["query_string"].decode("latin-1"):
        target = f"{target}?{query}"
    headers = tuple(
        (key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in scope["headers"]
    )
    return Call(scope["method"], target, headers, body)


def free_socket(port: int = 0) -> socket.socket:
    """Return a bound loopback socket whose port nobody else can take; 0 chooses one."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def port_of(sock: socket.socket) -> int:
    """Return the port a socket is bound to."""
    port: int = sock.getsockname()[1]
    return port


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def serve(app: AsgiApp, sock: socket.socket | None = None) -> AsyncIterator[int]:
    """Serve ``app`` on loopback; gives the port."""
    sock = sock or free_socket()
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        yield port_of(sock)
    finally:
        server.should_exit = True
        await task
        sock.close()
