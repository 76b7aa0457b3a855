"""Resiliency documents as values: policies by name, and the targets that use them."""

from collections.abc import Mapping

import msgspec

APP_BREAKERS = 100
"""How many breakers of one app are kept where its target does not say."""

ACTOR_BREAKERS = 5000
"""How many breakers of one actor type are kept where its target does not say."""


class CodeRange(msgspec.Struct, frozen=True):
    """Status codes from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __contains__(self, code: int) -> bool:
        """Tell whether ``code`` is one of them."""
        return self.first <= code <= self.last


class RetrySpec(msgspec.Struct, frozen=True):
    """A retry policy.

    Attributes:
        exponential: whether pauses grow; else each lasts ``duration``.
        duration: seconds.
        max_interval: seconds; the longest growing pause.
        max_retries: attempts after the first; negative means without end.
        first_interval: seconds; the first growing pause. No document can set it.
        max_elapsed: seconds after which growing pauses end; 0 means never. Likewise.
        http_codes: HTTP statuses that are tried again; None means all.
        grpc_codes: gRPC statuses that are tried again; None means all.
    """

    exponential: bool = False
    duration: float = 5.0
    max_interval: float = 60.0
    max_retries: int = -1
    first_interval: float = 0.5
    max_elapsed: float = 900.0
    http_codes: tuple[CodeRange, ...] | None = None
    grpc_codes: tuple[CodeRange, ...] | None = None


class BreakerSpec(msgspec.Struct, frozen=True):
    """A circuit breaker policy.

    Attributes:
        max_requests: calls let through while half-open.
        interval: seconds after which the counts of a closed breaker begin anew; 0 means never.
        timeout: seconds from open to half-open.
        trip: a CEL expression over the counts; empty means ``consecutiveFailures > 5``.
    """

    max_requests: int = 1
    interval: float = 0.0
    timeout: float = 60.0
    trip: str = ""


class PolicyNames(msgspec.Struct, frozen=True):
    """The policies that a target uses; an empty name means none."""

    timeout: str = ""
    retry: str = ""
    circuit_breaker: str = ""


NO_POLICIES = PolicyNames()


class AppTarget(msgspec.Struct, frozen=True):
    """The policies of calls to one app."""

    policies: PolicyNames = NO_POLICIES
    breakers: int = APP_BREAKERS


class ActorTarget(msgspec.Struct, frozen=True):
    """The policies of calls to actors of one type; ``scope`` is "type", "id", "both" or empty."""

    policies: PolicyNames = NO_POLICIES
    scope: str = ""
    breakers: int = ACTOR_BREAKERS


class ComponentTarget(msgspec.Struct, frozen=True):
    """The policies of calls to one component, and of what it delivers to the app."""

    inbound: PolicyNames = NO_POLICIES
    outbound: PolicyNames = NO_POLICIES


class ResiliencyResource(msgspec.Struct, frozen=True):
    """One Resiliency document.

    Attributes:
        scopes: the app ids it is for; empty means every app.
        timeouts: seconds by policy name.
        source: ``file:line`` of the document, or what else it was made by.
    """

    name: str
    scopes: tuple[str, ...] = ()
    timeouts: Mapping[str, float] = {}
    retries: Mapping[str, RetrySpec] = {}
    circuit_breakers: Mapping[str, BreakerSpec] = {}
    apps: Mapping[str, AppTarget] = {}
    actors: Mapping[str, ActorTarget] = {}
    components: Mapping[str, ComponentTarget] = {}
    namespace: str = ""
    source: str = ""
