"""`TestSidecar`: an app, run in process against the embedded engine on a virtual clock."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload
from urllib.parse import quote

from daprflow.addresses import Endpoint, Topic
from daprflow.client import Client, Store, payload
from daprflow.errors import InvocationError
from daprflow.handlers.decoding import BodyDecoder, EventDecoder, Undecodable
from daprflow.handlers.handler import Delivery
from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import CLOUDEVENTS_JSON, JSON, HttpRequest
from daprflow.protocol.operations import NO_METADATA
from daprflow.protocol.resources import ComponentResource
from daprflow.settings import Settings
from daprflow.sidecar.blocks.pubsub_bulk import DEFAULT_WAIT
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import Message
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from daprflow.testing import provisions
from daprflow.testing.fakes import FakeApp
from daprflow.testing.ledger import Ledger
from daprflow.testing.lifespan import RunningApp
from daprflow.testing.provisions import ProvidingTransport, Secrets
from daprflow.testing.settling import Settling
from daprflow.testing.transport import InProcessTransport
from daprflow.transports.base import Transport

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from daprflow.app import DaprFlow

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")

GRACE = 5.0
"""Seconds that handlers in flight may take when a test ends."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What exists while a sidecar runs."""

    runtime: Runtime
    channel: AsgiChannel
    client: Client
    settling: Settling


class TestSidecar:
    """A sidecar for tests of an app: no process, no port, no mock, no waiting.

    Inside ``async with TestSidecar(app) as dapr:`` the app runs as under a server, its lifespan
    included, and its client talks to an embedded engine that keeps everything in memory. Time in
    that engine (retries, crons, time to live, waits of batches) stands still until `advance`;
    the event loop's time is real.

    State stores and brokers that the app names are made when they are first used, unless
    ``resources_path`` says what there is. The app's crons are always there.

    Args:
        app: the app under test.
        host: the application it is installed in or wraps, when that is to be run too.
        secrets: secret stores by name, each a mapping of secrets.
        resources_path: a folder of component files; then nothing else is made.
        start: what the virtual clock shows at first; now, where it is None.
    """

    __test__ = False  # no test case, whatever its name begins with

    def __init__(
        self,
        app: "DaprFlow",
        /,
        *,
        host: "ASGIApp | None" = None,
        secrets: Secrets | None = None,
        resources_path: str | Path | None = None,
        start: datetime | None = None,
    ) -> None:
        self._app = app
        self._host = host
        self._secrets = secrets or {}
        self._resources_path = resources_path
        self._clock = VirtualClock(None if start is None else start.timestamp())
        self._ledger = Ledger()
        self._fakes: dict[str, FakeApp] = {}
        self._stack = AsyncExitStack()
        self._running: _Parts | None = None

    async def __aenter__(self) -> Self:
        """Start the app and its sidecar.

        Raises:
            AppDefinitionError: the app is defined wrongly.
            Exception: whatever the app's lifespan raises.
        """
        if self._running is not None:
            raise RuntimeError("this TestSidecar runs already; make another one")
        self._app.freeze()
        async with AsyncExitStack() as stack:
            self._running = await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop deliveries, then the app, then the sidecar."""
        try:
            await self._stack.aclose()
        finally:
            self._running = None

    # ---- what a test looks at -------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """A client of this sidecar, for the test itself."""
        return self._parts.client

    @property
    def now(self) -> datetime:
        """What the virtual clock shows, in UTC."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def state(self, store: str, /) -> Store:
        """Return the app's state store of that name."""
        return self.client.state(store)

    def published(self, topic: Topic[T], /) -> list[T]:
        """Return what anybody published on ``topic``, dead letters included, in order.

        Raises:
            AssertionError: something else than the topic's payload was published there.
        """
        messages = self._ledger.messages(topic.pubsub, topic.name)
        decoder, raw = EventDecoder(topic.payload), BodyDecoder(topic.payload)
        return [_data(topic, message, decoder, raw) for message in messages]

    # ---- what a test does -----------------------------------------------------------------------

    async def publish(
        self, topic: Topic[T], data: T, /, *, metadata: Mapping[str, str] = NO_METADATA
    ) -> Status:
        """Publish an event and return what the first attempt to handle it came to.

        A handler that fails gives `Status.RETRY`; move the clock to have it tried again. When a
        batch takes the event, the clock moves until the batch is due. Whatever else follows from
        the event at once is done when this returns.

        Raises:
            LookupError: the app does not subscribe to that topic.
        """
        settling = self._parts.settling
        with self._ledger.following() as events:
            await self.client.publish(topic, data, metadata=metadata)
        await settling.settle()
        end = self._clock.now() + self._batch_wait(topic)
        while (status := self._ledger.verdict(events[0])) is None:
            if not await settling.step(end):
                raise LookupError(
                    f"the event on '{topic.pubsub}/{topic.name}' was accepted and not delivered"
                )
        return status

    @overload
    async def invoke(self, endpoint: Endpoint[None, Out], data: None = None, /) -> Out: ...

    @overload
    async def invoke(self, endpoint: Endpoint[In, Out], data: In, /) -> Out: ...

    async def invoke(self, endpoint: Endpoint[Any, Out], data: Any = None, /) -> Out:
        """Invoke a method through the sidecar, and wait for what follows from it at once.

        Raises:
            InvocationError: the app answered with an error.
        """
        settling = self._parts.settling
        try:
            result: Out = await self.client.invoke(endpoint, data)
        except InvocationError:
            await settling.settle()
            raise
        await settling.settle()
        return result

    async def trigger(
        self,
        name: str,
        data: object = None,
        /,
        *,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> Status:
        """Deliver one event of the input binding ``name``, or fire a cron handler.

        Args:
            name: the binding's.
            data: bytes and text as they are, anything else as JSON; None is an empty body.
            metadata: what the component would say about the event.

        Returns:
            SUCCESS where the app took it, RETRY where it did not.

        Raises:
            LookupError: the app has no handler for that binding.
        """
        parts = self._parts
        self._check_binding(name)
        headers = tuple((key.lower(), value) for key, value in metadata.items())
        body = b"" if data is None else payload.encode(data).body
        request = HttpRequest("POST", f"/{quote(name)}", (("content-type", JSON), *headers), body)
        response = await parts.channel.send(request)
        await parts.settling.settle()
        good = 200 <= response.status < 300  # noqa: PLR2004 - the runtime takes any 2xx
        return Status.SUCCESS if good else Status.RETRY

    async def advance(self, by: timedelta, /) -> None:
        """Let virtual time pass: whatever becomes due happens, in order, and is done after.

        Handlers take their real time; one that sleeps holds this up.
        """
        if by < timedelta(0):
            raise ValueError(f"time cannot go back by {-by}")
        await self._parts.settling.advance(by)

    @overload
    def fake(self, handle: Endpoint[None, Out], fn: Callable[[], Awaitable[Out]], /) -> None: ...

    @overload
    def fake(self, handle: Endpoint[In, Out], fn: Callable[[In], Awaitable[Out]], /) -> None: ...

    def fake(self, handle: Endpoint[Any, Any], fn: Callable[..., Awaitable[Any]], /) -> None:
        """Answer a method of another app with a function of the test.

        It may raise Starlette's ``HTTPException``; anything else it raises is a 500.

        Raises:
            ValueError: the endpoint is the app's own; those are tested as they are.
        """
        if handle.app_id == self._app.app_id:
            raise ValueError(
                f"{handle!r} belongs to the app under test; fakes are for other apps' endpoints"
            )
        fake = self._fakes.get(handle.app_id)
        if fake is None:
            fake = self._fakes[handle.app_id] = FakeApp(handle.app_id)
            if self._running is not None:
                _join(self._running.runtime.engine, handle.app_id, fake)
        fake.answer(handle, fn)

    # ---- start ----------------------------------------------------------------------------------

    async def _start(self, stack: AsyncExitStack) -> _Parts:
        """Start everything, each with its end on ``stack``."""
        settings = self._app.settings or Settings.from_env(os.environ)
        token = settings.app_api_token or None
        components = self._components(Path(stack.enter_context(TemporaryDirectory())))
        engine = Engine(self._clock, None, Path.cwd())
        stack.push_async_callback(engine.close)
        stack.callback(engine.runtimes.clear)  # fakes were never opened; ours is closed before
        app = RunningApp(self._host or self._app)
        channel = AsgiChannel(app, app_token=token)
        options = RuntimeOptions(self._app.app_id, app_port=1, app_token=token)
        runtime = Runtime(engine, options, Resources(components), channel)
        stack.push_async_callback(runtime.close, 0.0)  # deliveries have ended by then
        await runtime.open()
        runtime.pubsub.observer = self._ledger
        for app_id, fake in self._fakes.items():
            _join(engine, app_id, fake)
        client = await stack.enter_async_context(self._client(runtime))
        self._inject(stack, self._client(runtime))
        await app.start()
        stack.push_async_callback(app.stop)
        stack.push_async_callback(_pause, runtime)
        settling = Settling(self._clock, engine.work)
        await settling.run(runtime.connect())
        return _Parts(runtime, channel, client, settling)

    def _components(self, folder: Path) -> tuple[ComponentResource, ...]:
        path = self._resources_path
        given = () if path is None else provisions.from_files(Path(path), self._app.app_id)
        made = [
            *provisions.secret_stores(self._secrets, folder),
            *provisions.crons(self._app.crons()),
        ]
        if path is None:
            topics = (plan.subscription.pubsubname for plan in self._app.topics())
            made += provisions.brokers(topics)
        names = {resource.name for resource in given}
        return (*given, *(resource for resource in made if resource.name not in names))

    def _client(self, runtime: Runtime) -> Client:
        transport: Transport = InProcessTransport(HttpApi(runtime))
        if self._resources_path is None:
            transport = ProvidingTransport(transport, runtime)
        return Client(Settings(), transport=transport)

    def _inject(self, stack: AsyncExitStack, client: Client) -> None:
        """Give the app a client of this sidecar; it closes it itself, and gets its own back."""
        before = self._app.client
        self._app.client = client
        stack.callback(setattr, self._app, "client", before)
        stack.push_async_callback(client.close)

    # ---- messages -------------------------------------------------------------------------------

    @property
    def _parts(self) -> _Parts:
        if self._running is None:
            raise RuntimeError("the TestSidecar does not run; use it inside 'async with'")
        return self._running

    def _batch_wait(self, topic: Topic[Any]) -> float:
        """Return the seconds that the subscription of ``topic`` may gather events."""
        running = self._parts.runtime.subscriptions
        known = [(each.pubsubname, each.topic) for each in running]
        for each in running:
            if (each.pubsubname, each.topic) == (topic.pubsub, topic.name) or "*" in each.topic:
                bulk = each.bulk_subscribe
                if bulk is None or not bulk.enabled:
                    return 0.0
                milliseconds = bulk.max_await_duration_ms
                return milliseconds / 1000 if milliseconds else DEFAULT_WAIT
        names = ", ".join(f"'{pubsub}/{name}'" for pubsub, name in known) or "nothing"
        raise LookupError(
            f"app '{self._app.app_id}' does not subscribe to '{topic.pubsub}/{topic.name}' but to "
            f"{names}; publish with 'dapr.client' when nobody needs to handle it"
        )

    def _check_binding(self, name: str) -> None:
        known = [info.name for info in self._app.table() if info.kind in {"binding", "cron"}]
        if name.strip("/") not in {found.strip("/") for found in known}:
            names = ", ".join(f"'{found}'" for found in known) or "none"
            raise LookupError(
                f"app '{self._app.app_id}' has no handler of binding '{name}'; it has {names}"
            )


def _data(topic: Topic[T], message: Message, event: EventDecoder, raw: BodyDecoder) -> T:
    """Decode what was published, as a handler would."""
    try:
        if message.content_type == CLOUDEVENTS_JSON:
            data: T = event.data(Delivery("topic", topic.name, message.data))
        else:
            data = raw.decode(message.data)
    except Undecodable as error:
        raise AssertionError(f"what was published on {topic!r} does not fit: {error}") from None
    return data


def _join(engine: Engine, app_id: str, fake: FakeApp) -> None:
    engine.runtimes[app_id] = Runtime(engine, RuntimeOptions(app_id, app_port=1), Resources(), fake)


async def _pause(runtime: Runtime) -> None:
    """Stop deliveries before the app stops; what hangs is left to the runtime's own end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            await runtime.pause()
