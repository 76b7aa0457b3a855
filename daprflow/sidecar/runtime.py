"""One app's sidecar: its components and blocks, and its link to the app."""

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daprflow.sidecar.channel.base import AppChannel
from daprflow.sidecar.components.base import Component
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.options import RuntimeOptions

if TYPE_CHECKING:
    from daprflow.protocol.resources import ComponentResource
    from daprflow.sidecar.resources import Resources

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Health:
    """What ``/v1.0/healthz`` and ``/v1.0/healthz/outbound`` answer from."""

    outbound_ready: bool = False
    ready: bool = False


@dataclass(frozen=True, slots=True)
class LoadedComponent:
    """A component that this app may use: its definition and its opened instance."""

    resource: "ComponentResource"
    instance: Component

    @property
    def kind(self) -> str:
        """The building block: "state", "pubsub", "bindings", "secretstores"."""
        return self.resource.type.partition(".")[0]


class Runtime:
    """One app's sidecar.

    A block is made from its runtime, ``Block(runtime)``, when `open` has loaded every component;
    it finds them with `loaded`.

    Attributes:
        components: the visible ones, in load order.
        extended: the extended metadata set through ``PUT /v1.0/metadata/{key}``.
        shutdown_requested: set by ``POST /v1.0/shutdown``.
    """

    state: Any
    pubsub: Any
    invocation: Any
    bindings: Any
    secrets: Any
    metadata: Any

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
        self.extended: dict[str, str] = {}
        self.shutdown_requested = asyncio.Event()

    def loaded(self, kind: str) -> dict[str, Component]:
        """Return the opened components of one kind ("state", "pubsub", …) by name."""
        return {c.resource.name: c.instance for c in self.components if c.kind == kind}

    async def close(self, grace: float) -> None:
        """Stop deliveries and give every component back; waits ``grace`` seconds at most."""
        raise NotImplementedError
