"""Freezing: from registrations to a table of compiled handlers, or to a list of every problem."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from daprflow.addresses import type_name
from daprflow.errors import AppDefinitionError
from daprflow.handlers import codec, requests, topics
from daprflow.handlers.agreement import contradicts
from daprflow.handlers.calling import Call, caller
from daprflow.handlers.decoding import BodyDecoder, EventDecoder
from daprflow.handlers.envelopes import Batch, BindingEvent
from daprflow.handlers.handler import Delivery, Handler, Interceptor, Next
from daprflow.handlers.interception import intercepted
from daprflow.handlers.options import mistyped, unusable
from daprflow.handlers.pool import HandlerPool
from daprflow.handlers.providers import Container
from daprflow.handlers.registration import (
    BindingOptions,
    CronOptions,
    InvokeOptions,
    Kind,
    Options,
    Registration,
    TopicOptions,
)
from daprflow.handlers.signature import (
    MISSING,
    Calling,
    Signature,
    SignatureError,
    answer_of,
    read_handler,
    verdict_allowed,
)
from daprflow.handlers.subscriptions import TopicHandler, TopicPlan, agree, group
from daprflow.handlers.topics import TopicPolicy
from daprflow.protocol.cloudevents import CloudEvent


@dataclass(frozen=True, slots=True)
class Route:
    """One compiled handler and where it is reached.

    Attributes:
        path: percent-encoded, as a sidecar calls it.
        name: the address inside its kind, such as "pubsub/orders".
        payload: the payload's type as text; empty where there is none.
    """

    handler: Handler
    kind: Kind
    path: str
    name: str
    payload: str


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A frozen app: its routes, topics, providers and start-up warnings."""

    routes: tuple[Route, ...]
    topics: tuple[TopicPlan, ...]
    container: Container
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A registration with its signature; one that is not ``sound`` is only looked at further."""

    registration: Registration
    signature: Signature
    sound: bool


def compile_app(
    registrations: Sequence[Registration],
    interceptors: Sequence[Interceptor],
    pool: HandlerPool,
    problems: Sequence[str] = (),
) -> Blueprint:
    """Compile every registration; ``problems`` found before are reported together with the rest.

    Raises:
        AppDefinitionError: with every problem at once.
    """
    compiler = _Compiler(interceptors, pool, list(problems))
    return compiler.compile(registrations)


class _Compiler:
    """Goes through the registrations once and collects what is wrong."""

    def __init__(
        self, interceptors: Sequence[Interceptor], pool: HandlerPool, problems: list[str]
    ) -> None:
        self.problems = problems
        self._interceptors = interceptors
        self._pool = pool
        self._container = Container(pool)

    def compile(self, registrations: Sequence[Registration]) -> Blueprint:
        sound = [each for each in registrations if self._has_sound_options(each)]
        providers = [each for each in sound if each.kind is Kind.PROVIDER]
        handlers = [each for each in sound if each.kind is not Kind.PROVIDER]
        self.problems += self._container.add_all(providers)
        found = [read for each in handlers if (read := self._read(each)) is not None]
        plans = self._topics(handlers, found)
        routes = self._routes(found, plans)
        self._check_collisions(routes)
        if self.problems:
            raise AppDefinitionError(self.problems)
        return Blueprint(tuple(routes), tuple(plans), self._container, tuple(_warnings(plans)))

    def _has_sound_options(self, registration: Registration) -> bool:
        """Report wrong options; those of a wrong type cannot be looked at any further."""
        wrong_type = mistyped(registration.options)
        problem = wrong_type or unusable(registration.options)
        if problem:
            self.problems.append(f"{registration.title} {problem}")
        return not wrong_type

    def _read(self, registration: Registration) -> Read | None:
        try:
            signature = read_handler(registration.function, registration.source)
        except SignatureError as error:
            self.problems.append(f"{registration.title} {error}")
            return None
        wrong = _signature_problems(Read(registration, signature, sound=True))
        self.problems += [f"{registration.title} {problem}" for problem in wrong]
        return Read(registration, signature, sound=not wrong)

    def _topics(self, handlers: Sequence[Registration], found: Sequence[Read]) -> list[TopicPlan]:
        """Agree on every topic; a handler that could not be read still has its rule and options."""
        bulk = {id(read.registration): _is_bulk(read) for read in found}
        subscribers = [
            TopicHandler(each, options, bulk.get(id(each)))
            for each in handlers
            if isinstance(options := each.options, TopicOptions)
        ]
        plans = []
        for members in group(subscribers):
            plan, problems = agree(members)
            plans.append(plan)
            self.problems += problems
        return plans

    def _routes(self, found: Sequence[Read], plans: Sequence[TopicPlan]) -> list[Route]:
        by_registration = {
            id(handler.registration): (plan, handler) for plan in plans for handler in plan.handlers
        }
        routes = []
        for read in found:
            call = self._call(read)
            if call is None or not read.sound:
                continue
            plan, handler = by_registration.get(id(read.registration), (None, None))
            if plan is None or handler is None:
                routes.append(self._root_route(read, call))
            else:
                routes.append(self._topic_route(read, call, plan, handler))
        return routes

    def _call(self, read: Read) -> Call | None:
        registration, signature = read.registration, read.signature
        try:
            plan = self._container.plan(signature.injected)
        except SignatureError as error:
            self.problems.append(f"{registration.title} {error}")
            return None
        return caller(registration.function, signature.calling, plan, self._container, self._pool)

    def _topic_route(self, read: Read, call: Call, plan: TopicPlan, handler: TopicHandler) -> Route:
        payload = _payload_type(read)
        policy = TopicPolicy(read.registration.title, bool(plan.dead_letter))
        decoder = EventDecoder(payload, raw=plan.raw)
        if handler.bulk:
            run = topics.bulk(call, decoder, policy)
        else:
            run = topics.single(call, _event_decode(read, decoder), policy)
        settle = topics.settled_bulk if handler.bulk else topics.settled
        run = intercepted(run, self._interceptors, settle, policy.title)
        return _route(read, run, handler.path, plan.address)

    def _root_route(self, read: Read, call: Call) -> Route:
        registration, payload = read.registration, read.signature.payload
        decoder = None if payload is None else BodyDecoder(_payload_type(read))
        name = _root_name(registration.options)
        if registration.kind is Kind.INVOKE:
            run, settle = requests.invocation(call, decoder, registration.title), None
        else:
            envelope = payload is not None and payload.envelope is BindingEvent
            run = requests.binding(call, decoder, registration.title, envelope=envelope)
            settle = requests.settled
        run = intercepted(run, self._interceptors, settle, registration.title)
        return _route(read, run, f"/{quote(name)}", name)

    def _check_collisions(self, routes: Sequence[Route]) -> None:
        """Report handlers that would share a path; topics are checked by their rules."""
        seen: dict[tuple[str, str], Route] = {}
        for route in routes:
            key = (route.path, route.name if route.kind is Kind.TOPIC else "")
            first = seen.setdefault(key, route)
            if first is route or (route.kind is Kind.TOPIC and _same_rule(first, route)):
                continue
            self.problems.append(
                f"{route.handler.registration.title} has the route 'POST {route.path}', and so "
                f"has {first.handler.registration.title}; rename one of them"
            )


def _route(read: Read, run: Next, path: str, name: str) -> Route:
    described = "" if read.signature.payload is None else type_name(_payload_type(read))
    handler = Handler(read.registration, run)
    return Route(handler, read.registration.kind, path, name, described)


def _same_rule(first: Route, second: Route) -> bool:
    """Whether two routes without a rule meet, which is reported as such already."""
    options = (first.handler.registration.options, second.handler.registration.options)
    return all(isinstance(each, TopicOptions) and each.match is None for each in options)


def _event_decode(read: Read, decoder: EventDecoder) -> Callable[[Delivery], Any] | None:
    payload = read.signature.payload
    if payload is None:
        return None
    return decoder.event if payload.envelope is CloudEvent else decoder.data


def _payload_type(read: Read) -> Any:
    """Return the payload's type: as annotated, else as the topic's handle says."""
    payload, options = read.signature.payload, read.registration.options
    if payload is None:
        return Any
    if payload.type is not MISSING:
        return payload.type
    if isinstance(options, TopicOptions) and options.payload is not None:
        return options.payload
    return Any if payload.envelope is not None else MISSING


def _is_bulk(read: Read) -> bool:
    payload = read.signature.payload
    return payload is not None and payload.envelope is Batch


def _root_name(options: Options) -> str:
    if isinstance(options, BindingOptions | CronOptions | InvokeOptions):
        return options.name.strip("/")
    raise AssertionError(options)  # pragma: no cover - topics have routes of their own


def _signature_problems(read: Read) -> list[str]:
    """Return what is wrong with a handler's payload, answer or way of running."""
    kind, signature = read.registration.kind, read.signature
    problems = [*_payload_problems(read)]
    if signature.calling in (Calling.GENERATOR, Calling.ASYNC_GENERATOR):
        problems.append("is a generator; return a value instead of yielding")
    elif kind is Kind.TOPIC and not verdict_allowed(signature.returns):
        problems.append(
            f"returns {type_name(signature.returns)}; return None or a Status, "
            "or raise Retry or Drop"
        )
    elif kind in (Kind.BINDING, Kind.CRON) and not _returns_nothing(signature.returns):
        problems.append(
            f"returns {type_name(signature.returns)}; the runtime ignores what a binding handler "
            "answers: return None and call the client instead"
        )
    elif kind is Kind.INVOKE:
        problems += _answer_problems(signature)
    return problems


def _answer_problems(signature: Signature) -> list[str]:
    """Return why what an invoke handler answers cannot be sent."""
    answer = answer_of(signature)
    reason = "" if answer is MISSING else codec.unencodable(answer)
    return [f"returns {type_name(answer)}, which cannot be sent: {reason}"] if reason else []


def _returns_nothing(annotation: Any) -> bool:
    return verdict_allowed(annotation) and "Status" not in str(annotation)


def _payload_problems(read: Read) -> list[str]:
    payload, kind = read.signature.payload, read.registration.kind
    if payload is None:
        return []
    allowed = {
        Kind.TOPIC: (None, CloudEvent, Batch),
        Kind.BINDING: (None, BindingEvent),
        Kind.CRON: (None, BindingEvent),
        Kind.INVOKE: (None,),
    }[kind]
    if payload.envelope not in allowed:
        return [f"takes a {type_name(payload.envelope)}, which {kind} handlers are not given"]
    wanted = _payload_type(read)
    if wanted is MISSING:
        return [f"has the payload '{payload.name}' without a type; annotate it"]
    problems = []
    reason = codec.undecodable(wanted)
    if reason:
        # A class is most often meant to be injected, a composed type is not.
        hint = "; what is injected comes after '*' in the signature"
        problems.append(
            f"takes '{payload.name}: {type_name(wanted)}', which no JSON fits: {reason}"
            f"{hint if isinstance(wanted, type) else ''}"
        )
    options = read.registration.options
    if isinstance(options, TopicOptions) and contradicts(wanted, options.payload):
        problems.append(
            f"takes {type_name(wanted)}, but its topic carries {type_name(options.payload)}"
        )
    return problems


def _warnings(plans: Sequence[TopicPlan]) -> list[str]:
    found = [
        f"topic '{plan.address}' has rules but no handler without 'match': "
        "events that match none are dropped by the runtime"
        for plan in plans
        if not plan.has_default
    ]
    last_resorts = {f"{plan.subscription.pubsubname}/{plan.dead_letter}" for plan in plans}
    bare = ", ".join(
        f"'{plan.address}'"
        for plan in plans
        if not plan.dead_letter and plan.address not in last_resorts
    )
    if bare:
        found.append(
            f"no dead letter topic is named for {bare}: "
            "an event that cannot be decoded is answered 500 and may come again; set dead_letter="
        )
    return found
