"""`RealSidecar`: what a `TestSidecar` does, against a real runtime."""

import asyncio
import sqlite3
from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar
from urllib.parse import quote

from daprflow.addresses import Activity, Endpoint, Topic, Workflow
from daprflow.client import Client, payload
from daprflow.client.workflow_runs import WorkflowRun
from daprflow.handlers.decoding import BodyDecoder
from daprflow.launcher import defaults
from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import JSON, HttpRequest
from daprflow.protocol.operations import NO_METADATA
from daprflow.settings import Settings
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.components.base import Message
from daprflow.testing import provisions
from daprflow.testing.fakes import FakeApp
from daprflow.testing.lifespan import RunningApp
from daprflow.testing.real_process import RealRuntime
from daprflow.testing.real_services import HOST, Services
from daprflow.testing.real_watch import WatchedApp, WatchingTransport
from daprflow.testing.saved import value_of
from daprflow.testing.sidecar import TestSidecar
from daprflow.testing.sockets import Doors, port_of
from daprflow.testing.workflow_run import TestRun

if TYPE_CHECKING:
    import socket

    from daprflow.app import DaprFlow

T = TypeVar("T")
Out = TypeVar("Out")

REAL_WAIT = timedelta(seconds=5)
"""The longest time that `advance` really lets pass; a test that needs more is skipped."""
WITHIN = 30.0
_STATE = "SELECT key, value, is_binary FROM state WHERE key LIKE ? || '||%'"
_NEEDS_ENGINE = {
    "peers": "several apps in one engine",
    "configuration": "a configuration store that a test sets",
    "start": "a virtual clock that begins at a certain time",
    "seed": "an order of calls that a seed chooses",
}


class RealSidecar(TestSidecar):
    """The same test against a real runtime: the app listens, and a ``daprd`` is its sidecar.

    What the real runtime cannot do for a test (virtual time, faults, orders) skips the test, with a
    message. Without ``resources_path`` it has ``pubsub.in-memory`` for each broker that the app
    names, and ``state.sqlite`` for 'statestore'. Fakes of endpoints answer the client's calls.

    Args:
        services: the runtime's programs, placement and scheduler.
        skip: ends the test as one that cannot be run; raises.
    """

    def __init__(
        self,
        app: "DaprFlow",
        /,
        *,
        services: Services,
        skip: Callable[[str], NoReturn],
        **options: Any,
    ) -> None:
        for name, what in _NEEDS_ENGINE.items():
            if options.get(name) not in (None, (), [], {}):
                skip(f"'{name}=' is {what}, which a real runtime has not")
        super().__init__(app, **options)
        self._services = services
        self._skip = skip
        self._exits = AsyncExitStack()
        self._real_client: Client | None = None
        self._noted: dict[tuple[str, str], list[Message]] = {}
        self._watched = WatchedApp(app)
        self._channel: AsgiChannel | None = None
        self._state_file = Path()

    async def __aenter__(self) -> Self:
        """Start the app, then its runtime, and wait until that has read the subscriptions."""
        async with AsyncExitStack() as stack:
            await self._begin(stack)
            self._exits = stack.pop_all()
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Stop the runtime, then the app."""
        await self._exits.aclose()

    async def _begin(self, stack: AsyncExitStack) -> None:
        app = self._app
        app.freeze()
        folder = Path(stack.enter_context(TemporaryDirectory()))
        self._state_file = folder / "state.db"
        runtime = RealRuntime(self._services, folder)
        runtime.write(self._resources(folder))
        running = RunningApp(self._plan.host or app)
        self._watched = WatchedApp(running)
        self._channel = AsgiChannel(running)
        doors = Doors()
        stack.push_async_callback(doors.close)
        listener = doors.bind()
        settings = Settings(
            http_endpoint=f"http://{HOST}:{runtime.http_port}",
            grpc_endpoint=f"{HOST}:{runtime.grpc_port}",
        )
        self._real_client = self._client_of(settings)
        stack.push_async_callback(self._real_client.close)
        before = app._client, app._own_client  # noqa: SLF001 - the property would make one
        stack.callback(self._give_back, *before)
        own = () if app._client is None else app._client.interceptors  # noqa: SLF001 - as above
        app.client = self._client_of(settings)
        app.client.add_interceptors(*own)
        stack.push_async_callback(app.client.close)
        app.providers().replace(self._providers)
        stack.callback(app.providers().replace, {})
        stack.push_async_callback(runtime.stop)
        starting = runtime.start(
            app.app_id, port_of(listener), app.features(), self._plan.resources
        )
        serving = self._serve(running, doors, listener)
        await asyncio.gather(starting, serving)  # each may wait for the other
        stack.push_async_callback(running.stop)
        await runtime.until("/v1.0/healthz")
        await app.works()
        await app.jobs_scheduled()

    async def _serve(self, running: RunningApp, doors: "Doors", listener: "socket.socket") -> None:
        """Answer once the app has started: the runtime asks what it subscribes to only once."""
        await running.start()
        await doors.serve(self._watched, listener)

    def _client_of(self, settings: Settings) -> Client:
        transport = WatchingTransport(settings, self._noted, self._fakes)
        return Client(settings, transport=transport, codecs=self._app.codecs)

    def _give_back(self, client: Client | None, own: bool) -> None:  # noqa: FBT001 - as it was
        self._app._client, self._app._own_client = client, own  # noqa: SLF001 - as above

    def _resources(self, folder: Path) -> list[Any]:
        """Return the components that the app names, of kinds that a real runtime has."""
        app = self._app
        made = [*provisions.secret_stores(self._plan.secrets, folder)]
        made += provisions.crons(app.crons())
        if self._plan.resources is None:
            names = ["pubsub", *(each.subscription.pubsubname for each in app.topics())]
            made += provisions.brokers(names, "pubsub.in-memory")
            made.append(defaults.for_daprd(self._state_file)[0])
        return made

    # ---- what a test looks at -------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """A client of this sidecar, for the test itself."""
        if self._real_client is None:
            raise RuntimeError("the sidecar does not run; use it inside 'async with'")
        return self._real_client

    def published(self, topic: Topic[T], /) -> list[T]:
        """Return what this app and the test published; skip a dead letter topic.

        The runtime itself puts dead letters there, and shows them to subscribers alone.
        """
        plans = self._app.topics()
        address = (topic.pubsub, topic.name)
        if address in {(plan.subscription.pubsubname, plan.dead_letter) for plan in plans}:
            self._skip(f"what a real runtime put into dead letter topic '{topic.name}' is not seen")
        decoder = BodyDecoder(topic.payload, self._app.codecs)
        messages = self._noted.get(address, ())
        return [decoder.decode(each.data) for each in messages]

    async def saved(self, store: str, kind: Any = Any, /) -> dict[str, Any]:
        """Return what the app keeps in the state store that was made for it."""
        if store != "statestore" or self._plan.resources is not None:
            self._skip(f"what state store '{store}' of a real runtime holds cannot be listed")
        with closing(sqlite3.connect(self._state_file)) as connection:
            rows = connection.execute(_STATE, (self._app.app_id,)).fetchall()
        values = {}
        for full, text, is_binary in rows:
            key = full.partition("||")[2]
            if "||" not in key:
                data = b64decode(text.strip('"')) if is_binary else text.encode()
                values[key] = value_of(data, kind, self._app.codecs, f"'{key}' of '{store}'")
        return values

    # ---- what a test does -----------------------------------------------------------------------

    async def publish(self, topic: Topic[Any], data: Any, /, **options: Any) -> Status:
        """Publish an event and return what the app answered to the next one of that topic."""
        async with self._publishing:
            verdict = self._watched.next_verdict(topic.pubsub, topic.name)
            await self.client.publish(topic, data, **options)
            try:
                async with asyncio.timeout(WITHIN):
                    return await verdict
            except TimeoutError:
                raise LookupError(
                    f"the event on '{topic.pubsub}/{topic.name}' was accepted and not delivered"
                ) from None

    async def invoke(self, endpoint: Endpoint[Any, Any], data: Any = None, /, **given: Any) -> Any:
        """Invoke a method through the sidecar."""
        return await self.client.invoke(endpoint, data, **given)

    def actor(self, kind: Any, actor_id: str, /) -> Any:
        """Return an actor to call."""
        return self.client.actor(kind, actor_id)

    async def start(
        self,
        workflow: Workflow[Any, Any],
        data: Any = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - as client.start
        at: datetime | timedelta | None = None,
    ) -> TestRun[Any]:
        """Start a workflow; its ``result()`` waits for it."""
        return RealRun(await self.client.start(workflow, data, id=id, at=at))

    def workflow(self, workflow: Workflow[Any, Out], id: str, /) -> TestRun[Out]:  # noqa: A002 - as client.workflow
        """Return an instance that a handler or another workflow started."""
        return RealRun(self.client.workflow(workflow, id))

    async def trigger(
        self,
        name: str,
        data: object = None,
        /,
        *,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> Status:
        """Deliver one event of an input binding as the runtime would."""
        assert self._channel is not None  # noqa: S101 - it runs
        headers = tuple((key.lower(), value) for key, value in metadata.items())
        body = b"" if data is None else payload.encode(data, None, self._app.codecs).body
        request = HttpRequest("POST", f"/{quote(name)}", (("content-type", JSON), *headers), body)
        response = await self._channel.send(request)
        return Status.SUCCESS if 200 <= response.status < 300 else Status.RETRY  # noqa: PLR2004

    async def advance(self, by: timedelta, /) -> None:
        """Wait so long, up to 5 seconds; a test that needs more is skipped."""
        if by > REAL_WAIT:
            self._skip(f"the test moves the clock by {by}, and a real runtime's is the wall clock")
        await asyncio.sleep(by.total_seconds())

    async def settle(self) -> None:
        """Skip the test."""
        self._skip("nobody can tell when a real runtime has nothing left to do")

    def _fake_app(self, app_id: str) -> FakeApp:
        return self._fakes.setdefault(app_id, FakeApp(app_id, self._app.codecs))

    def _fake_work(self, handle: Activity[Any, Any] | Workflow[Any, Any], fn: Any) -> None:
        del fn
        self._skip(f"{handle!r} would need another app with a real runtime of its own")

    @property
    def _stage(self) -> Any:
        """Skip the test: what asks for this needs the embedded engine."""
        return self._skip("it needs the embedded engine: faults, its clock or its stores")

    def fail(self, target: Any, /, **options: Any) -> Any:
        """Skip the test: a real runtime's components fail when they do."""
        del options
        self._skip(f"{target!r} of a real runtime cannot be made to fail")

    def delay(self, target: Any, by: timedelta, /, *, times: int | None = None) -> Any:
        """Skip the test: a real runtime's components are late when they are."""
        del by, times
        self._skip(f"{target!r} of a real runtime cannot be delayed")


class RealRun(TestRun[Out]):
    """An instance in a real runtime: what it does takes its time."""

    __slots__ = ()

    def __init__(self, run: WorkflowRun[Out], /) -> None:
        super().__init__(run, None)

    async def result(self, timeout: timedelta | None = None) -> Out:  # noqa: ASYNC109 - as WorkflowRun
        """Wait for the result, half a minute at most unless ``timeout`` says otherwise."""
        return await WorkflowRun.result(self, timeout or timedelta(seconds=WITHIN))
