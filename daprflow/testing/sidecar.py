"""`TestSidecar`: an app, run in process against the embedded engine on a virtual clock."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload
from urllib.parse import quote

from daprflow.actors import ActorInterface
from daprflow.addresses import Endpoint, Topic, Workflow
from daprflow.client import Client, RawActor, Store, payload
from daprflow.client.publication import PublishOptions
from daprflow.errors import InvocationError
from daprflow.handlers.config_values import text_of
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import JSON, HttpRequest
from daprflow.protocol.operations import NO_METADATA
from daprflow.sidecar.clock import VirtualClock
from daprflow.testing.building import build
from daprflow.testing.fake_worker import FakeWorker
from daprflow.testing.fakes import FakeApp
from daprflow.testing.faults import Faults
from daprflow.testing.interleaving import Seed, Step
from daprflow.testing.ledger import EventKey, Ledger
from daprflow.testing.others import Others
from daprflow.testing.provisions import Items, Secrets, configure
from daprflow.testing.published import published
from daprflow.testing.saved import saved
from daprflow.testing.spans import CollectedSpans, collecting
from daprflow.testing.stage import Plan, Stage
from daprflow.testing.workflow_run import TestRun

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from daprflow.app import DaprFlow

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")
A = TypeVar("A", bound=ActorInterface)
BROKER_PATIENCE = 10.0
"""Seconds of real time in which a broker in another process has to deliver what it accepted."""


class TestSidecar(Others):
    """A sidecar for tests of an app: no process, no port, no mock, no waiting.

    Inside ``async with TestSidecar(app) as dapr:`` the app runs as under a server, its lifespan
    included, and its client talks to an embedded engine that keeps everything in memory. Time in
    that engine (retries, jobs, crons, time to live, waits of batches) stands still until `advance`;
    the event loop's time is real.

    State stores, brokers, configuration stores and lock stores that the app names are made when
    they are first used, unless ``resources_path`` says what there is. The app's crons are always
    there, and so are the jobs that its handlers have schedules for, and a store for its actors.

    Args:
        app: the app under test.
        host: the application it is installed in or wraps, when that is to be run too.
        secrets: secret stores by name, each a mapping of secrets.
        configuration: configuration stores by name, each a mapping of items; text and bytes as they
            are, anything else as JSON.
        resources_path: a folder of component files; then nothing else is made.
        peers: further apps, in the same engine and on the same clock; they start before this one.
        providers: values by type that handlers get in place of what the app's providers make.
        start: what the virtual clock shows at first; now, where it is None.
        replay: whether every turn of a workflow goes through its whole history from scratch, which
            shows what is not the same on replay.
        sockets: whether apps and sidecars listen on free ports, and speak over connections.
        seed: lets calls, deliveries and turns that wait at the same time go on one at a time, in an
            order of the seed's; see `explore`. None leaves it to the event loop.
        spans: whether the apps' spans are collected, as ``dapr.spans``; needs the extra ``otel``.
        env: whose components count that apps declare in code, servers and all; None is "test", with
            everything in memory.

    Example:
        ```python
        async def test_an_order_is_charged() -> None:
            async with TestSidecar(app) as dapr:
                assert await dapr.publish(orders, Order("7")) is Status.SUCCESS
        ```
    """

    __test__ = False  # no test case, whatever its name begins with

    def __init__(
        self,
        app: "DaprFlow",
        /,
        *,
        host: "ASGIApp | None" = None,
        secrets: Secrets | None = None,
        configuration: Items | None = None,
        resources_path: str | Path | None = None,
        peers: "Sequence[DaprFlow]" = (),
        providers: Mapping[Any, Any] | None = None,
        start: datetime | None = None,
        replay: bool = True,
        sockets: bool = False,
        seed: Seed | None = None,
        spans: bool = False,
        env: str | None = None,
    ) -> None:
        self._app = app
        self._clock = VirtualClock(None if start is None else start.timestamp())
        self._ledger = Ledger()
        resources = None if resources_path is None else Path(resources_path)
        self._faults = Faults(app.app_id, self._clock, always_rests=sockets)
        self._providers = dict(providers or {})
        self._plan = Plan(
            app,
            host,
            tuple(peers),
            secrets or {},
            configuration or {},
            resources,
            self._providers,
            self._clock,
            self._ledger,
            self._faults,
            replay,
            sockets,
            seed,
            env,
        )
        self._publishing = asyncio.Lock()
        self._workers: dict[str, FakeWorker] = {}
        self._fakes: dict[str, FakeApp] = {}
        self._stack = AsyncExitStack()
        self._running: Stage | None = None
        self._spans = CollectedSpans() if spans else None

    async def __aenter__(self) -> Self:
        """Start the app and its sidecar.

        Raises:
            AppDefinitionError: the app is defined wrongly.
            Exception: whatever the app's lifespan raises.
        """
        if self._running is not None:
            raise RuntimeError("this TestSidecar runs already; make another one")
        ids = [each.app_id for each in (*self._plan.peers, self._app)]
        if len(set(ids)) < len(ids):
            raise ValueError(f"two apps of this test have the same app id: {', '.join(ids)}")
        for each in (*self._plan.peers, self._app):
            each.freeze()
        async with AsyncExitStack() as stack:
            if self._spans is not None:
                stack.enter_context(collecting((*self._plan.peers, self._app), self._spans))
            self._running = await build(self._plan, self._fakes, stack)
            stack.push_async_callback(self._stop_workers)
            for worker in self._workers.values():
                worker.start(self._running.runtime.engine)
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
        return self._stage.client

    @property
    def spans(self) -> CollectedSpans:
        """What the apps did, as spans; for `TestSidecar(app, spans=True)`."""
        if self._spans is None:
            raise RuntimeError("no spans are collected; write TestSidecar(app, spans=True)")
        return self._spans

    @property
    def now(self) -> datetime:
        """What the virtual clock shows, in UTC."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def state(self, store: str, /) -> Store:
        """Return the app's state store of that name.

        Args:
            store: the component's name.

        Example: ``item = await dapr.state("statestore").get("cart:ann", Cart)``
        """
        return self.client.state(store)

    def published(self, topic: Topic[T], /) -> list[T]:
        """Return what anybody published on ``topic``, dead letters included, in order.

        Raises:
            AssertionError: something else than the topic's payload was published there.

        Example: ``assert dapr.published(orders) == [Order("7")]``
        """
        return published(self._ledger, topic, self._app.codecs)

    @overload
    async def saved(self, store: str, /) -> dict[str, Any]: ...
    @overload
    async def saved(self, store: str, kind: type[T], /) -> dict[str, T]: ...
    async def saved(self, store: str, kind: Any = Any, /) -> dict[str, Any]:
        """Return what the app keeps in a state store now, by key, without the app's prefix.

        What actors and workflows keep there is left out. It goes past faults and policies.

        Args:
            store: the component's name.
            kind: what every value is; without it they are plain JSON values, and text or bytes
                where they are none.

        Raises:
            LookupError: there is no such store among the ``resources_path``, or it cannot tell its
                keys. Without resource files a store that was not used yet is empty.
            AssertionError: a value is none of ``kind``.

        Example: ``assert await dapr.saved("statestore", Cart) == {"cart:ann": Cart()}``
        """
        runtime = self._stage.runtime
        if self._plan.resources is None and store not in runtime.loaded("state"):
            return {}
        return await saved(runtime, store, kind, self._app.codecs)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The calls that went on so far, in their order; empty without a seed."""
        conductor = self._stage.conductor
        return () if conductor is None else tuple(conductor.steps)

    @property
    def ports(self) -> tuple[int, int]:
        """Where the app and its sidecar listen, on 127.0.0.1.

        Raises:
            RuntimeError: they do not; make it with ``sockets=True``.
        """
        principal = self._stage.principal
        if principal.port is None or principal.http_port is None:
            raise RuntimeError("this sidecar has no ports; make it with sockets=True")
        return principal.port, principal.http_port

    # ---- what a test does -----------------------------------------------------------------------

    async def publish(
        self, topic: Topic[T], data: T | CloudEvent[T], /, **options: Unpack[PublishOptions]
    ) -> Status:
        """Publish an event and return what the first attempt to handle it came to.

        The options are those of ``client.publish``.

        A handler that fails gives `Status.RETRY`; move the clock to have it tried again. When a
        batch takes the event, the clock moves until the batch is due. Whatever else follows from
        the event at once is done when this returns.

        Args:
            topic: one that the app subscribes to.
            data: the payload, or a whole event.

        Raises:
            LookupError: the app does not subscribe to that topic.
            RuntimeError: the app is disconnected.

        Example: ``assert await dapr.publish(orders, Order("bad", -1)) is Status.DROP``
        """
        stage, settling = self._stage, self._stage.settling
        if stage.principal.line.cut:
            raise RuntimeError("the app is disconnected, so no event reaches it; call reconnect()")
        event = await self._published_event(topic, data, options)
        await settling.settle()
        subscribers = stage.subscribers(topic)
        end = self._clock.now() + stage.batch_wait(topic)
        while (status := self._ledger.verdict(event, subscribers)) is None:
            if not await settling.step(end):
                await self._arrival(topic, event, subscribers)
                await settling.settle()
        return status

    async def _published_event(
        self, topic: Topic[T], data: T | CloudEvent[T], options: PublishOptions
    ) -> EventKey:
        """Publish, and return the event that it made."""
        if not self._plan.sockets:
            with self._ledger.following() as events:
                await self.client.publish(topic, data, **options)
            return events[0]
        async with self._publishing:  # the task that publishes is the server's
            known = len(self._ledger.messages(topic.pubsub, topic.name))
            await self.client.publish(topic, data, **options)
            message = self._ledger.messages(topic.pubsub, topic.name)[known]
        return EventKey(topic.pubsub, topic.name, message.data)

    @overload
    def actor(self, kind: type[A], actor_id: str, /) -> A: ...
    @overload
    def actor(self, kind: str, actor_id: str, /) -> RawActor: ...
    def actor(self, kind: Any, actor_id: str, /) -> Any:
        """Return an actor to call, as ``Client.actor``.

        Its reminders and timers come with `advance`.

        Args:
            kind: the class, or the type's name.
            actor_id: the actor's.

        Raises:
            LookupError: nobody hosts such actors.

        Example: ``assert await dapr.actor(CartActor, "ann").add("tea") == 1``
        """
        name = kind if isinstance(kind, str) else kind.actor_type
        known = self._stage.runtime.engine.placement.types
        if name not in known:
            names = ", ".join(f"'{found}'" for found in known) or "none"
            raise LookupError(f"nobody hosts actors of type '{name}'; there are {names}")
        return self.client.actor(kind, actor_id)

    @overload
    async def invoke(
        self, endpoint: Endpoint[None, Out], data: None = None, /, **parameters: object
    ) -> Out: ...

    @overload
    async def invoke(
        self, endpoint: Endpoint[In, Out], data: In, /, **parameters: object
    ) -> Out: ...

    async def invoke(
        self, endpoint: Endpoint[Any, Out], data: Any = None, /, **parameters: object
    ) -> Out:
        """Invoke a method through the sidecar, and wait for what follows from it at once.

        It takes what ``client.invoke`` takes.

        Args:
            endpoint: a method of the app, or of another one that `fake` answers for.
            data: its input.
            **parameters: those of path, query and headers.

        Returns:
            what the method returns.

        Raises:
            InvocationError: the app answered with an error.

        Example: ``assert await dapr.invoke(price, Order("7")) == 5``
        """
        settling = self._stage.settling
        try:
            result: Out = await self.client.invoke(endpoint, data, **parameters)
        except InvocationError:
            await settling.settle()
            raise
        await settling.settle()
        return result

    @overload
    async def start(
        self,
        workflow: Workflow[None, Out],
        /,
        *,
        id: str | None = None,
        at: datetime | timedelta | None = None,
    ) -> TestRun[Out]: ...
    @overload
    async def start(
        self,
        workflow: Workflow[In, Out],
        data: In,
        /,
        *,
        id: str | None = None,
        at: datetime | timedelta | None = None,
    ) -> TestRun[Out]: ...
    async def start(
        self,
        workflow: Workflow[Any, Any],
        data: Any = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - as client.start
        at: datetime | timedelta | None = None,
    ) -> TestRun[Any]:
        """Start a workflow, and let it go on as far as it can at once.

        It takes what ``client.start`` takes for a new instance; times are the virtual clock's.
        Its timers come with `advance`. Its ``result()`` does not wait: what has not ended then is
        refused, and the text says what it waits for.

        Args:
            workflow: what ``@app.workflow`` returned.
            data: its input.
            id: the instance's; by default a new one.
            at: when it begins, or in how long; by default at once.

        Returns:
            the instance.

        Example: ``run = await dapr.start(checkout, Order("7"))``
        """
        stage = self._stage
        run = await self.client.start(workflow, data, id=id, at=at)
        await stage.settle()
        return TestRun(run, stage)

    def workflow(self, workflow: Workflow[Any, Out], id: str, /) -> TestRun[Out]:  # noqa: A002 - as client.workflow
        """Return an instance that a handler or another workflow started, as `start` does.

        Args:
            workflow: what ``@app.workflow`` returned.
            id: the instance's.

        Example: ``assert await dapr.workflow(checkout, "o7").result() == "done"``
        """
        return TestRun(self.client.workflow(workflow, id), self._stage)

    async def configure(self, store: str, key: str, value: object, /, *, version: str = "") -> None:
        """Change an item of a configuration store, and wait until everybody was told.

        Args:
            store: the component's name.
            key: the item's.
            value: text and bytes as they are, anything else as JSON; None removes the item.
            version: what the store says its version is.

        Raises:
            LookupError: there is no such store, or it is kept elsewhere.
            ValueError: the value is empty, which a store cannot tell from a missing item.

        Example: ``await dapr.configure("settings", "limits", {"daily": 5})``
        """
        stage = self._stage
        text = "" if value is None else text_of(value, self._app.codecs)
        if value is not None and not text:
            raise ValueError(f"the value of item '{key}' is empty; give None to remove it")
        await configure(stage.runtime, store, key, text, version)
        await stage.settle()

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

        Example: ``assert await dapr.trigger("sms-in", "hello") is Status.SUCCESS``
        """
        stage = self._stage
        hosted = stage.with_binding(name)
        headers = tuple((key.lower(), value) for key, value in metadata.items())
        body = b"" if data is None else payload.encode(data, None, self._app.codecs).body
        request = HttpRequest("POST", f"/{quote(name)}", (("content-type", JSON), *headers), body)
        response = await hosted.channel.send(request)
        await stage.settling.settle()
        good = 200 <= response.status < 300  # noqa: PLR2004 - the runtime takes any 2xx
        return Status.SUCCESS if good else Status.RETRY

    async def advance(self, by: timedelta, /) -> None:
        """Let virtual time pass: whatever becomes due happens, in order, and is done after.

        Handlers take their real time; one that sleeps holds this up.

        Args:
            by: how far the clock moves; zero does what is due.

        Raises:
            ValueError: it is below zero.

        Example: ``await dapr.advance(timedelta(days=2))  # takes no time``
        """
        if by < timedelta(0):
            raise ValueError(f"time cannot go back by {-by}")
        await self._stage.settling.advance(by)

    async def settle(self) -> None:
        """Wait until nothing can go on: no work, no delivery in flight, nothing due by now.

        What the sidecar's own methods begin is settled when they return; this is for what a test
        does with the `client`, or outside of both.

        Example: ``await dapr.settle()``
        """
        await self.advance(timedelta(0))

    def provide(self, kind: type[T], value: T, /) -> Self:
        """Give handlers ``value`` where they ask for a ``kind``; call it before the start.

        It is ``providers={kind: value}``, checked by type checkers.

        Args:
            kind: the type that handlers ask for.
            value: what they are given.

        Returns:
            this sidecar, to go on with.

        Raises:
            RuntimeError: the app runs already.

        Example: ``dapr = TestSidecar(app).provide(Table, Table("of the test"))``
        """
        if self._running is not None:
            raise RuntimeError("the app runs already; replace its providers before 'async with'")
        self._providers[kind] = value
        return self

    async def _arrival(
        self, topic: Topic[Any], event: EventKey, subscribers: frozenset[str]
    ) -> None:
        """Wait for a broker in another process, which takes real time to deliver."""
        try:
            await asyncio.wait_for(self._ledger.arrives(event, subscribers), BROKER_PATIENCE)
        except TimeoutError:
            raise LookupError(
                f"the event on '{topic.pubsub}/{topic.name}' was accepted and not delivered "
                f"within {BROKER_PATIENCE:g} s"
            ) from None

    # ---- refusals -------------------------------------------------------------------------------

    @property
    def _stage(self) -> Stage:
        if self._running is None:
            raise RuntimeError("the TestSidecar does not run; use it inside 'async with'")
        return self._running
