"""The app: collects decorated functions, freezes them and serves them over ASGI."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from daprflow.actors.defaults import NO_DEFAULTS, ActorDefaults
from daprflow.client import Client
from daprflow.client.feeding import ConfigurationFeed
from daprflow.errors import AppDefinitionError, MissingExtra
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.handlers.handler import Interceptor
from daprflow.handlers.pool import HandlerPool
from daprflow.handlers.registration import Source, calling_source
from daprflow.handlers.router import Router
from daprflow.handlers.tokens import Tokens
from daprflow.observability.options import DEFAULT as AS_THE_ENVIRONMENT_SAYS
from daprflow.observability.options import Observability
from daprflow.settings import Settings, SettingsError
from daprflow.transports import asgi
from daprflow.workflows.options import DEFAULTS, WorkflowSettings

# Starlette and the compiler are loaded with the first app and its freeze: a program that is only
# a client, or shares handles, starts without them.
if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.routing import BaseRoute

    from daprflow.actors.hosting import TypeHost
    from daprflow.components.declarations import Declarations
    from daprflow.errors import NonDeterminismError
    from daprflow.handlers.compile import Blueprint
    from daprflow.handlers.limits import HandlerLoad
    from daprflow.handlers.providers import Container
    from daprflow.handlers.subscriptions import TopicPlan
    from daprflow.handlers.table import CronInfo, RouteInfo
    from daprflow.handlers.workflows import WorkerPlan
    from daprflow.health.options import HealthSettings
    from daprflow.health.service import HealthListener
    from daprflow.observability.watching import Watcher
    from daprflow.transports.hosting import Host, Lifespan, Wrapped
    from daprflow.workflows.service import WorkService

logger = logging.getLogger(__name__)

L = TypeVar("L", bound="HealthListener")

STATE_TTL = "ActorStateTTL"
"""The feature of a runtime that keeps parts of actors' states for a time."""

MAX_BODY_SIZE = 4 * 1024 * 1024


class DaprFlow(Router):
    """A Dapr app: an ASGI application made of decorated functions.

    Args:
        app_id: the id under which other apps reach it.
        middleware: Starlette middleware around everything this app answers.
        interceptors: functions ``async (delivery, call) -> Outcome`` around every handler, the
            first one outermost.
        routes: further Starlette routes, after Dapr's own.
        lifespan: a Starlette lifespan, entered after the providers are open.
        debug: Starlette's debug answers, for ``routes``.
        settings: tokens and the sidecar's address; None reads the environment at start-up.
        threads: how many plain ``def`` handlers run at once; four times as many wait, further
            deliveries are answered RETRY (events) or 503.
        max_body_size: bytes a request may have, as the runtime's ``--max-body-size``; 413 beyond.
        codecs: types and content types of the user's own, for handlers and the injected client.
        actors: how the runtime treats the actors of this app.
        workflows: how the app works for its workflows.
        observability: traces, metrics and logs, where it is not left to the environment.
        health: how the app is looked after; None reads the environment at start-up.

    Example:
        ```python
        app = DaprFlow("shop")

        @app.topic("pubsub", "orders")
        async def on_order(order: Order) -> None:
            if not order.total:
                raise Drop("nothing to pay")
        ```
    """

    def __init__(
        self,
        app_id: str,
        /,
        *,
        middleware: "Sequence[Middleware]" = (),
        interceptors: Sequence[Interceptor] = (),
        routes: "Sequence[BaseRoute]" = (),
        lifespan: "Lifespan | None" = None,
        debug: bool = False,
        settings: Settings | None = None,
        threads: int = 40,
        max_body_size: int = MAX_BODY_SIZE,
        codecs: Codecs = NO_CODECS,
        actors: ActorDefaults = NO_DEFAULTS,
        workflows: WorkflowSettings = DEFAULTS,
        observability: Observability = AS_THE_ENVIRONMENT_SAYS,
        health: "HealthSettings | None" = None,
    ) -> None:
        from starlette.applications import Starlette  # noqa: PLC0415 - see above

        from daprflow.health.service import AppHealth  # noqa: PLC0415 - see above
        from daprflow.transports.hosting import nested  # noqa: PLC0415 - see above
        from daprflow.transports.route import DaprRoute  # noqa: PLC0415 - see above

        super().__init__(interceptors=interceptors, middleware=middleware)
        self.app_id = app_id
        self.settings = settings
        self.codecs = codecs
        self.actor_defaults = actors
        self.workflow_settings = workflows
        self.observability = observability
        self.health: AppHealth = AppHealth(health, self._stop_taking)
        self._watchers: Sequence[Watcher] = ()
        self.source: Source = calling_source()
        self._pool = HandlerPool(threads)
        self._gate = asgi.Gate(max_body_size)
        self._table = asgi.Table(self._gate)
        self._route = DaprRoute(self._table)
        self._blueprint: Blueprint | None = None
        self._client: Client | None = None
        self._own_client = False
        self._running = False
        self._keeping: asyncio.Task[None] | None = None
        self._work: WorkService | None = None
        self.feed: ConfigurationFeed = ConfigurationFeed()
        self._direct = not middleware
        self._lifespan = self._live if lifespan is None else nested(self._live, lifespan)
        self._hosted = DaprRoute(self._table, middleware)
        self._further = tuple(routes)
        self._host: Host | None = None
        self._starlette = Starlette(
            debug=debug,
            routes=[self._route, *routes],
            middleware=middleware,
            lifespan=self.lifespan,
        )
        # A sidecar is answered 404 for an unknown path, not a redirect to one that exists.
        self._starlette.router.redirect_slashes = bool(routes)
        self._served: ASGIApp = self._starlette

    @property
    def client(self) -> Client:
        """The client that handlers are given; set another one before start-up to replace it."""
        if self._client is None:
            self._client = Client(self.settings, codecs=self.codecs)
            self._own_client = True
        return self._client

    @client.setter
    def client(self, client: Client) -> None:
        self._client = client
        self._own_client = False

    @property
    def routes(self) -> "list[BaseRoute]":
        """This app for the front of another Starlette app's list of routes.

        Dapr's endpoints are the first, a single one, inside this app's middleware; the ``routes``
        it was given follow.
        """
        return [self._hosted, *self._further]

    def freeze(self) -> None:
        """Compile every handler; calling it again does nothing.

        Raises:
            AppDefinitionError: with every problem of the definition.

        Example: ``app.freeze()``
        """
        from daprflow.handlers.compile import compile_app  # noqa: PLC0415 - see above
        from daprflow.health.paths import taken  # noqa: PLC0415 - see above

        if self._blueprint is not None:
            return
        registrations, problems = self.collect()
        if not isinstance(self.app_id, str) or not self.app_id:
            problems.append(f"the app ({self.source}) has no app id; give it a string")
        problems += self.declaration_problems(self.app_id)
        endpoints = self.endpoints()
        problems += [text for each in endpoints if (text := each.conflict(self.app_id))]
        blueprint = compile_app(
            registrations, self.surroundings(), self._pool, problems, self.codecs
        )
        if problems := taken(blueprint.routes, self._further):
            raise AppDefinitionError(problems)
        self.seal()
        for endpoint in endpoints:
            endpoint.belong_to(self.app_id)
        self.workflow_handles().belong_to(self.app_id, blueprint.work)
        self._blueprint = blueprint
        self._fill(blueprint)

    def check(self) -> None:
        """Freeze, and look at what a start would read of the environment; nothing begins.

        Raises:
            AppDefinitionError: with every problem of the definition.
            SettingsError: a variable holds something that cannot be used.
            MissingExtra: something is asked for whose packages are not installed.

        Example: ``app.check()``
        """
        self.freeze()
        self._watching()
        self.health.configure(os.environ)
        if self.settings is None:
            Settings.from_env(os.environ)

    @property
    def max_body_size(self) -> int:
        """How many bytes a request may have."""
        return self._gate.max_body

    @property
    def handler_loads(self) -> "tuple[HandlerLoad, ...]":
        """The deliveries under way and waiting of each handler that has a ``max_concurrency``."""
        return tuple(each.load for each in self._frozen().limits)

    def table(self) -> "tuple[RouteInfo, ...]":
        """Return what the app answers, and the work that it does for workflows.

        Raises:
            AppDefinitionError: with every problem of the definition.

        Example: ``print(*app.table())``
        """
        from daprflow.handlers.table import describe, describe_work  # noqa: PLC0415 - see above

        routes = describe(self._frozen().routes)
        return routes + describe_work(self.workflow_handles().handles)

    def actor_hosts(self) -> "tuple[TypeHost, ...]":
        """Return what holds the actors of each type while the app runs.

        Raises:
            AppDefinitionError: with every problem of the definition.
        """
        return tuple(each.type.host for each in self._frozen().actors)

    def providers(self) -> "Container":
        """Return what makes the values that handlers ask for by type.

        Raises:
            AppDefinitionError: with every problem of the definition.
        """
        return self._frozen().container

    @property
    def has_work(self) -> bool:
        """Whether the app has workflows or activities; it is frozen by this."""
        return self._frozen().work is not None

    def work(self) -> "WorkerPlan":
        """Return the app's workflows and activities.

        Raises:
            AppDefinitionError: with every problem of the definition.
            RuntimeError: it has none.
        """
        work = self._frozen().work
        if work is None:
            raise RuntimeError(f"app '{self.app_id}' has no workflows and no activities")
        return work

    def features(self) -> tuple[str, ...]:
        """Return the features of a runtime that a Configuration must switch on for the app.

        Raises:
            AppDefinitionError: with every problem of the definition.
        """
        parts = (part for host in self.actor_hosts() for part in host.plan.parts)
        return (STATE_TTL,) if any(part.ttl is not None for part in parts) else ()

    def crons(self) -> "tuple[CronInfo, ...]":
        """Return the cron bindings that handlers are declared for.

        Raises:
            AppDefinitionError: with every problem of the definition.
        """
        from daprflow.handlers.table import crons_of  # noqa: PLC0415 - see above

        return crons_of(self._frozen().routes)

    def declared(self, env: str | None = None) -> "Declarations":
        """Return the resources that the code declares for ``env``; None: those for every one.

        Raises:
            AppDefinitionError: with every problem of the definition.

        Example: ``names = [each.name for each in app.declared("prod").components]``
        """
        self.freeze()
        return self.declarations_in(env or "", self.app_id, self.collect()[0])

    def topics(self) -> "tuple[TopicPlan, ...]":
        """Return the topics the app subscribes to, with what their handlers agree on.

        Raises:
            AppDefinitionError: with every problem of the definition.

        Example: ``addresses = [plan.address for plan in app.topics()]``
        """
        return self._frozen().topics

    def warnings(self) -> tuple[str, ...]:
        """Return what start-up warns of, one sentence each.

        Raises:
            AppDefinitionError: with every problem of the definition.

        Example: ``assert app.warnings() == ()``
        """
        from daprflow.transports.hosting import hidden  # noqa: PLC0415 - see above

        return (*self._frozen().warnings, *hidden(self._host, self.app_id))

    def install(self, host: "Host", /) -> None:
        """Serve Dapr's endpoints from a Starlette or FastAPI application, at its root.

        They come before every route of ``host``, so that a catch-all cannot hide them, and stay
        out of its OpenAPI page; this app's own routes follow. Its middleware stays around Dapr's
        endpoints, inside the host's, and its lifespan is entered around the host's.

        Raises:
            AppDefinitionError: ``host`` is not a root application, or has this app already.

        Example: ``app.install(fastapi_app)``
        """
        from daprflow.transports.hosting import install  # noqa: PLC0415 - see above

        install(host, self.routes, self.lifespan)
        self._host = host

    def wrap(self, other: ASGIApp, /) -> "Wrapped[DaprFlow]":
        """Return an ASGI app that answers Dapr's paths and passes everything else to ``other``.

        This app's middleware is around Dapr's paths alone.

        Raises:
            AppDefinitionError: this app has routes of its own, which nobody would look at.

        Example: ``served = app.wrap(fastapi_app)``
        """
        from daprflow.transports.hosting import Wrapped  # noqa: PLC0415 - see above

        if self._further:
            problem = (
                f"app '{self.app_id}' ({self.source}) has 'routes' of its own, which a wrapped "
                "application would hide; add them to that application instead"
            )
            raise AppDefinitionError([problem])
        return Wrapped(self, self._hosted, self.lifespan, other)

    def on_health(self, listener: L, /) -> L:
        """Have ``listener`` called with a `HealthChange` whenever the app's status changes.

        A plain ``def`` runs in a thread. From then on the app is looked at every few seconds.

        Example:
            ```python
            @app.on_health
            async def tell(change: HealthChange) -> None:
                print(change.before, "->", change.report.status)
            ```
        """
        self.health.listen(listener)
        return listener

    def lifespan(self, host: Any = None, /) -> AbstractAsyncContextManager[Any]:
        """Return what freezes the app, opens its providers, and closes them after.

        Args:
            host: what the ``lifespan`` given to this app is called with; None means this app.

        Example: ``served = Starlette(lifespan=app.lifespan)``
        """
        return self._lifespan(self if host is None else host)

    def _own_id(self) -> str:
        return self.app_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve ASGI; without middleware, Dapr's endpoints are answered before Starlette."""
        if self._direct and scope["type"] == "http" and not scope.get("root_path"):
            endpoint = self._table.find(scope)
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        elif scope["type"] == "lifespan":
            await self._freeze_for_server(receive, send)
        await self._served(scope, receive, send)

    async def _freeze_for_server(self, receive: Receive, send: Send) -> None:
        """Freeze; tell a server of mistakes by their text, where Starlette gives a traceback."""
        try:
            self.check()
        except (AppDefinitionError, MissingExtra, SettingsError) as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise

    @asynccontextmanager
    async def _live(self, host: Any) -> AsyncIterator[None]:
        if self._running:
            raise RuntimeError(f"app '{self.app_id}' is running already")
        from daprflow.health.of_app import looked_after  # noqa: PLC0415 - see above

        blueprint = self._frozen()
        settings = self.settings or Settings.from_env(os.environ)
        async with AsyncExitStack() as stack:
            self._running = True
            stack.callback(setattr, self, "_running", False)  # noqa: FBT003 - setattr's value
            stack.callback(self._gate.close)
            blueprint = await stack.enter_async_context(self._observed(blueprint, settings, host))
            client = self.client
            stack.push_async_callback(self._close_client, client)
            self._pool.open()
            stack.callback(self._pool.close)
            if blueprint.container.uses_client or blueprint.actors:
                await client.prepare()
            await blueprint.container.open(stack, client)
            for warning in self.warnings():
                logger.warning("%s", warning)
            self._gate.tokens = Tokens(settings.app_tokens)
            self._gate.open()
            stack.callback(self._gate.stop)
            feed = self.feed.running(client, blueprint.configurations)
            await stack.enter_async_context(feed)
            if blueprint.actors:
                await stack.enter_async_context(self._hosting(client, settings))
            if blueprint.work is not None:
                await stack.enter_async_context(self._working(blueprint.work, client))
            if blueprint.jobs:
                await stack.enter_async_context(self._keeping_jobs(blueprint, client))
            await stack.enter_async_context(looked_after(self, host, blueprint, client, settings))
            yield

    def _stop_taking(self) -> None:
        """Refuse deliveries and work from now on; what is in flight goes on."""
        self._gate.stop()
        if self._work is not None:
            self._work.stop_taking()

    def _watching(self) -> "tuple[Watcher, ...]":
        """Return what is to watch the app.

        Raises:
            AppDefinitionError: it would answer where the app answers.
        """
        watchers = self.observability.resolved(self.app_id, os.environ)
        if not watchers:
            return ()
        from daprflow.observability.watching import collisions  # noqa: PLC0415 - see above

        if problems := collisions(watchers, self._is_ours, self._further):
            raise AppDefinitionError(problems)
        return watchers

    @asynccontextmanager
    async def _observed(
        self, blueprint: "Blueprint", settings: Settings, host: Any
    ) -> "AsyncIterator[Blueprint]":
        """Have the app watched while it runs; nothing is put anywhere where nobody watches."""
        watchers = self._watching()
        if not watchers:
            yield blueprint
            return
        from daprflow.observability.watching import Parts, watched  # noqa: PLC0415 - see above
        from daprflow.transports import hosting  # noqa: PLC0415 - see above

        async with AsyncExitStack() as stack:
            stack.callback(self._serve, blueprint, ())
            names = self._workflow_names()
            parts = Parts(self._pool, self.actor_hosts(), names, self.client, settings, self.health)
            for watcher in watchers:
                await stack.enter_async_context(watcher.live())
                watcher.attach(parts)
            blueprint = watched(blueprint, watchers)
            self._serve(blueprint, watchers)
            if host not in (self, self._starlette):
                stack.enter_context(hosting.watched_host(host, watchers, self._is_ours))
            yield blueprint

    def _workflow_names(self) -> tuple[str, ...]:
        return tuple(self.work().workflows.plans) if self.has_work else ()

    def _serve(self, blueprint: "Blueprint", watchers: "Sequence[Watcher]") -> None:
        """Answer by a plan from now on, the user's own routes included."""
        self._watchers = watchers
        self._table.clear()
        self._fill(blueprint)
        self._served = self._starlette
        for watcher in reversed(watchers):
            for (method, path), endpoint in watcher.endpoints().items():
                self._table.add(method, path, endpoint)
            self._served = watcher.routes(self._served, self._is_ours)

    def _is_ours(self, scope: Scope) -> bool:
        return self._table.find(scope) is not None

    @asynccontextmanager
    async def _hosting(self, client: Client, settings: Settings) -> AsyncIterator[None]:
        """Host actors, in this process alone; at the end every one of them is deactivated."""
        from daprflow.actors.alone import alone  # noqa: PLC0415 - see above

        hosts = self.actor_hosts()
        with alone(self.app_id, settings, None if self.settings is not None else os.environ):
            for host in hosts:
                host.open(client)
            try:
                yield
            finally:
                await asyncio.gather(*(host.close() for host in hosts))

    @asynccontextmanager
    async def _working(self, work: "WorkerPlan", client: Client) -> AsyncIterator[None]:
        """Work for workflows beside everything else; at the end, what runs may end."""
        from daprflow.workflows.service import WorkService  # noqa: PLC0415 - see above

        service = WorkService(work, client.channels, self.workflow_settings, self._watchers)
        self._work = service
        try:
            async with service:
                yield
        finally:
            self._work = None

    @asynccontextmanager
    async def _keeping_jobs(self, blueprint: "Blueprint", client: Client) -> AsyncIterator[None]:
        """Schedule jobs beside everything else: the sidecar may come after the app."""
        from daprflow.client import standing  # noqa: PLC0415 - see above

        wanted = {plan.name: plan.request for plan in blueprint.jobs}
        self._keeping = asyncio.create_task(standing.keep(client, wanted), name="daprflow jobs")
        try:
            yield
        finally:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
            self._keeping = None

    async def works(self) -> None:
        """Wait until work for the app's workflows comes; at once where it has none."""
        if self._work is not None:
            await self._work.ready()

    @property
    def at_work(self) -> bool:
        """Whether work for the app's workflows comes now."""
        return self._work is not None and self._work.connected

    def workflow_problem(self, instance: str, /) -> "NonDeterminismError | None":
        """Return why a workflow instance could not go on in this app; None where it could."""
        return None if self._work is None else self._work.problem(instance)

    async def jobs_scheduled(self) -> None:
        """Wait until the sidecar has the jobs that handlers have schedules for.

        Raises:
            RuntimeError: the app ended before.
        """
        keeping = self._keeping
        if keeping is not None:
            await asyncio.wait({keeping})
            if keeping.cancelled():
                raise RuntimeError(f"app '{self.app_id}' ended before its jobs were scheduled")
            await keeping

    async def _close_client(self, client: Client) -> None:
        if self._own_client:
            self._client = None
        await client.close()

    def _frozen(self) -> "Blueprint":
        self.freeze()
        if self._blueprint is None:  # pragma: no cover - freeze sets it or raises
            raise AppDefinitionError(["the app did not freeze"])
        return self._blueprint

    def _fill(self, blueprint: "Blueprint") -> None:
        """Put every endpoint into the table."""
        from daprflow.transports.app_table import Answers  # noqa: PLC0415 - see above

        answers = Answers(self._gate, self.feed, self.health, self.actor_defaults)
        answers.fill(self._table, blueprint)
