"""Living with another application: nested lifespans, installing, wrapping."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Generic, Protocol, TypeVar

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.routing import Router as StarletteRouter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daprflow.errors import AppDefinitionError, MissingExtra
from daprflow.observability.watching import Watcher
from daprflow.settings import SettingsError
from daprflow.transports.route import DaprRoute

logger = logging.getLogger(__name__)

A = TypeVar("A")
_ENDED: Message = {"type": "daprflow.ended"}
_RETURN_SECONDS = 1.0


class HostFailed(RuntimeError):  # noqa: N818 - named for what happened
    """A wrapped app said that its start-up or shutdown failed."""


_TOLD = (AppDefinitionError, HostFailed, MissingExtra, SettingsError)
"""Errors whose text says it all."""

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


class Host(Protocol):
    """A Starlette or FastAPI application: something with a router."""

    @property
    def router(self) -> Any:
        """Its router, which holds routes and lifespan."""
        ...


def install(host: Host, routes: Sequence[BaseRoute], lifespan: Lifespan) -> None:
    """Put ``routes`` before every route of ``host`` and run its lifespan inside ours.

    Raises:
        AppDefinitionError: ``host`` is not the root application.
    """
    router = getattr(host, "router", None)
    if not isinstance(host, Starlette) or not isinstance(router, StarletteRouter):
        problem = (
            f"install() takes a Starlette or FastAPI application, not "
            f"'{type(host).__name__}': the sidecar calls paths at the root, so a router or a "
            "mount with a prefix cannot hold them; use app.wrap(other) for other ASGI apps"
        )
        raise AppDefinitionError([problem])
    if routes[0] in router.routes:
        raise AppDefinitionError(["the app is installed into this host already"])
    router.routes[0:0] = routes
    router.lifespan_context = nested(lifespan, router.lifespan_context)


def hidden(host: Host | None, app_id: str) -> Iterator[str]:
    """Say which answers to a sidecar's questions a host has that nobody hears any more.

    Another library in the same host, such as the official SDK's extension, tells its topics and
    actors at these paths, and an installed app answers them first.
    """
    for route in _own_routes(getattr(host, "router", None)):
        loss = _ASKED.get(getattr(route, "path", ""))
        if loss:
            yield (
                f"the application that app '{app_id}' is installed into has a route "
                f"'{getattr(route, 'path', '')}' of its own, which is hidden: {loss}"
            )


_ASKED = {
    "/dapr/subscribe": (
        "what it subscribes to there is not delivered; make those handlers topics of the app, or "
        "name their paths in a Subscription file"
    ),
    "/dapr/config": (
        "the actors that it names there are not called; make them actors of the app, or host them "
        "in another process"
    ),
}


def _own_routes(router: Any) -> Iterator[Any]:
    """Find the routes of a host, and those that FastAPI keeps within what a host includes."""
    for route in getattr(router, "routes", ()):
        if not isinstance(route, DaprRoute):
            yield route
            within = getattr(route, "effective_route_contexts", tuple)
            yield from within()


def nested(outer: Lifespan, inner: Lifespan) -> Lifespan:
    """Return a lifespan that runs ``inner`` within ``outer`` and passes on its state."""

    @asynccontextmanager
    async def both(app: Any) -> AsyncIterator[Any]:
        async with outer(app), inner(app) as state:
            yield state

    return both


class Wrapped(Generic[A]):
    """An ASGI app in front of another: Dapr's paths are ours, everything else is passed on.

    Attributes:
        daprflow_app: the app whose handlers are served, for tools that look for it.
        other: the app that everything else goes to.
    """

    def __init__(self, own: A, route: DaprRoute, lifespan: Lifespan, other: ASGIApp) -> None:
        self.daprflow_app = own
        self._route = route
        self._lifespan = lifespan
        self.other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer Dapr's paths, pass on the rest."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if scope["type"] == "http":
            endpoint = self._route.table.find(scope)
            if endpoint is not None:
                await self._route.handle({**scope, "endpoint": endpoint}, receive, send)
                return
        await self.other(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        await receive()
        try:
            async with self._lifespan(self), _hosted(self.other, scope):
                await send({"type": "lifespan.startup.complete"})
                started = True
                await receive()
        except Exception as error:
            phase = "shutdown" if started else "startup"
            # A server logs this text and nothing else of the error.
            text = str(error) if isinstance(error, _TOLD) else traceback.format_exc()
            await send({"type": f"lifespan.{phase}.failed", "message": text})
            raise
        await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def _hosted(other: ASGIApp, scope: Scope) -> AsyncIterator[None]:
    """Run another app's lifespan; an app that has none is left alone, as servers do."""
    host = _HostedLifespan(other, scope)
    try:
        await host.step("startup")
        try:
            yield
        finally:
            await host.step("shutdown")
    finally:
        await host.end()


@contextmanager
def watched_host(
    host: Any, watchers: Sequence[Watcher], is_ours: Callable[[Scope], bool]
) -> Iterator[None]:
    """Have the routes of an application watched that an app was installed into, or wraps.

    What other apps of ours answer there is watched by them.
    """
    tables = [route.table for route in _dapr_routes(host)]

    def is_anyones(scope: Scope) -> bool:
        return any(table.find(scope) is not None for table in tables)

    if len(tables) > 1:
        is_ours = is_anyones
    name = "other" if isinstance(host, Wrapped) else "middleware_stack"
    before: ASGIApp | None = getattr(host, name, None)
    if before is None:
        yield
        return
    served = before
    for watcher in reversed(watchers):
        served = watcher.routes(served, is_ours)
    setattr(host, name, served)
    try:
        yield
    finally:
        setattr(host, name, before)


def _dapr_routes(host: Any) -> Iterator[DaprRoute]:
    """Find the routes of every app of ours that is in an application, or around it."""
    while isinstance(host, Wrapped):
        yield host._route  # noqa: SLF001 - of this module
        host = host.other
    routes = getattr(getattr(host, "router", None), "routes", ())
    yield from (each for each in routes if isinstance(each, DaprRoute))


class _HostedLifespan:
    """Plays the server towards an app's lifespan, in a task of its own."""

    def __init__(self, other: ASGIApp, scope: Scope) -> None:
        self._requests: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self.other = other
        self._scope = scope
        self._task = asyncio.create_task(self._run(), name="daprflow hosted lifespan")

    async def step(self, phase: str) -> None:
        """Start or stop the app; a lifespan it does not support is passed over.

        Raises:
            HostFailed: the app answered that it failed.
        """
        if self._task.done():
            return
        await self._requests.put({"type": f"lifespan.{phase}"})
        answer = await self._answers.get()
        if answer["type"] == f"lifespan.{phase}.failed":
            raise HostFailed(f"the wrapped app's {phase} failed: {answer.get('message', '')}")

    async def end(self) -> None:
        """Let the app return, as it should by now; one that does not is cancelled."""
        await asyncio.wait({self._task}, timeout=_RETURN_SECONDS)
        if self._task.cancel():
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            await self.other(self._scope, self._requests.get, self._answers.put)
        except Exception as error:  # noqa: BLE001 - an app without lifespan may raise anything
            logger.debug("the wrapped app has no lifespan: %s", type(error).__name__)
        finally:
            self._answers.put_nowait(_ENDED)
