"""One app's sidecar: its components and blocks, and its link to the app."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daprflow.protocol.documents import AppConfig, Subscription
from daprflow.sidecar.app_health import AppHealth
from daprflow.sidecar.app_start import read_config, read_subscriptions, wait_for_app
from daprflow.sidecar.blocks.bindings import BindingsBlock
from daprflow.sidecar.blocks.conversation import ConversationBlock
from daprflow.sidecar.blocks.invocation import InvocationBlock
from daprflow.sidecar.blocks.metadata import MetadataBlock
from daprflow.sidecar.blocks.pubsub import PubSubBlock, SubscriptionsRefused
from daprflow.sidecar.blocks.pubsub_wanted import Wanted, merged
from daprflow.sidecar.blocks.secrets import SecretsBlock
from daprflow.sidecar.blocks.state import StateBlock
from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.components.base import Component
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.loading import LoadedComponent, Loader
from daprflow.sidecar.options import RuntimeOptions

if TYPE_CHECKING:
    from daprflow.protocol.resources import ComponentResource
    from daprflow.sidecar.resources import Resources

logger = logging.getLogger(__name__)

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
        channel: the way to the app; None when there is none to call.

    Attributes:
        components: the visible ones, in load order.
        config: the app's ``/dapr/config``, as far as it is used.
        extended: the extended metadata set through ``PUT /v1.0/metadata/{key}``.
        shutdown_requested: set by ``POST /v1.0/shutdown``; ``shutdown_forced`` if it was forced.
    """

    state: StateBlock
    pubsub: PubSubBlock
    invocation: InvocationBlock
    bindings: BindingsBlock
    conversation: ConversationBlock
    secrets: SecretsBlock
    metadata: MetadataBlock

    def __init__(
        self,
        engine: Engine,
        options: RuntimeOptions,
        resources: "Resources",
        channel: AppChannel | None,
    ) -> None:
        self.engine = engine
        self.options = options
        self.resources = resources
        self.channel = channel
        self.app_id = options.app_id
        self.health = Health()
        self.components: list[LoadedComponent] = []
        self.config = AppConfig()
        self.extended: dict[str, str] = {}
        self.shutdown_requested = asyncio.Event()
        self.shutdown_forced = False
        self._loader = Loader(engine, options)
        self._own: tuple[Subscription, ...] | None = ()
        self._app_health: AppHealth | None = None
        self._turn = asyncio.Lock()
        self._delivering = False
        self._seen = False
        self._closing: asyncio.Task[None] | None = None

    @property
    def subscriptions(self) -> tuple[Wanted, ...]:
        """The subscriptions that run now."""
        return self.pubsub.subscriptions

    @property
    def app_healthy(self) -> bool:
        """Whether calls on the app are allowed: always, unless its health is checked."""
        return self._app_health is None or self._app_health.healthy

    def loaded(self, kind: str) -> dict[str, Component]:
        """Return the opened components of one kind ("state", "pubsub", …) by name."""
        return {c.resource.name: c.instance for c in self.components if c.kind == kind}

    async def open(self) -> None:
        """Open the components and make the blocks; outbound calls work from then on.

        Raises:
            ComponentError: a component cannot be opened.
        """
        self.components = await self._loader.load(self.resources.components)
        self.secrets = SecretsBlock(self)
        self.state = StateBlock(self)
        self.pubsub = PubSubBlock(self)
        self.bindings = BindingsBlock(self)
        self.conversation = ConversationBlock(self)
        self.invocation = InvocationBlock(self)
        self.metadata = MetadataBlock(self)
        self.engine.runtimes[self.app_id] = self
        self.health.outbound_ready = True

    async def add(self, resource: "ComponentResource") -> None:
        """Open one more state store or pub/sub component while the sidecar runs.

        Raises:
            ComponentError: it cannot be opened.
        """
        known = len(self.components)
        self.components = await self._loader.load((resource,))
        self.state = StateBlock(self)
        for loaded in self.components[known:]:
            if loaded.kind == "pubsub":
                self.pubsub.admit(loaded)

    async def connect(self) -> None:
        """Wait for the app, read its documents and start deliveries.

        With app health checks on it returns once probing began; deliveries start with the first
        healthy answer.
        """
        if self.channel is not None:
            await wait_for_app(self.channel, self.engine.clock, self.options)
            await self._begin(self.channel)
        self.health.ready = True

    async def pause(self) -> None:
        """Stop deliveries; what is queued stays, and no event counts as failed by this."""
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

    async def close(self, grace: float) -> None:
        """Stop deliveries, give every component back and drop the link to the app.

        It goes on to its end when the caller is cancelled. Called once more, it waits for that end,
        and with no grace cuts what is still under way.

        Args:
            grace: seconds that deliveries in flight may take to end.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(grace))
        elif grace <= 0 and self.channel is not None:
            await self.channel.close()
        await asyncio.shield(self._closing)

    async def _close(self, grace: float) -> None:
        self.health.ready = False
        await self._end_deliveries(grace)
        if self.engine.runtimes.get(self.app_id) is self:
            del self.engine.runtimes[self.app_id]
        if self.health.outbound_ready:
            await self.invocation.close()
        await self._loader.unload()
        self.health.outbound_ready = False

    async def _end_deliveries(self, grace: float) -> None:
        """Stop deliveries; those that do not end in time lose their connection."""
        stop = asyncio.get_running_loop().create_task(self.pause())
        _, pending = await asyncio.wait({stop}, timeout=grace)
        if pending:
            logger.warning(
                "deliveries to '%s' did not end within %g s; what a durable broker holds of them "
                "is delivered again",
                self.app_id,
                grace,
            )
        if self.channel is not None:
            await self.channel.close()
        if pending:
            _, pending = await asyncio.wait({stop}, timeout=CUT_OFF)
        if pending:
            stop.cancel()
            await asyncio.wait({stop})
        elif (error := stop.exception()) is not None:
            logger.error("stopping deliveries to '%s' failed", self.app_id, exc_info=error)

    # ---- the app --------------------------------------------------------------------------------

    async def _begin(self, channel: AppChannel) -> None:
        if not self.options.enable_app_health_check:
            await self._start_deliveries(channel)
            return
        health = AppHealth(
            channel,
            self.engine.clock,
            self.options,
            healthy=lambda: self._start_deliveries(channel),
            unhealthy=self._app_turned_unhealthy,
        )
        self._app_health = health
        health.start()

    async def _app_turned_unhealthy(self) -> None:
        async with self._turn:
            await self._stop_deliveries()

    async def _start_deliveries(self, channel: AppChannel) -> None:
        """Do what follows when the app became healthy; its documents are read the first time."""
        async with self._turn:
            if self._delivering or self._closing is not None:
                return
            if not self._seen:
                self._seen = True
                self.config = await read_config(channel, self.app_id)
                self._own = await self._read_documents(channel)
            self._delivering = True
            await self._subscribe(channel)
            await self.bindings.start()

    async def _subscribe(self, channel: AppChannel) -> None:
        """Bring the subscriptions to what the app and the files say now."""
        declared = [resource.document for resource in self.resources.subscriptions]
        wanted = () if self._own is None else merged(declared, self._own)
        try:
            await self.pubsub.start(wanted, channel)
        except SubscriptionsRefused as refused:
            logger.error("%s", refused)  # noqa: TRY400 - the text says all

    async def _read_documents(self, channel: AppChannel) -> tuple[Subscription, ...] | None:
        if not self.loaded("pubsub"):
            return ()
        return await read_subscriptions(channel, self.app_id, self.engine.clock)

    async def _stop_deliveries(self) -> None:
        if not self._delivering:
            return
        self._delivering = False
        stops: list[Awaitable[None]] = [self.pubsub.stop(), self.bindings.stop()]
        await asyncio.gather(*stops)
