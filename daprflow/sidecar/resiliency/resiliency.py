"""The resiliency of one app's sidecar: which policy each target has, also after a reload."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast
from weakref import WeakSet

from daprflow.protocol.resiliency import BreakerSpec, ResiliencyResource
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.components.base import Component
from daprflow.sidecar.engine import Work
from daprflow.sidecar.resiliency.backoff import Backoff
from daprflow.sidecar.resiliency.breaker import Breaker
from daprflow.sidecar.resiliency.catalog import (
    INITIALIZATION_RETRIES,
    SERVICE_RETRIES,
    Catalog,
    PolicySpec,
    merge,
)
from daprflow.sidecar.resiliency.guard import Guarded
from daprflow.sidecar.resiliency.pauses import Pauses
from daprflow.sidecar.resiliency.policy import Policy
from daprflow.sidecar.resiliency.targets import ComponentBreaker, Endpoints, Recent
from daprflow.sidecar.resiliency.watched_policy import INBOUND, KINDS, OUTBOUND, PolicyWatch

if TYPE_CHECKING:
    from daprflow.sidecar.telemetry.meters import Meters, PolicyMeters

logger = logging.getLogger(__name__)

_APPS = 1000
"""Apps and addresses whose breakers are kept."""


class Resiliency:
    """Finds policies and keeps the breakers.

    `replace` may be called at any time: calls under way end under the policies that they began
    with, and a breaker whose policy did not change keeps its state. Deliveries look their policy up
    when they start, so they must be restarted after it (`Runtime.reload_resiliency` does both).

    Args:
        clock: the engine's.
        work: the engine's.
        app_id: documents scoped to other apps are left out.
        resources: the documents, in the order of their files.

    Attributes:
        names: of the documents that apply.
        guards_calls: whether any call on an app can have a policy: else nobody needs to look.
    """

    def __init__(
        self, clock: Clock, work: Work, app_id: str, resources: Sequence[ResiliencyResource] = ()
    ) -> None:
        self._clock = clock
        self._app_id = app_id
        self._outbound = Pauses(clock, work, for_callers=True)
        self._inbound = Pauses(clock, work)
        self._guards: WeakSet[_KnownGuard] = WeakSet()
        self._endpoints: Recent[Endpoints] = Recent(_APPS)
        self._actors: Recent[Endpoints] = Recent(_APPS)
        self._breakers: dict[str, ComponentBreaker] = {}
        self._meters: PolicyMeters | None = None
        self.names: tuple[str, ...] = ()
        self._catalog = self._merged(resources)
        self.guards_calls = self._guards_any_call()

    # ---- the policies of each target ------------------------------------------------------------

    def app(self, app_id: str, method: str) -> Policy | None:
        """Return what applies to a call on an app; None where nothing does.

        Args:
            app_id: as the caller wrote it: an app's id, an endpoint's name, or an address.
            method: what the breaker is for, beside the app.
        """
        spec = self._catalog.app(app_id)
        if spec.empty:
            return None
        breaker = None
        if spec.breaker is not None:
            breaker = self._endpoint_breaker(app_id, method, spec, spec.breaker)
        name = f"calling app '{app_id}'"
        watch = self._watched(OUTBOUND, f"app_{app_id}")
        return Policy(name, self._clock, self._outbound, spec.timeout, spec.retry, breaker, watch)

    def targets_app(self, app_id: str) -> bool:
        """Tell whether a document names the app: then the built-in retries do not apply."""
        return app_id in self._catalog.apps

    def actor(self, kind: str, actor_id: str) -> Policy | None:
        """Return what applies to a call of an actor, its timeout aside; None where nothing does.

        It goes around the wait for a turn; `actor_timeout` is for the turn itself.
        """
        if not self.names:
            return None
        spec = self._catalog.actor(kind)
        if spec.retry is None and spec.breaker is None:
            return None
        breaker = None
        if spec.breaker is not None:
            breaker = self._actor_breaker(kind, actor_id, spec, spec.breaker)
        name = f"calling actor '{kind}/{actor_id}'"
        watch = self._watched(OUTBOUND, f"actor_{kind}")
        return Policy(name, self._clock, self._outbound, None, spec.retry, breaker, watch)

    def actor_timeout(self, kind: str) -> float | None:
        """Return how many seconds a turn of an actor may take; None is no limit."""
        return self._catalog.actor(kind).timeout if self.names else None

    def targets_actor(self, kind: str) -> bool:
        """Tell whether a document names the type: then no call waits for a host of it."""
        return kind in self._catalog.actors

    def inbound(self, name: str, kind: str) -> Policy | None:
        """Return what applies to deliveries of a component; None where nothing does.

        Args:
            name: the component's.
            kind: its building block: "pubsub", "bindings", "configuration".
        """
        spec = self._catalog.inbound(name, kind)
        return self._component(f"a delivery of '{name}'", name, kind, spec, self._inbound)

    def outbound(self, name: str, kind: str) -> Policy | None:
        """Return what applies to calls on a component; None where nothing does."""
        spec = self._catalog.outbound(name, kind)
        return self._component(f"a call on component '{name}'", name, kind, spec, self._outbound)

    def service_retries(self) -> Backoff:
        """Return the pauses of the retries between apps that are there without any target."""
        return Backoff(self._catalog.retries[SERVICE_RETRIES], self._clock.now)

    def initialization_retries(self) -> Backoff:
        """Return the pauses of the retries when the app's subscriptions are fetched."""
        return Backoff(self._catalog.retries[INITIALIZATION_RETRIES], self._clock.now)

    async def pause(self, seconds: float) -> bool:
        """Pause before a call is made again; False when the sidecar closes meanwhile."""
        return await self._outbound.wait(seconds)

    def guard(self, name: str, kind: str, component: Component) -> Component:
        """Return ``component`` as the app is to use it, under the outbound policy of the moment."""
        guard = _KnownGuard(name, kind, component)
        guard.apply(self.outbound(name, kind))
        self._guards.add(guard)
        return cast("Component", guard)

    # ---- while the sidecar runs -----------------------------------------------------------------

    def replace(self, resources: Sequence[ResiliencyResource]) -> None:
        """Apply other documents from now on; breakers of unchanged policies keep their state."""
        self._catalog = self._merged(resources)
        self.guards_calls = self._guards_any_call()
        self._keep_breakers()
        for guard in tuple(self._guards):
            guard.apply(self.outbound(guard.name, guard.kind))

    def start_deliveries(self) -> None:
        """Let deliveries pause between attempts."""
        self._inbound.resume()

    def stop_deliveries(self) -> None:
        """Have no delivery wait for its next attempt any more: `StoppedRetrying` ends it."""
        self._inbound.stop()

    def close(self) -> None:
        """Have nothing wait for its next attempt any more."""
        self._inbound.stop()
        self._outbound.stop()

    # ---- metrics --------------------------------------------------------------------------------

    def measure(self, meters: "Meters | None") -> None:
        """Count from now on what policies do."""
        if meters is not None:
            self._meters = meters.policies
            for name in self.names:
                self._meters.loaded(name).add()

    def _watched(self, direction: str, target: str) -> PolicyWatch | None:
        if self._meters is None or not self.names:
            return None
        return PolicyWatch(self._meters, ",".join(self.names), direction, target)

    # ---- finding --------------------------------------------------------------------------------

    def _merged(self, resources: Sequence[ResiliencyResource]) -> Catalog:
        visible = [r for r in resources if not r.scopes or self._app_id in r.scopes]
        self.names = tuple(resource.name for resource in visible)
        return merge(visible)

    def _guards_any_call(self) -> bool:
        return bool(self._catalog.apps) or not self._catalog.app("").empty

    def _endpoint_breaker(
        self, app_id: str, method: str, spec: PolicySpec, breaker: BreakerSpec
    ) -> Breaker:
        def endpoints() -> Endpoints:
            return Endpoints(spec, Recent(spec.breakers))

        key = f"{app_id}:{method}"
        breakers = self._endpoints.get(app_id, endpoints).breakers
        return breakers.get(key, lambda: Breaker(key, breaker, self._clock.now))

    def _actor_breaker(
        self, kind: str, actor_id: str, spec: PolicySpec, breaker: BreakerSpec
    ) -> Breaker:
        """Return the breaker of a type, or of one actor; without a target it is the type's."""
        target = self._catalog.actors.get(kind)
        one_for_all = target is None or target.scope == "type"
        key = kind if one_for_all else f"{kind}-{actor_id}"
        endpoints = self._actors.get(kind, lambda: Endpoints(spec, Recent(spec.breakers)))
        return endpoints.breakers.get(key, lambda: Breaker(key, breaker, self._clock.now))

    def _component(
        self, what: str, name: str, kind: str, spec: PolicySpec, pauses: Pauses
    ) -> Policy | None:
        if spec.empty:
            return None
        breaker = None
        if spec.breaker is not None:
            breaker = self._component_breaker(name, kind, spec.breaker)
        direction = INBOUND if pauses is self._inbound else OUTBOUND
        watch = self._watched(direction, f"{KINDS.get(kind, kind)}_{name}")
        return Policy(what, self._clock, pauses, spec.timeout, spec.retry, breaker, watch)

    def _component_breaker(self, name: str, kind: str, spec: BreakerSpec) -> Breaker:
        """Return a component's one breaker: both directions share it, the first policy counts."""
        found = self._breakers.get(name)
        if found is None:
            breaker = Breaker(name, spec, self._clock.now)
            found = self._breakers[name] = ComponentBreaker(kind, breaker)
        return found.breaker

    def _keep_breakers(self) -> None:
        """Forget the breakers whose policy is another one now."""
        catalog = self._catalog
        self._endpoints.retain(lambda app_id, kept: kept.fits(catalog.app(app_id)))
        self._actors.retain(lambda kind, kept: kept.fits(catalog.actor(kind)))
        self._breakers = {
            name: kept
            for name, kept in self._breakers.items()
            if kept.breaker.spec
            in (catalog.outbound(name, kept.kind).breaker, catalog.inbound(name, kept.kind).breaker)
        }


class _KnownGuard(Guarded):
    """A guard that can be found again when the policies change."""

    def __init__(self, name: str, kind: str, component: Component) -> None:
        super().__init__(kind, component)
        self.name = name
        self.kind = kind
