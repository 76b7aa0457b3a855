"""Resiliency policies as values, and the calls they are for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

from daprflow.actors import ActorInterface
from daprflow.addresses import Endpoint, Topic, type_name
from daprflow.components.model import Model
from daprflow.handlers.declaring import Declaration
from daprflow.protocol import resiliency as wire
from daprflow.protocol.expressions import ExpressionError, compile_counts
from daprflow.protocol.resiliency import CodeRange, PolicyNames, ResiliencyResource

Codes = tuple[int | tuple[int, int], ...]
"""Status codes, and ranges of them with both ends included: ``(429, (500, 599))``."""
BreakerScope = Literal["type", "id", "both"]
V = TypeVar("V")
_HTTP = CodeRange(100, 599)
_GRPC = CodeRange(0, 16)


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long a call may take.

    Attributes:
        name: of the policy.
        duration: above zero.

    Example:
        ```python
        quick = Timeout("quick", timedelta(seconds=2))
        app.resiliency(AppTarget("pricing", Policies(timeout=quick)))
        ```
    """

    name: str
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is tried again that fails.

    Attributes:
        name: of the policy; ``DaprBuiltInServiceRetries`` and such take the place of Dapr's own.
        policy: whether pauses last ``duration`` each, or grow up to ``max_interval``.
        duration: of a constant pause.
        max_interval: the longest growing pause.
        max_retries: attempts after the first; -1 without end.
        http_status_codes: those of HTTP that are tried again; all where it is None.
        grpc_status_codes: those of gRPC.

    Example:
        ```python
        some = Retries("some", duration=timedelta(seconds=1), max_retries=3)
        app.resiliency(AppTarget("pricing", Policies(retry=some)))
        ```
    """

    name: str
    policy: Literal["constant", "exponential"] = "constant"
    duration: timedelta = timedelta(seconds=5)
    max_interval: timedelta = timedelta(seconds=60)
    max_retries: int = -1
    http_status_codes: Codes | None = None
    grpc_status_codes: Codes | None = None


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """When calls are not even tried for a while.

    Attributes:
        name: of the policy.
        trip: a CEL expression over ``consecutiveFailures``, ``totalFailures`` and ``requests``;
            Dapr's default is ``consecutiveFailures > 5``.
        max_requests: calls let through while it is half-open.
        interval: after which the counts of a closed one begin anew; 0 for never.
        timeout: from open to half-open.

    Example:
        ```python
        breaker = CircuitBreaker("breaker", trip="consecutiveFailures >= 5")
        app.resiliency(AppTarget("pricing", Policies(circuit_breaker=breaker)))
        ```
    """

    name: str
    trip: str = ""
    max_requests: int = 1
    interval: timedelta = timedelta()
    timeout: timedelta = timedelta(seconds=60)


Policy = Timeout | Retries | CircuitBreaker
_KINDS = {"timeout": Timeout, "retry": Retries, "circuit_breaker": CircuitBreaker}
"""The fields of `Policies`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The policies of one direction; None for none.

    Attributes:
        timeout: how long one try may take.
        retry: how often, and when, it is tried again.
        circuit_breaker: when calls are not sent any more for a time.

    Example:
        ```python
        both = Policies(
            timeout=Timeout("quick", timedelta(seconds=2)), retry=Retries("some", max_retries=3)
        )
        app.resiliency(AppTarget("pricing", both))
        ```
    """

    timeout: Timeout | None = None
    retry: Retries | None = None
    circuit_breaker: CircuitBreaker | None = None


@dataclass(frozen=True, slots=True)
class AppTarget:
    """Calls to an app.

    Attributes:
        app: its id, or an `Endpoint` of it; the policies are for all of the app's methods.
        policies: of those calls.
        circuit_breaker_cache_size: how many breakers of its addresses are kept.

    Example:
        ```python
        app.resiliency(AppTarget("pricing", Policies(retry=Retries("some", max_retries=3))))
        ```
    """

    app: str | Endpoint[Any, Any]
    policies: Policies
    circuit_breaker_cache_size: int = wire.APP_BREAKERS


@dataclass(frozen=True, slots=True)
class ActorTarget:
    """Calls to actors of one type.

    Attributes:
        actor: the type's name, or the class.
        policies: of those calls.
        circuit_breaker_scope: what shares one breaker; a circuit breaker needs it.
        circuit_breaker_cache_size: how many breakers are kept.

    Example:
        ```python
        app.resiliency(
            ActorTarget("CartActor", Policies(timeout=Timeout("quick", timedelta(seconds=2))))
        )
        ```
    """

    actor: str | type[ActorInterface]
    policies: Policies
    circuit_breaker_scope: BreakerScope | None = None
    circuit_breaker_cache_size: int = wire.ACTOR_BREAKERS


@dataclass(frozen=True, slots=True)
class ComponentTarget:
    """Calls on a component, and what it delivers to the app.

    Attributes:
        component: its name, its model, or a `Topic` of it; the policies are for all of its topics.
        outbound: of calls on it.
        inbound: of what it delivers.

    Example:
        ```python
        again = Policies(retry=Retries("again", "exponential", max_retries=10))
        app.resiliency(ComponentTarget("pubsub", inbound=again))
        ```
    """

    component: str | Topic[Any] | Model
    outbound: Policies = Policies()
    inbound: Policies = Policies()


Target = AppTarget | ActorTarget | ComponentTarget


def compiled(declaration: Declaration, app_id: str) -> tuple[ResiliencyResource | None, list[str]]:
    """Turn one declaration into a Resiliency; None with what is wrong."""
    values, source = declaration.values, declaration.source
    name = values["name"] or f"{app_id}-resiliency"
    whole = _Whole(app_id)
    for policy in values["policies"]:
        whole.take(policy)
    for target in values["targets"]:
        whole.aim(target)
    if not values["targets"] and not values["policies"]:
        whole.problems.append("it has no targets and no policies")
    if whole.problems:
        return None, [f"resiliency '{name}' ({source}): {each}" for each in whole.problems]
    return (
        ResiliencyResource(
            name=name,
            scopes=tuple(values["scopes"]) or (app_id,),
            timeouts={each.name: each.duration.total_seconds() for each in whole.of(Timeout)},
            retries={each.name: _retry(each) for each in whole.of(Retries)},
            circuit_breakers={each.name: _breaker(each) for each in whole.of(CircuitBreaker)},
            apps=whole.apps,
            actors=whole.actors,
            components=whole.components,
            source=str(source),
        ),
        [],
    )


class _Whole:
    """What the targets of one declaration come to, and what is wrong with them."""

    def __init__(self, app_id: str) -> None:
        self.problems: list[str] = []
        self.apps: dict[str, wire.AppTarget] = {}
        self.actors: dict[str, wire.ActorTarget] = {}
        self.components: dict[str, wire.ComponentTarget] = {}
        self._app_id = app_id
        self._policies: dict[tuple[type, str], Policy] = {}

    def of(self, kind: type[V]) -> Iterator[V]:
        """Yield the policies of one kind."""
        return (each for each in self._policies.values() if isinstance(each, kind))

    def take(self, policy: Policy) -> None:
        """Keep a policy; another one of its name is a mistake."""
        if not isinstance(policy, Timeout | Retries | CircuitBreaker):
            self.problems.append(
                "a policy is a Timeout, Retries or CircuitBreaker, not a value of type "
                f"'{type_name(type(policy))}'"
            )
            return
        before = self._policies.setdefault((type(policy), policy.name), policy)
        if before is policy:
            self.problems += _mistakes(policy)
        elif before != policy:
            self.problems.append(
                f"there are two different policies of the name '{policy.name}'; rename one"
            )

    def aim(self, target: Target) -> None:
        """Keep a target and its policies."""
        match target:
            case AppTarget(app, policies, size):
                app_id = app if isinstance(app, str) else self._owner(app)
                aimed = wire.AppTarget(self._names(policies), size)
                self._put(self.apps, app_id, aimed, "app")
            case ActorTarget(actor, policies, scope, size):
                name = actor if isinstance(actor, str) else actor.actor_type
                if policies.circuit_breaker is not None and scope is None:
                    text = f"the circuit breaker of actor '{name}' needs a 'circuit_breaker_scope'"
                    self.problems.append(f"{text}: 'type', 'id' or 'both'")
                names = self._names(policies)
                self._put(self.actors, name, wire.ActorTarget(names, scope or "", size), "actor")
            case ComponentTarget(component, outbound, inbound):
                both = wire.ComponentTarget(self._names(inbound), self._names(outbound))
                self._put(self.components, _component(component), both, "component")
            case _:
                self.problems.append(
                    "a target is an AppTarget, ComponentTarget or ActorTarget, not a value of "
                    f"type '{type_name(type(target))}'"
                )

    def _owner(self, endpoint: Endpoint[Any, Any]) -> str:
        """Return whose endpoint it is; one of a router gets its app's id after this."""
        return endpoint._app_id or self._app_id  # noqa: SLF001 - the property refuses before

    def _put(self, targets: dict[str, V], name: str, target: V, kind: str) -> None:
        if not name:
            self.problems.append(f"a target for an {kind} has no name")
        elif name in targets:
            self.problems.append(f"there are two targets for {kind} '{name}'; put them together")
        targets[name] = target

    def _names(self, policies: Policies) -> PolicyNames:
        if not isinstance(policies, Policies):
            self.problems.append(
                "the policies of a target are Policies(…), such as Policies(retry=Retries(…)), "
                f"not a value of type '{type_name(type(policies))}'"
            )
            return PolicyNames()
        for field, kind in _KINDS.items():
            value = getattr(policies, field)
            if not isinstance(value, kind | None):
                named = type_name(type(value))
                self.problems.append(f"'{field}' takes a {kind.__name__}, not a '{named}'")
                return PolicyNames()
        for each in (policies.timeout, policies.retry, policies.circuit_breaker):
            if each is not None:
                self.take(each)
        return PolicyNames(
            _name(policies.timeout), _name(policies.retry), _name(policies.circuit_breaker)
        )


def _component(component: str | Topic[Any] | Model) -> str:
    match component:
        case Topic():
            return component.pubsub
        case Model():
            return component.name
    return component


def _name(policy: Policy | None) -> str:
    return "" if policy is None else policy.name


def _mistakes(policy: Policy) -> Iterator[str]:
    """Yield what is wrong with one policy."""
    title = f"policy '{policy.name}'"
    if not policy.name:
        yield "a policy has no name"
    match policy:
        case Timeout(duration=duration) if duration <= timedelta():
            yield f"{title}: 'duration' must be above zero"
        case Retries():
            yield from _wrong_codes(title, "http_status_codes", policy.http_status_codes, _HTTP)
            yield from _wrong_codes(title, "grpc_status_codes", policy.grpc_status_codes, _GRPC)
            if policy.policy not in {"constant", "exponential"}:
                yield f"{title}: 'policy' takes 'constant' or 'exponential'"
        case CircuitBreaker(trip=trip) if trip:
            try:
                compile_counts(trip)
            except ExpressionError as error:
                yield f"{title}: 'trip': {error}"


def _wrong_codes(title: str, field: str, codes: Codes | None, valid: CodeRange) -> Iterator[str]:
    for each in _ranges(codes or ()):
        if each.first not in valid or each.last not in valid or each.first > each.last:
            yield f"{title}: '{field}' has codes from {valid.first} to {valid.last}"


def _ranges(codes: Iterable[int | tuple[int, int]]) -> tuple[CodeRange, ...]:
    return tuple(
        CodeRange(each, each) if isinstance(each, int) else CodeRange(*each) for each in codes
    )


def _retry(policy: Retries) -> wire.RetrySpec:
    http, grpc = policy.http_status_codes, policy.grpc_status_codes
    return wire.RetrySpec(
        exponential=policy.policy == "exponential",
        duration=policy.duration.total_seconds(),
        max_interval=policy.max_interval.total_seconds(),
        max_retries=policy.max_retries,
        http_codes=None if http is None else _ranges(http),
        grpc_codes=None if grpc is None else _ranges(grpc),
    )


def _breaker(policy: CircuitBreaker) -> wire.BreakerSpec:
    return wire.BreakerSpec(
        max_requests=policy.max_requests,
        interval=policy.interval.total_seconds(),
        timeout=policy.timeout.total_seconds(),
        trip=policy.trip,
    )
