"""One app's sidecar: its components and blocks, and its link to the app."""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from daprflow.protocol.documents import AppConfig, Subscription
from daprflow.sidecar.access import api_access
from daprflow.sidecar.actors.state import actor_store
from daprflow.sidecar.app.base import App
from daprflow.sidecar.app_health import AppHealth
from daprflow.sidecar.app_start import wait_for_app
from daprflow.sidecar.blocks.actors import ActorsBlock
from daprflow.sidecar.blocks.bindings import BindingsBlock
from daprflow.sidecar.blocks.configuration import ConfigurationBlock
from daprflow.sidecar.blocks.conversation import ConversationBlock
from daprflow.sidecar.blocks.cryptography import CryptographyBlock
from daprflow.sidecar.blocks.invocation import InvocationBlock
from daprflow.sidecar.blocks.jobs import JobsBlock
from daprflow.sidecar.blocks.locks import LocksBlock
from daprflow.sidecar.blocks.metadata import MetadataBlock
from daprflow.sidecar.blocks.outbox import OutboxBlock
from daprflow.sidecar.blocks.pubsub import PubSubBlock, SubscriptionsRefused
from daprflow.sidecar.blocks.pubsub_wanted import Wanted, merged
from daprflow.sidecar.blocks.secrets import SecretsBlock
from daprflow.sidecar.blocks.state import StateBlock
from daprflow.sidecar.blocks.workflows import WorkflowsBlock
from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.clock import sleep_until
from daprflow.sidecar.components.base import Component, ComponentError, ConfigurationStore
from daprflow.sidecar.engine import Engine, Work
from daprflow.sidecar.loading import Exchange, LoadedComponent, Loader
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.pipeline import Pipeline, make_pipeline
from daprflow.sidecar.resiliency.resiliency import Resiliency
from daprflow.sidecar.telemetry.telemetry import Telemetry, open_telemetry

if TYPE_CHECKING:
    from daprflow.protocol.resiliency import ResiliencyResource
    from daprflow.protocol.resources import ComponentResource
    from daprflow.sidecar.resources import Resources

logger = logging.getLogger(__name__)

RETIRING = 5.0
"""Seconds that calls under way may go on using components that a reload takes away."""

AT_ONCE = 0.05
"""Seconds that an end without any grace gives those with nothing under way."""

CUT_OFF = 1.0
"""Seconds for deliveries to notice that their connection is gone."""


@dataclass(slots=True)
class Health:
    """What ``/v1.0/healthz`` and ``/v1.0/healthz/outbound`` answer from."""

    outbound_ready: bool = False
    ready: bool = False


class Runtime:
    """One app's sidecar.

    `open` brings components and blocks up, `connect` finds the app and starts deliveries. A block
    is made from its runtime, ``Block(runtime)``, when every component is loaded.

    Args:
        engine: shared by all apps of a run.
        options: what this sidecar was started with.
        resources: the component files as loaded.
        app: what there is to call; None when there is nothing.

    Attributes:
        components: the visible ones, in load order.
        config: the app's ``/dapr/config``, as far as it is used.
        http_pipeline: the middleware around the HTTP API; None without any.
        api_access: which parts of the HTTP API are served; None serves all.
        calls: calls on the HTTP API under way since the last reload.
        loader: opens components and looks up what documents refer to.
        extended: the extended metadata set through ``PUT /v1.0/metadata/{key}``.
        resiliency: the policies of calls in both directions.
        telemetry: what it measures and traces, once it is open.
        shutdown_requested: set by ``POST /v1.0/shutdown``; ``shutdown_forced`` if it was forced.
    """

    state: StateBlock
    pubsub: PubSubBlock
    outbox: OutboxBlock
    invocation: InvocationBlock
    bindings: BindingsBlock
    jobs: JobsBlock
    actors: ActorsBlock
    configuration: ConfigurationBlock
    locks: LocksBlock
    conversation: ConversationBlock
    cryptography: CryptographyBlock
    secrets: SecretsBlock
    metadata: MetadataBlock
    workflows: WorkflowsBlock

    def __init__(
        self,
        engine: Engine,
        options: RuntimeOptions,
        resources: "Resources",
        app: App | None,
    ) -> None:
        self.engine = engine
        self.options = options
        self.resources = resources
        self.app = app
        self.app_id = options.app_id
        self.replica = options.replica
        self._present = True
        self.health = Health()
        self.components: list[LoadedComponent] = []
        self.config = AppConfig()
        self.extended: dict[str, str] = {}
        self.shutdown_requested = asyncio.Event()
        self.shutdown_forced = False
        self.resiliency = Resiliency(
            engine.clock, engine.work, options.app_id, resources.resiliencies
        )
        self.telemetry = Telemetry(engine.clock)
        self.loader = Loader(engine, options, self.resiliency.guard)
        self._own: tuple[Subscription, ...] | None = ()
        self._app_health: AppHealth | None = None
        self.http_pipeline: Pipeline | None = None
        self.api_access = api_access(resources.configuration)
        self.calls = Work()
        self._turn = asyncio.Lock()
        self._reloading = asyncio.Lock()
        self._delivering = False
        self._seen = False
        self._closing: asyncio.Task[None] | None = None

    @property
    def channel(self) -> AppChannel | None:
        """The way to an app that speaks HTTP; None where there is no such app."""
        return None if self.app is None else self.app.http

    @property
    def subscriptions(self) -> tuple[Wanted, ...]:
        """The subscriptions that run now."""
        return self.pubsub.subscriptions

    @property
    def http_endpoints(self) -> tuple[str, ...]:
        """The names of hosts outside Dapr."""
        return self.invocation.endpoints if self.health.outbound_ready else ()

    @property
    def app_healthy(self) -> bool:
        """Whether calls on the app are allowed: always, unless its health is checked."""
        return self._app_health is None or self._app_health.healthy

    @property
    def takes_calls(self) -> bool:
        """Whether its app is here for calls: healthy, not starting anew, not about to leave."""
        return self._present and self.app is not None and self.app_healthy

    def others_take_calls(self) -> bool:
        """Tell whether another replica of the app is here for what cannot get to this one."""
        return any(
            each.takes_calls for each in self.engine.runtimes.of(self.app_id) if each is not self
        )

    def loaded(self, kind: str) -> dict[str, Component]:
        """Return the opened components of one kind ("state", "pubsub", …) by name."""
        return {c.resource.name: c.instance for c in self.components if c.kind == kind}

    async def open(self) -> None:
        """Open the components and make the blocks; outbound calls work from then on.

        Raises:
            ComponentError: a component, or the file of the engine, cannot be opened.
        """
        self.telemetry = open_telemetry(
            self.resources.configuration, self.engine.clock, self.options
        )
        if self.app is not None:
            self.telemetry.watch(self.app)
        self.loader.meters = self.telemetry.meters
        self.resiliency.measure(self.telemetry.meters)
        await self.engine.jobs.open()
        await self.engine.reminders.open()
        self.components = await self.loader.load(self.resources.components)
        self._put_pipelines(*self._pipelines())
        self.secrets = SecretsBlock(self)
        self.outbox = OutboxBlock(self)
        self.state = StateBlock(self)
        self.pubsub = PubSubBlock(self)
        self.bindings = BindingsBlock(self)
        self.jobs = JobsBlock(self)
        self.actors = ActorsBlock(self)
        self.configuration = ConfigurationBlock(self)
        self.locks = LocksBlock(self)
        self.conversation = ConversationBlock(self)
        self.cryptography = CryptographyBlock(self)
        self.invocation = InvocationBlock(self)
        await self.invocation.renew()
        self.metadata = MetadataBlock(self)
        self.workflows = WorkflowsBlock(self)
        await self.outbox.start()
        self.engine.runtimes.add(self)
        await self.workflows.join()
        self.health.outbound_ready = True

    async def add(self, resource: "ComponentResource") -> None:
        """Open one more component of a block that takes some in while the sidecar runs.

        Those are state, pub/sub, configuration and locks.

        Raises:
            ComponentError: it cannot be opened.
        """
        known = len(self.components)
        self.components = await self.loader.load((resource,))
        self.state = StateBlock(self)
        self.locks = LocksBlock(self)
        await self.actors.renew()
        await self.workflows.renew()
        for loaded in self.components[known:]:
            if loaded.kind == "pubsub":
                self.pubsub.admit(loaded)
            elif loaded.kind == "configuration":
                store = cast("ConfigurationStore", loaded.instance)
                self.configuration.admit(loaded.resource.name, store)
        self.outbox.read()
        await self.outbox.start()

    async def connect(self) -> None:
        """Wait for the app, read its documents and start deliveries.

        With app health checks on it returns once probing began; deliveries start with the first
        healthy answer.
        """
        if self.app is not None:
            await wait_for_app(self.app, self.engine.clock, self.options)
            self._present = self._closing is None
            await self._begin(self.app)
        self.engine.arrivals.arrived(self.app_id)
        self.health.ready = True

    async def pause(self) -> None:
        """Stop deliveries; what is queued stays, and no event counts as failed by this."""
        self._present = False
        if self._app_health is not None:
            await self._app_health.stop()
            self._app_health = None
        async with self._turn:
            await self._stop_deliveries()

    async def reconnect(self) -> None:
        """Go on after the app was started anew: wait for it and read its subscriptions again."""
        await self.pause()
        self._seen = False
        await self.connect()

    async def reload(self, resources: "Resources") -> tuple[str, ...]:
        """Bring a running sidecar to what its files say now; the app is not started anew.

        Components that changed are opened before those in use are closed, and closed once the
        calls on them have ended; what a durable broker holds waits meanwhile.

        Returns:
            one line for each part that was refused; there everything stays as it was.
        """
        async with self._reloading:
            old = self.resources
            exchange = await self.loader.exchange(resources.components)
            try:
                await self._exchange(exchange, resources)
            except ComponentError as error:
                await self.loader.revert(exchange)
                self.components, self.resources = self.loader.components, old
                return (*exchange.problems, str(error))
            await self.pubsub.streams.move()
            if exchange.retired:  # else nothing waits: a call may be for an app that is away
                finished, self.calls = self.calls, Work()
                await self._within(finished.idle(), RETIRING)
                await self.loader.release(exchange.retired)
            if old.resiliencies != resources.resiliencies:
                await self.reload_resiliency(resources.resiliencies)
            return exchange.problems

    async def _exchange(self, exchange: Exchange, resources: "Resources") -> None:
        """Make the blocks anew whose components are others, and move deliveries there.

        Raises:
            ComponentError: a component's metadata do not suit its block; nothing was changed.
        """
        async with self._turn:
            self.components = self.loader.components
            pipelines = self._pipelines()
            actor_store(self.components)  # refuses two of them
            before, self.resources = self.resources, resources
            if before.http_endpoints != resources.http_endpoints:
                await self.invocation.renew()
            self._renew(exchange.kinds)
            if "state" in exchange.kinds:
                await self.actors.renew()
                await self.workflows.renew()
            if "middleware" in exchange.kinds:
                self._put_pipelines(*pipelines)
            if "configuration" in exchange.kinds:
                await self.configuration.renew()
            if "bindings" in exchange.kinds:
                await self.bindings.renew()
            self.pubsub.readmit([each for each in self.components if each.kind == "pubsub"])
            self.outbox.read()
            await self.outbox.start()
            if self._delivering and self.app is not None:
                await self._redeliver(self.app, exchange)

    def _renew(self, kinds: Collection[str]) -> None:
        """Make those blocks anew that hold nothing but their components."""
        if "state" in kinds:
            self.state = StateBlock(self)
        if "secretstores" in kinds:
            self.secrets = SecretsBlock(self)
        if "lock" in kinds:
            self.locks = LocksBlock(self)
        if "conversation" in kinds:
            self.conversation = ConversationBlock(self)
        if "crypto" in kinds:
            self.cryptography = CryptographyBlock(self)

    def _pipelines(self) -> tuple[Pipeline | None, Pipeline | None]:
        """Return the middleware around the HTTP API, and around calls on the app."""
        configuration = self.resources.configuration
        return (
            make_pipeline(configuration.http_pipeline, self.components),
            make_pipeline(configuration.app_http_pipeline, self.components),
        )

    def _put_pipelines(self, api: Pipeline | None, app: Pipeline | None) -> None:
        self.http_pipeline = api
        if app is not None and self.app is not None:
            self.app.use_pipeline(app)

    async def _redeliver(self, app: App, exchange: Exchange) -> None:
        had_brokers = any(each.kind == "pubsub" for each in exchange.before)
        if not had_brokers and self.loaded("pubsub"):
            self._own = await self._read_documents(app)
        await self._subscribe(app)
        await self.bindings.start()

    async def _within(self, work: Awaitable[None], seconds: float) -> None:
        """Wait for ``work``, but no longer than this on the engine's clock."""
        clock = self.engine.clock
        waiting = {
            asyncio.ensure_future(work),
            asyncio.ensure_future(sleep_until(clock, clock.now() + seconds)),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def reload_resiliency(self, resources: "Sequence[ResiliencyResource]") -> None:
        """Apply other Resiliency documents; breakers of unchanged policies keep their state.

        Calls of the app have the new policies at once. Deliveries are restarted, and the app's
        documents are read again, as the real runtime does after such a change.
        """
        self.resiliency.replace(resources)
        await self.pubsub.streams.restart()
        if self._seen:
            await self.reconnect()

    async def close(self, grace: float) -> None:
        """Stop deliveries, give every component back and drop the link to the app.

        It goes on to its end when the caller is cancelled. Called once more, it waits for that end,
        and with no grace cuts what is still under way.

        Args:
            grace: seconds that deliveries in flight may take to end.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(grace))
        elif grace <= 0:
            if self.app is not None:
                await self.app.close()
            if self.health.outbound_ready:
                self.pubsub.streams.cut()
        await asyncio.shield(self._closing)

    async def _close(self, grace: float) -> None:
        self.health.ready = self._present = False
        self.resiliency.close()
        await self._end_deliveries(grace)
        self.engine.runtimes.remove(self)
        if self.health.outbound_ready:
            await self.workflows.close()
            await self.outbox.stop()
            await self.actors.close()
            await self.configuration.close()
            await self.invocation.close()
        await self.loader.unload()
        self.health.outbound_ready = False
        await self.telemetry.close()

    async def _end_deliveries(self, grace: float) -> None:
        """Stop deliveries; those that do not end in time lose their connection."""
        stop = asyncio.get_running_loop().create_task(self._end_events())
        _, pending = await asyncio.wait({stop}, timeout=max(grace, AT_ONCE))
        if pending:
            logger.warning(
                "deliveries to '%s' did not end within %g s; what a durable broker holds of them "
                "is delivered again",
                self.app_id,
                grace,
            )
        if self.app is not None:
            await self.app.close()
        if pending and self.health.outbound_ready:
            self.pubsub.streams.cut()
        if pending:
            _, pending = await asyncio.wait({stop}, timeout=CUT_OFF)
        if pending:
            stop.cancel()
            await asyncio.wait({stop})
        elif (error := stop.exception()) is not None:
            logger.error("stopping deliveries to '%s' failed", self.app_id, exc_info=error)

    async def _end_events(self) -> None:
        """Stop everything that takes events to somebody."""
        if self.health.outbound_ready:
            await asyncio.gather(self.pause(), self.pubsub.streams.close())
        else:
            await self.pause()

    # ---- the app --------------------------------------------------------------------------------

    async def _begin(self, app: App) -> None:
        if not self.options.enable_app_health_check:
            await self._start_deliveries(app)
            return
        health = AppHealth(
            app,
            self.engine.clock,
            self.options,
            healthy=lambda: self._start_deliveries(app),
            unhealthy=self._app_turned_unhealthy,
        )
        self._app_health = health
        health.start()

    async def _app_turned_unhealthy(self) -> None:
        async with self._turn:
            await self._stop_deliveries()

    async def _start_deliveries(self, app: App) -> None:
        """Do what follows when the app became healthy; its documents are read the first time."""
        async with self._turn:
            if self._delivering or self._closing is not None:
                return
            if not self._seen:
                self._seen = True
                self.config = await app.config(self.app_id)
                self._own = await self._read_documents(app)
            self._delivering = True
            self.resiliency.start_deliveries()
            await self._subscribe(app)
            await self.bindings.start()
            await self.actors.hosting.start()
            await self.jobs.start()

    async def _subscribe(self, app: App) -> None:
        """Bring the subscriptions to what the app and the files say now."""
        declared = [resource.document for resource in self.resources.subscriptions]
        wanted = () if self._own is None else merged(declared, self._own)
        try:
            await self.pubsub.start(wanted, app)
        except SubscriptionsRefused as refused:
            logger.error("%s", refused)  # noqa: TRY400 - the text says all

    async def _read_documents(self, app: App) -> tuple[Subscription, ...] | None:
        if not self.loaded("pubsub"):
            return ()
        backoff = self.resiliency.initialization_retries()
        return await app.subscriptions(self.app_id, self.engine.clock, backoff)

    async def _stop_deliveries(self) -> None:
        if not self._delivering:
            return
        self._delivering = False
        self.resiliency.stop_deliveries()
        stops: list[Awaitable[None]] = [
            self.pubsub.stop(),
            self.bindings.stop(),
            self.jobs.stop(),
        ]
        await asyncio.gather(*stops)
        await self.actors.hosting.stop()  # what is under way until then may need them
