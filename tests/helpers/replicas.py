"""An app that runs several times under one id on one engine, each replica behind a sidecar."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest, StreamedResponse
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.runtime import Runtime
from tests.helpers.recording import DONE, Answer, Call, RecordingApp
from tests.helpers.sidecar import Components, resources
from tests.helpers.timing import until

T = TypeVar("T")
APP = "shop"


class Line:
    """The way to one process, which may die: calls under way break off, later ones get nowhere."""

    def __init__(self, app: RecordingApp) -> None:
        self._inner = AsgiChannel(app)
        self._under_way: set[asyncio.Future[Any]] = set()
        self.dead = False

    def die(self) -> None:
        """End as by SIGKILL."""
        self.dead = True
        for each in self._under_way:
            each.cancel()

    async def _carry(self, work: Callable[[], Awaitable[T]]) -> T:
        if self.dead:
            raise AppAway("connection refused")
        task = asyncio.ensure_future(work())
        self._under_way.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self.dead:
                raise AppUnreachable("the connection was lost") from None
            raise
        finally:
            self._under_way.discard(task)

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app."""
        return await self._carry(lambda: self._inner.send(request))

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Call the app with bodies in pieces."""
        return await self._carry(lambda: self._inner.stream(request))

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Make a health probe."""
        return await self._carry(lambda: self._inner.check(request))

    async def probe(self) -> bool:
        """Tell whether anybody listens."""
        return not self.dead

    async def close(self) -> None:
        """Give back what is under way."""
        await self._inner.close()


@dataclass(frozen=True, slots=True)
class Replica:
    """One process and its sidecar; ``api`` is the sidecar's HTTP API."""

    number: int
    app: RecordingApp
    line: Line
    runtime: Runtime
    api: AsgiChannel

    def took(self, path: str, method: str = "POST") -> list[Call]:
        """Return the calls on a path that got there."""
        return [call for call in self.app.to(path) if call.method == method]


@dataclass
class Shop:
    """The replicas of one app, on an engine with a clock that tests move.

    Attributes:
        documents: what every replica answers by path.
        answer: makes its answers to anything else.
        options: of every sidecar, but for its number.
    """

    engine: Engine
    clock: VirtualClock
    components: Components
    documents: dict[str, Answer] = field(default_factory=dict)
    answer: Callable[[Call], Answer] = lambda _: DONE
    options: RuntimeOptions = field(default_factory=lambda: RuntimeOptions(APP, app_port=1))
    replicas: dict[int, Replica] = field(default_factory=dict)

    async def start(self, *numbers: int) -> Sequence[Replica]:
        """Start replicas and wait until they take part."""
        return [await self._start(number) for number in numbers]

    async def _start(self, number: int) -> Replica:
        app = RecordingApp(self.answer)
        app.answers.update(self.documents)
        line = Line(app)
        runtime = Runtime(
            self.engine,
            replace(self.options, replica=number),
            resources(self.components),
            HttpApp(line),
        )
        await runtime.open()
        await runtime.connect()
        replica = Replica(number, app, line, runtime, AsgiChannel(HttpApi(runtime)))
        self.replicas[number] = replica
        return replica

    async def stop(self, number: int) -> None:
        """End one replica in good order."""
        await self.replicas[number].runtime.close(5.0)

    async def until(self, done: Callable[[], bool]) -> None:
        """Let work go on, and virtual time with it, until ``done()`` holds."""
        await until(self.clock, done, 30.0)

    async def advance(self, seconds: float) -> None:
        """Let time pass, each thing that is due being over before the next."""
        end = self.clock.now() + seconds
        while (due := self.clock.due()) is not None and due <= end:
            self.clock.move_to(due)
            await self.engine.work.idle()
        self.clock.move_to(end)
        await self.engine.work.idle()

    async def caller(self) -> AsgiChannel:
        """Return the API of another app's sidecar."""
        runtime = Runtime(self.engine, RuntimeOptions("caller"), resources({}), None)
        await runtime.open()
        return AsgiChannel(HttpApi(runtime))

    def counts(self, path: str, method: str = "POST") -> list[int]:
        """Return how many calls on a path each replica got, in the order of their numbers."""
        return [len(each.took(path, method)) for _, each in sorted(self.replicas.items())]


@contextlib.asynccontextmanager
async def shop(
    root: Path,
    components: Components | None = None,
    *,
    documents: Mapping[str, object] | None = None,
    answer: Callable[[Call], Answer] = lambda _: DONE,
    data_dir: Path | None = None,
) -> AsyncIterator[Shop]:
    """Make an engine for the replicas of an app; none runs yet.

    Args:
        root: the working folder.
        components: what every replica loads.
        documents: what every replica answers as JSON, by path.
        answer: makes its answers to anything else.
        data_dir: where the engine keeps what is durable.
    """
    clock = VirtualClock(1_800_000_000.0)
    engine = Engine(clock, data_dir, root)
    answers = {path: Answer.of(value) for path, value in (documents or {}).items()}
    try:
        yield Shop(engine, clock, components or {}, answers, answer)
    finally:
        await engine.close()
