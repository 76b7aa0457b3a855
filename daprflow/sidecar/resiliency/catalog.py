"""All policies that one app sees, found by target or by the names that stand for defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from daprflow.protocol.resiliency import (
    ActorTarget,
    AppTarget,
    BreakerSpec,
    ComponentTarget,
    PolicyNames,
    ResiliencyResource,
    RetrySpec,
)

SERVICE_RETRIES: Final = "DaprBuiltInServiceRetries"
INITIALIZATION_RETRIES: Final = "DaprBuiltInInitializationRetries"
PROTECTED: Final = "DaprBuiltInActorNotFoundRetries"

BUILT_IN: Mapping[str, RetrySpec] = {
    SERVICE_RETRIES: RetrySpec(duration=1.0, max_retries=3),
    "DaprBuiltInActorRetries": RetrySpec(duration=1.0, max_retries=3),
    "DaprBuiltInActorReminderRetries": RetrySpec(exponential=True),
    INITIALIZATION_RETRIES: RetrySpec(
        exponential=True, max_interval=1.0, max_retries=3, max_elapsed=10.0
    ),
    PROTECTED: RetrySpec(duration=1.0, max_retries=5),
}
"""The retries that are there without any document."""

FEWEST_BUILT_IN = 3
"""A built-in policy that is replaced keeps at least as many retries, as in the real runtime."""

COMPONENT_KINDS: Mapping[str, str] = {
    "bindings": "Binding",
    "configuration": "Configuration",
    "conversation": "Conversation",
    "crypto": "Crypto",
    "lock": "Lock",
    "pubsub": "Pubsub",
    "secretstores": "Secretstore",
    "state": "Statestore",
}
"""What a building block is called in the names of default policies."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """What one target gets; None where it has no such policy.

    Attributes:
        breakers: how many breakers of the target are kept.
    """

    timeout: float | None = None
    retry: RetrySpec | None = None
    breaker: BreakerSpec | None = None
    breakers: int = AppTarget().breakers

    @property
    def empty(self) -> bool:
        """Whether nothing applies."""
        return self.timeout is None and self.retry is None and self.breaker is None


@dataclass(frozen=True, slots=True)
class Catalog:
    """The policies and targets of all documents; a later document's names beat earlier ones."""

    timeouts: Mapping[str, float]
    retries: Mapping[str, RetrySpec]
    breakers: Mapping[str, BreakerSpec]
    apps: Mapping[str, AppTarget]
    actors: Mapping[str, ActorTarget]
    components: Mapping[str, ComponentTarget]

    def app(self, app_id: str) -> PolicySpec:
        """Return what applies to calls to an app, an endpoint's name or an address."""
        target = self.apps.get(app_id)
        if target is not None:
            return self._named(target.policies, target.breakers)
        return self._default(("App",))

    def actor(self, kind: str) -> PolicySpec:
        """Return what applies to calls to actors of a type."""
        target = self.actors.get(kind)
        if target is not None:
            return self._named(target.policies, target.breakers)
        return self._default(("Actor",))

    def outbound(self, name: str, kind: str) -> PolicySpec:
        """Return what applies to calls on a component; ``kind`` is its block, such as "state"."""
        target = self.components.get(name)
        if target is not None:
            return self._named(target.outbound)
        return self._default((f"{COMPONENT_KINDS[kind]}ComponentOutbound", *_OUTBOUND))

    def inbound(self, name: str, kind: str) -> PolicySpec:
        """Return what applies to deliveries of a component; ``kind`` as in `outbound`."""
        target = self.components.get(name)
        if target is not None:
            return self._named(target.inbound)
        return self._default((f"{COMPONENT_KINDS[kind]}ComponentInbound", *_INBOUND))

    def _named(self, names: PolicyNames, breakers: int = 0) -> PolicySpec:
        return PolicySpec(
            _positive(self.timeouts.get(names.timeout)),
            self.retries.get(names.retry),
            self.breakers.get(names.circuit_breaker),
            breakers,
        )

    def _default(self, levels: Sequence[str]) -> PolicySpec:
        return PolicySpec(
            _positive(_first(self.timeouts, levels, "TimeoutPolicy")),
            _first(self.retries, levels, "RetryPolicy"),
            _first(self.breakers, levels, "CircuitBreakerPolicy"),
        )


_OUTBOUND = ("ComponentOutbound", "Component")
_INBOUND = ("ComponentInbound", "Component")


def merge(resources: Sequence[ResiliencyResource]) -> Catalog:
    """Put documents together, the built-in policies below them."""
    timeouts: dict[str, float] = {}
    retries: dict[str, RetrySpec] = dict(BUILT_IN)
    breakers: dict[str, BreakerSpec] = {}
    apps: dict[str, AppTarget] = {}
    actors: dict[str, ActorTarget] = {}
    components: dict[str, ComponentTarget] = {}
    for resource in resources:
        timeouts.update(resource.timeouts)
        retries.update(resource.retries)
        breakers.update(resource.circuit_breakers)
        apps.update(resource.apps)
        actors.update(resource.actors)
        components.update(resource.components)
    return Catalog(timeouts, retries, breakers, apps, actors, components)


def _first(policies: Mapping[str, _Value], levels: Sequence[str], suffix: str) -> _Value | None:
    for level in (*levels, ""):
        found = policies.get(f"Default{level}{suffix}")
        if found is not None:
            return found
    return None


def _positive(seconds: float | None) -> float | None:
    return seconds if seconds is not None and seconds > 0 else None
