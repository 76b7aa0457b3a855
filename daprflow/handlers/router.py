"""A router: a place to declare handlers on, which an app includes."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from daprflow.actors.actor import Actor
from daprflow.addresses import Endpoint, Topic, type_name
from daprflow.errors import AppDefinitionError
from daprflow.handlers.declaring import Declaration, ResourceDeclarations
from daprflow.handlers.decorators import (
    Decorator,
    EndpointDecorator,
    InvokeDecorator,
    Misnamed,
    OwnJobDecorator,
    TopicDecorator,
    UntypedTopicDecorator,
    as_written,
)
from daprflow.handlers.endpoint import OwnEndpoint
from daprflow.handlers.error_decorators import ErrorDecorator, ErrorRegistration
from daprflow.handlers.handler import Interceptor
from daprflow.handlers.job_decorators import JobDecorators
from daprflow.handlers.registration import (
    PLAIN,
    ActorOptions,
    BindingOptions,
    ConfigurationOptions,
    CronOptions,
    InvokeOptions,
    JobOptions,
    Kind,
    Options,
    Own,
    ProviderOptions,
    Registration,
    Source,
    TopicOptions,
    calling_source,
    name_of,
    source_of,
)
from daprflow.handlers.topic_address import topic_address
from daprflow.handlers.workflow_decorators import (
    PendingDecorator,
    Registers,
    WorkflowDecorators,
    WorkflowHandles,
)
from daprflow.protocol.deliveries import Status

if TYPE_CHECKING:
    from starlette.middleware import Middleware

    from daprflow.handlers.limits import Concurrency
    from daprflow.handlers.once import Once
    from daprflow.handlers.surroundings import Level, Surroundings

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
In = TypeVar("In")
Out = TypeVar("Out")
P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
A = TypeVar("A", bound=type[Actor[Any]])
Ack = Awaitable[Status | None] | Status | None
R = TypeVar("R", bound=Ack)


class Router(JobDecorators, WorkflowDecorators, ResourceDeclarations):
    """Handlers and providers declared apart from the app that includes them.

    Args:
        interceptors: functions ``async (delivery, call) -> Outcome`` around every handler here and
            in the routers it includes, the first one outermost; inside those of the app.
        middleware: Starlette middleware around the requests of these handlers: events, bindings,
            jobs and invocations. Actors, configuration items and activities pass interceptors only.

    Example:
        ```python
        router = Router()
        app.include(router)
        ```
    """

    def __init__(
        self,
        *,
        interceptors: Sequence[Interceptor] = (),
        middleware: "Sequence[Middleware]" = (),
    ) -> None:
        self.source: Source = calling_source()
        self._own = Own(interceptors, middleware)
        self._errors: list[ErrorRegistration] = []
        self._registrations: list[Registration] = []
        self._decorators: list[Decorator] = []
        self._included: list[Router] = []
        self._endpoints: list[OwnEndpoint[Any, Any]] = []
        self._workflows = WorkflowHandles()
        self._waiting: list[PendingDecorator] = []
        self._misused: list[str] = []
        self._declarations: list[Declaration] = []
        self._sealed = False

    @overload
    def topic(
        self,
        topic: Topic[T],
        /,
        *,
        match: str | None = None,
        dead_letter: str | None = None,
        max_messages: int | None = None,
        max_wait: timedelta | None = None,
        raw: bool | None = None,
        metadata: Mapping[str, str] | None = None,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
        once: "str | Once | None" = None,
    ) -> TopicDecorator[T]: ...
    @overload
    def topic(
        self,
        pubsub: str,
        name: str,
        /,
        *,
        match: str | None = None,
        dead_letter: str | None = None,
        max_messages: int | None = None,
        max_wait: timedelta | None = None,
        raw: bool | None = None,
        metadata: Mapping[str, str] | None = None,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
        once: "str | Once | None" = None,
    ) -> UntypedTopicDecorator: ...
    def topic(
        self,
        *address: Any,
        match: str | None = None,
        dead_letter: str | None = None,
        max_messages: int | None = None,
        max_wait: timedelta | None = None,
        raw: bool | None = None,
        metadata: Mapping[str, str] | None = None,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
        once: "str | Once | None" = None,
    ) -> Any:
        """Subscribe a function: ``@app.topic(handle)`` or ``@app.topic("pubsub", "orders")``.

        Its payload is the event's data as ``T``, the whole `CloudEvent[T]`, or, for bulk delivery,
        a `Batch[T]`. It returns None or a `Status`, or raises `Retry` or `Drop`.

        Args:
            address: a `Topic` handle, or the names of a pub/sub component and a topic.
            match: a CEL rule over ``event``, at most 4,096 bytes; rules are tried in order, the
                handler without one takes the rest.
            dead_letter: the topic where the runtime puts what is dropped or given up.
            max_messages: how many events a batch may have; the runtime's default is 100.
            max_wait: how long a batch may wait to fill; the runtime's default is one second.
            raw: whether the events carry no envelope (``rawPayload``).
            metadata: subscription metadata for the component.
            interceptors: around this handler, inside those of the app and its routers.
            max_concurrency: how many deliveries it works on at once; more wait, then get RETRY.
            once: a state store's name, or a `Once`: an event that was handled is passed over.

        Example:
            ```python
            @app.topic(orders, match='event.type == "order.vip"', dead_letter="orders-dead")
            async def on_vip(event: CloudEvent[Order]) -> Status | None: ...
            ```
        """
        pubsub, name, payload = topic_address(address)
        options = TopicOptions(
            pubsub=pubsub,
            topic=name,
            payload=payload,
            match=match,
            dead_letter=dead_letter,
            max_messages=max_messages,
            max_wait=max_wait,
            raw=raw,
            metadata=metadata,
        )
        own = Own(interceptors, limit=max_concurrency, once=once)
        return self._decorator(Kind.TOPIC, options, calling_source(), own)

    def binding(
        self,
        name: str,
        /,
        *,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
    ) -> Callable[[F], F]:
        """Receive the events of an input binding component, ``POST /{name}``.

        The payload is the body as ``T``, or a `BindingEvent[T]` with what the component says about
        it. Returning acknowledges the event; raising has the component deliver it again.

        Args:
            name: the component's name, or its ``route`` metadata where it has one.
            interceptors: around this handler, inside those of the app and its routers.
            max_concurrency: how many events it works on at once; more wait, then get a 503.

        Example:
            ```python
            @app.binding("sms-in")
            async def on_sms(event: BindingEvent[str]) -> None: ...
            ```
        """
        own = Own(interceptors, limit=max_concurrency)
        return self._decorator(Kind.BINDING, BindingOptions(name), calling_source(), own)

    def configuration(
        self,
        store: str,
        /,
        *keys: str,
        default: Any = None,
        interceptors: Sequence[Interceptor] = (),
    ) -> Callable[[F], F]:
        """Be told of configuration items: each value at start-up, then every change.

        The payload is the item's value as ``T``, or a `ConfigItem[T]` with its key and version. A
        value is text in the store: ``str`` and ``bytes`` are that text, any other type is read as
        JSON, or, where it is none, as what the text alone can mean. What raises is told again with
        the next change, or within a minute.

        An item that is missing or was removed has the ``default``; without one, a handler that
        takes None is given that, and any other is not called. While the store is away at start-up
        (for five seconds at most it is waited for), handlers begin with their default, and are told
        of the value once the store is there.

        Args:
            store: the component's name.
            keys: the items; none takes every item of the store.
            default: the value of a missing item.
            interceptors: around this handler, inside those of the app and its routers.

        Example:
            ```python
            @app.configuration("settings", "limits", default=Limits(daily=1))
            async def on_limits(item: ConfigItem[Limits]) -> None: ...
            ```
        """
        options, own = ConfigurationOptions(store, keys, default), Own(interceptors)
        return self._decorator(Kind.CONFIGURATION, options, calling_source(), own)

    def cron(
        self,
        name: str,
        schedule: str,
        /,
        *,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
    ) -> Callable[[F], F]:
        """Run a function on a schedule, by a ``bindings.cron`` component of that name.

        Args:
            name: the component's name.
            schedule: five fields, or six with seconds first, or ``@every 15m``, ``@daily``, …; a
                component that exists already keeps its own.
            interceptors: around this handler, inside those of the app and its routers.
            max_concurrency: how many ticks it works on at once; more wait, then get a 503.

        Example:
            ```python
            @app.cron("sweep", "@every 15m")
            async def sweep(*, client: Client) -> None: ...
            ```
        """
        own = Own(interceptors, limit=max_concurrency)
        return self._decorator(Kind.CRON, CronOptions(name, schedule), calling_source(), own)

    @overload
    def invoke(  # type: ignore[overload-overlap]  # a coroutine function is a function, too; the first match wins
        self, function: Callable[Concatenate[In, ...], Coroutine[Any, Any, Out]], /
    ) -> Endpoint[In, Out]: ...
    @overload
    def invoke(self, function: Callable[Concatenate[In, ...], Out], /) -> Endpoint[In, Out]: ...
    @overload
    def invoke(
        self, function: Callable[..., Coroutine[Any, Any, Out]], /
    ) -> Endpoint[None, Out]: ...
    @overload
    def invoke(self, function: Callable[..., Out], /) -> Endpoint[None, Out]: ...
    @overload
    def invoke(
        self,
        /,
        *,
        name: str = ...,
        status: int | None = ...,
        interceptors: Sequence[Interceptor] = ...,
        max_concurrency: "int | Concurrency | None" = ...,
        middleware: "Sequence[Middleware]" = ...,
    ) -> InvokeDecorator: ...
    @overload
    def invoke(
        self,
        verb: str,
        path: str,
        /,
        *,
        status: int | None = ...,
        interceptors: Sequence[Interceptor] = ...,
        max_concurrency: "int | Concurrency | None" = ...,
        middleware: "Sequence[Middleware]" = ...,
    ) -> InvokeDecorator: ...
    def invoke(
        self,
        function: Any = None,
        path: str | None = None,
        /,
        *,
        name: str = "",
        status: int | None = None,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
        middleware: "Sequence[Middleware]" = (),
    ) -> Any:
        """Let other apps invoke a function; returns a typed `Endpoint`.

        ``@app.invoke`` stands for ``POST /{name}``, ``@app.invoke("GET", "/orders/{id}")`` for that
        verb and path. Parameters stand after ``*``: those of the path are found by name, those of
        the query and of headers by their marks, ``page: Annotated[int, Query()] = 1`` and
        ``tenant: Annotated[str, Header("x-tenant")]``. GET also answers HEAD; other verbs on a
        path that has a handler are answered 405.

        What it returns is sent as JSON, text and bytes as they are; a Starlette ``Response`` says
        all itself. None is 204 where there is a verb. It may raise Starlette's ``HTTPException``; a
        body or a parameter that does not fit is answered 400.

        Args:
            function: the function, when the decorator stands without parentheses, else the verb.
            path: the path, in which ``{name}`` is one part between slashes.
            name: the method's name, where it is not the function's.
            status: of a good answer, such as 201.
            interceptors: around this handler, inside those of the app and its routers.
            max_concurrency: how many calls it works on at once; more wait, then get a 503.
            middleware: Starlette's, around its requests, inside that of the app and its routers.

        Example:
            ```python
            @app.invoke
            async def quote(order: Order) -> int:
                return order.total * 2
            ```
        """
        caller = calling_source()
        own = Own(interceptors, middleware, max_concurrency)
        options = InvokeOptions(name, status=status)
        if path is not None:
            verb = function.upper() if isinstance(function, str) else function
            options = InvokeOptions(path, verb, status)
        decorator: Decorator = EndpointDecorator(self, Kind.INVOKE, options, caller, own)
        if callable(function) and path is None:
            return decorator(function)
        if function is not None and path is None:
            decorator = Misnamed(self, function, caller)
        self._decorators.append(decorator)
        return decorator

    @overload
    def actor(self, actor: A, /) -> A: ...
    @overload
    def actor(
        self,
        /,
        *,
        idle: timedelta | None = None,
        drain: timedelta | None = None,
        reentrant: bool | None = None,
        max_depth: int | None = None,
        interceptors: Sequence[Interceptor] = (),
    ) -> Callable[[A], A]: ...
    def actor(
        self,
        actor: Any = None,
        /,
        *,
        idle: timedelta | None = None,
        drain: timedelta | None = None,
        reentrant: bool | None = None,
        max_depth: int | None = None,
        interceptors: Sequence[Interceptor] = (),
    ) -> Any:
        """Host a class of actors; ``client.actor(CartActor, "ann")`` calls one.

        Args:
            actor: the class, when the decorator stands without parentheses.
            idle: how long after its last call an actor stays in memory; an hour where nobody says.
            drain: how long a turn may go on when its actor has to move to another host.
            reentrant: whether a call may come back to an actor in whose turn it began. It sees the
                state as the turn left it; the outermost call saves.
            max_depth: how many calls may be in one turn then; 32 where nobody says.
            interceptors: around its calls and ticks, inside those of the app and its routers.

        Example:
            ```python
            @app.actor(idle=timedelta(minutes=10))
            class Basket(Actor[Cart]): ...
            ```
        """
        options, own = ActorOptions(idle, drain, reentrant, max_depth), Own(interceptors)
        decorator = self._decorator(Kind.ACTOR, options, calling_source(), own)
        return decorator if actor is None else decorator(actor)

    @overload
    def provide(self, function: F, /) -> F: ...
    @overload
    def provide(self, /, *, scope: Literal["app", "call"]) -> Callable[[F], F]: ...
    def provide(self, function: Any = None, /, *, scope: str = "app") -> Any:
        """Provide a value to whatever asks for its type.

        ``async def db(client: Client) -> AsyncIterator[Db]`` is opened at start-up and closed after
        the last delivery; a function that returns makes a value that needs no closing. Plain
        functions and generators run in a thread. What it takes itself is injected, too.

        Args:
            function: the function, when the decorator stands without parentheses.
            scope: ``app`` for one value, ``call`` for a new one with every delivery, whose
                generator sees what the handler raised.

        Example:
            ```python
            @app.provide
            async def table(client: Client) -> AsyncIterator[Table]: ...
            ```
        """
        caller = calling_source()
        decorator = self._decorator(Kind.PROVIDER, ProviderOptions(scope), caller)
        return decorator if function is None else decorator(function)

    def on_error(self, error: type[E], /, *, status: int = 500) -> ErrorDecorator[E]:
        """Turn an exception that a handler or an interceptor raises into an answer or a verdict.

        For handlers declared here and in included routers. The most specific class goes first,
        then the nearest router. The function takes the error, and after ``*`` what handlers may ask
        for. It returns an `Outcome`; of an event a `Status`; of an invocation what its caller is
        answered, with ``status``; or it raises `Retry`, `Drop` or Starlette's ``HTTPException``.
        None leaves the default, and so does, with a line in the log, whatever else it raises.

        What is an answer by itself (`Retry`, `Drop`, ``HTTPException``, a payload that does not
        fit) is not given to a handler for ``Exception``. Actors and activities are not concerned:
        their callers are told of the error itself.

        Args:
            error: the class, and those derived from it.
            status: what the caller of an invocation is answered where a value is returned.

        Example:
            ```python
            @app.on_error(ValueError, status=422)
            async def unusable(error: ValueError) -> dict[str, str]: ...
            ```
        """

        def make(function: Any, source: Source) -> Any:
            self._refuse_when_sealed(f"function '{name_of(function)}'", source)
            place = source_of(function, source)
            self._errors.append(ErrorRegistration(error, status, function, place))
            return function

        decorator = PendingDecorator("on_error", make, calling_source())
        self._waiting.append(decorator)
        return decorator

    def include(self, router: "Router", /) -> None:
        """Add what ``router`` declares, now or until this app freezes.

        Example: ``app.include(router)``
        """
        source = calling_source()
        self._refuse_when_sealed("a router", source)
        is_app = isinstance(router, Router) and router._own_id()  # noqa: SLF001 - of the same class
        if isinstance(router, Router) and not is_app:
            self._included.append(router)
            return
        self._misused.append(
            f"'include' ({source}) takes a Router, not a value of type '{type_name(type(router))}'"
        )

    def register(
        self,
        kind: Kind,
        function: Callable[..., Any],
        options: Options,
        caller: Source,
        own: Own = PLAIN,
    ) -> Registration:
        """Keep a decorated function; nothing is looked at before freeze."""
        function = as_written(function)
        self._refuse_when_sealed(f"function '{name_of(function)}'", caller)
        registration = Registration(kind, function, options, source_of(function, caller), own)
        self._registrations.append(registration)
        return registration

    def own(self, registration: Registration) -> OwnEndpoint[Any, Any]:
        """Keep and return the handle of an invoke handler."""
        endpoint: OwnEndpoint[Any, Any] = OwnEndpoint(registration, self._own_id())
        self._endpoints.append(endpoint)
        return endpoint

    def collect(self) -> tuple[list[Registration], list[str]]:
        """Return every registration, included ones too, and what is wrong so far."""
        registrations: list[Registration] = []
        problems: list[str] = []
        for router in self._routers():
            pending: tuple[Decorator | PendingDecorator, ...] = (
                *router._decorators,  # noqa: SLF001 - of the same class
                *router._waiting,  # noqa: SLF001 - of the same class
            )
            registrations += router._registrations  # noqa: SLF001 - of the same class
            problems += router._misused  # noqa: SLF001 - of the same class
            problems += [each.problem for each in pending if not each.applied]
        return registrations, problems

    def surroundings(self) -> "Surroundings":
        """Return what stands around every handler, of included routers too."""
        from daprflow.handlers.surroundings import Surroundings  # noqa: PLC0415 - freeze pays for it

        found = Surroundings()
        seen: list[Router] = []

        def visit(router: Router, outer: "tuple[Level, ...]") -> None:
            if any(router is each for each in seen):
                return
            seen.append(router)
            levels = (*outer, router._level())
            found.add(levels, router._registrations)
            for each in router._included:
                visit(each, levels)

        visit(self, ())
        return found

    def endpoints(self) -> list[OwnEndpoint[Any, Any]]:
        """Return the handles of every invoke handler, included ones too."""
        return [each for router in self._routers() for each in router._endpoints]  # noqa: SLF001 - of the same class

    def workflow_handles(self) -> WorkflowHandles:
        """Return the handles of every workflow and activity, included ones too."""
        found = WorkflowHandles()
        for router in self._routers():
            found.handles += router._workflows.handles  # noqa: SLF001 - of the same class
        return found

    def seal(self) -> None:
        """Take no further declarations, here and on included routers."""
        for router in self._routers():
            router._sealed = True  # noqa: SLF001 - of the same class

    def _level(self) -> "Level":
        from daprflow.handlers.surroundings import Level  # noqa: PLC0415 - as above

        owner = "" if self._own_id() else f"the router ({self.source})"
        return Level(self.source, self._own, tuple(self._errors), owner)

    def _waiting_job(self, options: JobOptions, source: Source, own: Own) -> OwnJobDecorator:
        decorator = OwnJobDecorator(self, Kind.JOB, options, source, own)
        self._decorators.append(decorator)
        return decorator

    def _own_id(self) -> str:
        return ""

    def _registers(self) -> Registers:
        return self

    def _routers(self) -> "list[Router]":
        """Return this router and those it includes, each once, in order."""
        found: list[Router] = []
        pending: list[Router] = [self]
        while pending:
            router = pending.pop(0)
            if not any(router is each for each in found):
                found.append(router)
                pending = [*router._included, *pending]  # noqa: SLF001 - of the same class
        return found

    def _decorator(
        self, kind: Kind, options: Options, source: Source, own: Own = PLAIN
    ) -> Decorator:
        decorator = Decorator(self, kind, options, source, own)
        self._decorators.append(decorator)
        return decorator

    def _refuse_when_sealed(self, what: str, source: Source) -> None:
        if self._sealed:
            problem = (
                f"{what} ({source}) comes too late: the app is frozen, and its sidecar has "
                "read what it subscribes to; declare everything before the app starts"
            )
            raise AppDefinitionError([problem])
