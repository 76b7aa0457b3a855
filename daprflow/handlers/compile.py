"""Freezing: from registrations to a table of compiled handlers, or to a list of every problem."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from starlette.middleware import Middleware

from daprflow.addresses import type_name
from daprflow.errors import AppDefinitionError
from daprflow.handlers import configurations, limits, once, requests, topics
from daprflow.handlers.actors import ActorCompiler, HostedActor
from daprflow.handlers.calling import Call, caller, taking_values
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.handlers.configurations import ConfigurationPlan
from daprflow.handlers.decoding import BodyDecoder, EventDecoder
from daprflow.handlers.envelopes import Batch, BindingEvent, ConfigItem
from daprflow.handlers.faults import Convert, Faults, Settle, Table, status_only
from daprflow.handlers.handler import Delivery, Handler, Next
from daprflow.handlers.handler_checks import Read, payload_type, signature_problems, template_of
from daprflow.handlers.inputs import (
    arguments,
    spread_payload,
    whole_body,
)
from daprflow.handlers.interception import intercepted
from daprflow.handlers.jobs import JobDecoder, JobPlan, job_plan
from daprflow.handlers.on_error import ErrorCompiler
from daprflow.handlers.options import mistyped, unusable
from daprflow.handlers.pool import HandlerPool
from daprflow.handlers.providers import Container
from daprflow.handlers.registration import (
    BindingOptions,
    ConfigurationOptions,
    CronOptions,
    InvokeOptions,
    JobOptions,
    Kind,
    Options,
    Registration,
    TopicOptions,
)
from daprflow.handlers.requests import answering
from daprflow.handlers.signature import (
    SignatureError,
    read_fields,
    read_handler,
)
from daprflow.handlers.subscriptions import TopicHandler, TopicPlan, agree, group
from daprflow.handlers.surroundings import Surroundings
from daprflow.handlers.templates import Template, ambiguous
from daprflow.handlers.topics import TopicPolicy
from daprflow.handlers.workflows import WorkerPlan, WorkflowCompiler
from daprflow.protocol.cloudevents import CloudEvent

_APART = frozenset({Kind.PROVIDER, Kind.ACTOR, Kind.WORKFLOW, Kind.ACTIVITY})
"""Kinds that have no route of their own."""


@dataclass(frozen=True, slots=True)
class Route:
    """One compiled handler and where it is reached.

    Attributes:
        path: percent-encoded, as a sidecar calls it, with the names of parameters in braces.
        name: the address inside its kind, such as "pubsub/orders".
        payload: the payload's type as text; empty where there is none.
        method: the verb it is called with.
        template: the path of an invoke handler with a verb.
        middleware: around its requests, that of its routers and its own, the first one outermost.
    """

    handler: Handler
    kind: Kind
    path: str
    name: str
    payload: str
    method: str = "POST"
    template: Template | None = None
    middleware: tuple[Middleware, ...] = ()


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A frozen app: its routes, topics, providers, start-up warnings, standing jobs and items."""

    routes: tuple[Route, ...]
    topics: tuple[TopicPlan, ...]
    container: Container
    warnings: tuple[str, ...]
    jobs: tuple[JobPlan, ...] = ()
    configurations: tuple[ConfigurationPlan, ...] = ()
    actors: tuple[HostedActor, ...] = ()
    work: WorkerPlan | None = None
    limits: "tuple[limits.Limit, ...]" = ()


def compile_app(
    registrations: Sequence[Registration],
    surroundings: Surroundings,
    pool: HandlerPool,
    problems: Sequence[str] = (),
    codecs: Codecs = NO_CODECS,
) -> Blueprint:
    """Compile every registration; ``problems`` found before are reported together with the rest.

    Raises:
        AppDefinitionError: with every problem at once.
    """
    compiler = _Compiler(surroundings, pool, [*problems, *surroundings.problems], codecs)
    return compiler.compile(registrations)


class _Compiler:
    """Goes through the registrations once and collects what is wrong."""

    def __init__(
        self,
        surroundings: Surroundings,
        pool: HandlerPool,
        problems: list[str],
        codecs: Codecs,
    ) -> None:
        self.problems = problems
        self._codecs = codecs
        self._surroundings = surroundings
        self._pool = pool
        self._container = Container(pool)
        self._errors = ErrorCompiler(self._container, pool)
        self._configurations: list[ConfigurationPlan] = []
        self._limits: list[limits.Limit] = []
        self._once = once.OnceCompiler(self._container, pool)

    def compile(self, registrations: Sequence[Registration]) -> Blueprint:
        sound = [each for each in registrations if self._has_sound_options(each)]
        providers = [each for each in sound if each.kind is Kind.PROVIDER]
        actors = [each for each in sound if each.kind is Kind.ACTOR]
        durable = [each for each in sound if each.kind in (Kind.WORKFLOW, Kind.ACTIVITY)]
        handlers = [each for each in sound if each.kind not in _APART]
        self.problems += self._container.add_all(providers)
        found = [read for each in handlers if (read := self._read(each)) is not None]
        plans = self._topics(handlers, found)
        jobs = self._jobs(found)
        routes = self._routes(found, plans)
        self.problems += self._errors.problems
        self._check_collisions(routes)
        hosted = self._actors(actors)
        work = self._work(durable)
        routes += [route for each in hosted for route in _actor_routes(each)]
        if self.problems:
            raise AppDefinitionError(self.problems)
        return Blueprint(
            tuple(routes),
            tuple(plans),
            self._container,
            tuple(_warnings(plans)),
            jobs,
            tuple(self._configurations),
            hosted,
            work,
            tuple(self._limits),
        )

    def _work(self, found: Sequence[Registration]) -> WorkerPlan | None:
        if not found:
            return None
        compiler = WorkflowCompiler(self._container, self._pool, self._codecs, self._surroundings)
        work = compiler.compile(found)
        self.problems += compiler.problems
        self._limits += compiler.limits
        return work

    def _actors(self, found: Sequence[Registration]) -> tuple[HostedActor, ...]:
        compiler = ActorCompiler(self._container, self._pool, self._codecs, self._surroundings)
        hosted = compiler.compile(found)
        self.problems += compiler.problems
        return hosted

    def _has_sound_options(self, registration: Registration) -> bool:
        """Report wrong options; those of a wrong type cannot be looked at any further."""
        wrong_type = mistyped(registration.options)
        problem = wrong_type or unusable(registration.options)
        problem = problem or limits.problem(registration) or once.problem(registration)
        if problem:
            self.problems.append(f"{registration.title} {problem}")
        return not wrong_type

    def _read(self, registration: Registration) -> Read | None:
        template = template_of(registration.options)
        names = () if template is None else template.names
        try:
            signature = read_handler(registration.function, registration.source, names)
            payload = signature.payload
            fields = () if payload is None else read_fields(payload.type)
        except SignatureError as error:
            self.problems.append(f"{registration.title} {error}")
            return None
        read = Read(registration, signature, sound=True, fields=fields)
        wrong = signature_problems(read, self._codecs)
        self.problems += [f"{registration.title} {problem}" for problem in wrong]
        return Read(registration, signature, sound=not wrong, fields=fields)

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

    def _jobs(self, found: Sequence[Read]) -> tuple[JobPlan, ...]:
        plans = []
        for read in found:
            if not read.sound:
                continue
            payload = None if read.signature.payload is None else payload_type(read)
            plan, problem = job_plan(read.registration, payload, self._codecs)
            if problem:
                self.problems.append(f"{read.registration.title} {problem}")
            if plan is not None:
                plans.append(plan)
        return tuple(plans)

    def _routes(self, found: Sequence[Read], plans: Sequence[TopicPlan]) -> list[Route]:
        by_registration = {
            id(handler.registration): (plan, handler) for plan in plans for handler in plan.handlers
        }
        routes = []
        for read in found:
            call = self._call(read)
            if call is None or not read.sound:
                continue
            if isinstance(options := read.registration.options, ConfigurationOptions):
                routes += self._configuration_routes(read, call, options)
                continue
            plan, handler = by_registration.get(id(read.registration), (None, None))
            if plan is None or handler is None:
                routes.append(self._root_route(read, call))
            else:
                routes.append(self._topic_route(read, call, plan, handler))
        return [self._within(route) for route in routes]

    def _within(self, route: Route) -> Route:
        """Return a route inside the middleware of its routers, and its own."""
        middleware = self._surroundings.of(route.handler.registration).middleware
        return replace(route, middleware=middleware) if middleware else route

    def _call(self, read: Read) -> Call | None:
        registration, signature = read.registration, read.signature
        try:
            plan = self._container.plan(signature.injected)
        except SignatureError as error:
            self.problems.append(f"{registration.title} {error}")
            return None
        function = registration.function
        if signature.parameters:
            function = taking_values(function)
        return caller(function, signature.calling, plan, self._container, self._pool)

    def _topic_route(self, read: Read, call: Call, plan: TopicPlan, handler: TopicHandler) -> Route:
        payload = payload_type(read)
        policy = TopicPolicy(read.registration.title, bool(plan.dead_letter))
        decoder = EventDecoder(payload, raw=plan.raw, codecs=self._codecs)
        call = self._once.around(call, read.registration, plan, decoder)
        call = limits.limited(call, read.registration, self._limits)
        if handler.bulk:
            faults = self._faults(read, policy.raised_in_bulk, topics.settled_bulk)
            run = topics.bulk(call, decoder, policy, faults)
        else:
            faults = self._faults(read, policy.raised, topics.settled)
            run = topics.single(call, _event_decode(read, decoder), faults)
        run = self._intercepted(read, run, faults)
        return _route(read, run, handler.path, plan.address)

    def _root_route(self, read: Read, call: Call) -> Route:
        registration, payload = read.registration, read.signature.payload
        call = limits.limited(call, registration, self._limits)
        if isinstance(registration.options, JobOptions):
            return self._job_route(read, call, registration.options)
        decoder = None if payload is None else BodyDecoder(payload_type(read), self._codecs)
        if isinstance(registration.options, InvokeOptions):
            return self._invoke_route(read, call, registration.options, decoder)
        envelope = payload is not None and payload.envelope is BindingEvent
        faults = self._faults(read, requests.event_raised, requests.settled)
        run = requests.binding(call, decoder, faults, envelope=envelope)
        run = self._intercepted(read, run, faults)
        name = _root_name(registration.options)
        return _route(read, run, f"/{quote(name)}", name)

    def _job_route(self, read: Read, call: Call, options: JobOptions) -> Route:
        payload = read.signature.payload
        decoder = None if payload is None else JobDecoder(payload_type(read), self._codecs)
        faults = self._faults(read, requests.event_raised, requests.settled)
        run = requests.binding(call, decoder, faults, envelope=False)
        run = self._intercepted(read, run, faults)
        return _route(read, run, f"/job/{quote(options.name)}", options.name)

    def _configuration_routes(
        self, read: Read, call: Call, options: ConfigurationOptions
    ) -> list[Route]:
        title, payload = read.registration.title, read.signature.payload
        reads = None
        if payload is not None:
            envelope = payload.envelope is ConfigItem
            reads, problem = configurations.reading(
                options, payload_type(read), self._codecs, envelope=envelope
            )
            self.problems += [f"{title} {problem}"] if problem else []
        faults = self._faults(read, configurations.item_raised, requests.settled)
        run = configurations.handling(call, reads, faults)
        run = self._intercepted(read, run, faults)
        keys, has_default = options.keys, options.default is not None
        self._configurations.append(ConfigurationPlan(options.store, keys, has_default, run))
        names = [f"{options.store}/{key}" for key in keys or (configurations.ALL,)]
        return [_route(read, run, f"/configuration/{quote(n, safe='/*')}", n) for n in names]

    def _invoke_route(
        self, read: Read, call: Call, options: InvokeOptions, decoder: BodyDecoder | None
    ) -> Route:
        codecs, parameters = self._codecs, read.signature.parameters
        payload: Callable[[Delivery], Any] | None = None
        if read.fields:
            payload = spread_payload(payload_type(read), read.fields, codecs)
        elif decoder is not None:
            payload = whole_body(decoder)
        is_plain = decoder is None or not (read.fields or decoder.content_type)
        inputs = None if is_plain and not parameters else arguments(parameters, codecs, payload)
        faults = self._faults(read, requests.call_raised, None, requests.error_answers(codecs))
        run = requests.invocation(call, decoder, faults, answering(options, codecs), inputs)
        run = self._intercepted(read, run, faults)
        template = template_of(options)
        if template is None:
            name = _root_name(options)
            return _route(read, run, f"/{quote(name)}", name)
        route = _route(read, run, quote(template.path, safe="/{}"), options.address)
        return replace(route, method=options.verb, template=template)

    def _faults(
        self, read: Read, table: Table, settle: Settle | None, convert: Convert = status_only
    ) -> Faults:
        around = self._surroundings.of(read.registration)
        handlers = self._errors.handlers(around.errors)
        return Faults(read.registration.title, table, settle, convert, handlers)

    def _intercepted(self, read: Read, run: Next, faults: Faults) -> Next:
        return intercepted(run, self._surroundings.of(read.registration).interceptors, faults)

    def _check_collisions(self, routes: Sequence[Route]) -> None:
        """Report handlers that would share a path; topics are checked by their rules."""
        seen: dict[tuple[object, ...], Route] = {}
        for route in routes:
            path = route.path if route.template is None else route.template.shape_path
            key = (route.method, path, route.name if route.kind is Kind.TOPIC else "")
            first = seen.setdefault(key, route)
            if first is route or (route.kind is Kind.TOPIC and _same_rule(first, route)):
                continue
            self.problems.append(
                f"{route.handler.registration.title} has the route '{route.method} {route.path}', "
                f"and so has {first.handler.registration.title}; rename one of them"
            )
        self.problems += _ambiguities(list(seen.values()))


def _actor_routes(hosted: HostedActor) -> list[Route]:
    """Return a route for each method, for people and tools: the app has one for all actors."""
    kind, handler = hosted.shape.kind, Handler(hosted.registration, hosted.call)
    return [
        Route(
            handler,
            Kind.ACTOR,
            f"/actors/{quote(kind, safe='')}/{{id}}/method/{quote(name, safe='')}",
            f"{kind}/{name}",
            ", ".join(type_name(each.type) for each in method.arguments),
            "PUT",
        )
        for name, method in hosted.shape.methods.items()
    ]


def _ambiguities(routes: Sequence[Route]) -> list[str]:
    """Report templates of one verb that a path may fit both, where none is the narrower one."""
    return [
        f"{route.handler.registration.title} has the path '{route.path}', and "
        f"{first.handler.registration.title} '{first.path}': some paths fit both, and neither is "
        "the narrower one; change one of them"
        for at, route in enumerate(routes)
        for first in routes[:at]
        if route.template is not None
        and first.template is not None
        and route.method == first.method
        and ambiguous(first.template, route.template)
    ]


def _route(read: Read, run: Next, path: str, name: str) -> Route:
    described = "" if read.signature.payload is None else type_name(payload_type(read))
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


def _is_bulk(read: Read) -> bool:
    payload = read.signature.payload
    return payload is not None and payload.envelope is Batch


def _root_name(options: Options) -> str:
    if isinstance(options, BindingOptions | CronOptions | InvokeOptions):
        return options.name.strip("/")
    raise AssertionError(options)  # pragma: no cover - topics have routes of their own


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
