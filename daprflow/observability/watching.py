"""The seam of all that watches an app: its deliveries, turns of workflows, and calls.

Watchers are put around handlers when the app starts, outside the user's interceptors. Where nobody
watches, nothing is put there, and a delivery costs what it costs without any of this.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from daprflow.handlers.handler import Next
from daprflow.handlers.registration import ActivityOptions, Registration
from daprflow.observability.watches import Watch, told
from daprflow.workflows.turns import TurnNext

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from daprflow.actors.hosting import TypeHost
    from daprflow.client import Client
    from daprflow.handlers.compile import Blueprint
    from daprflow.handlers.pool import HandlerPool
    from daprflow.health.service import AppHealth
    from daprflow.settings import Settings


@dataclass(frozen=True, slots=True)
class Handled:
    """What deliveries go to, as watchers know it.

    Attributes:
        kind: as `Delivery.kind`: "topic", "binding", "cron", "job", "configuration", "invoke",
            "actor" or "activity".
        name: the address inside its kind, such as "pubsub/orders"; of an actor, its type.
        handler: the name of the function or class.
        title: what messages call it, with its place.
        batch: whether a delivery is many events.

    Example:
        ```python
        from daprflow.observability import Handled, Watch, Watcher

        class Orders(Watcher):
            def watch(self, handled: Handled) -> Watch | None:
                return Watch() if handled.kind == "topic" else None
        ```
    """

    kind: str
    name: str
    handler: str
    title: str
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a running app a watcher may look at, besides what it is told.

    Attributes:
        pool: the threads of plain ``def`` functions.
        hosts: the actors in memory, by type.
        workflows: the names of the app's workflows.
        client: the one that handlers are given; it may be given interceptors.
        settings: where the sidecar is, and the tokens.
        health: how the app is, and how late its event loop.

    Example:
        ```python
        from daprflow.observability import Parts, Watcher

        class Shown(Watcher):
            def attach(self, parts: Parts) -> None:
                print(parts.settings.http_endpoint)
        ```
    """

    pool: "HandlerPool"
    hosts: "Sequence[TypeHost]"
    workflows: Collection[str]
    client: "Client"
    settings: "Settings"
    health: "AppHealth"


class Watcher:
    """Watches an app while it runs; the methods of this class watch nothing.

    One object may serve several runs of the app, one after the other.

    Example:
        ```python
        from daprflow.observability import Handled, Observability, Watch, Watcher

        class Slow(Watcher):
            def watch(self, handled: Handled) -> Watch | None:
                print("watches", handled.name)
                return None

        shop = DaprFlow("shop", observability=Observability(watchers=[Slow()]))
        ```
    """

    def delivery(self, handled: Handled, call: Next) -> Next:
        """Return what is called in the place of ``call``, for every delivery to a handler.

        `Outcome.error` is what the handler raised; nothing but the end of the app is raised.
        """
        watch = self.watch(handled)
        return call if watch is None else told(call, (watch,))

    def watch(self, handled: Handled) -> Watch | None:  # noqa: ARG002 - for subclasses
        """Return what is told of every delivery to a handler: it costs less than `delivery`.

        One that returns something has no `delivery` of its own.
        """
        return None

    def turn(self, call: TurnNext) -> TurnNext:
        """Return what goes through turns of workflows in the place of ``call``."""
        return call

    def routes(self, app: "ASGIApp", is_ours: Callable[[Any], bool]) -> "ASGIApp":  # noqa: ARG002 - likewise
        """Return what serves the user's own routes in the place of ``app``.

        Args:
            app: serves them, and Dapr's where the app has middleware.
            is_ours: whether the request of an ASGI scope goes to one of Dapr's endpoints, which
                `delivery` watches.
        """
        return app

    def endpoints(self) -> "Mapping[tuple[str, str], ASGIApp]":
        """Return endpoints that the app is to answer besides, by method and path."""
        return {}

    def attach(self, parts: Parts) -> None:
        """Look at the parts of the app from now on; called inside `live`."""

    def live(self) -> AbstractAsyncContextManager[Any]:
        """Return what is entered before the app takes deliveries, and left when it has ended."""
        return nullcontext()


def watched(blueprint: "Blueprint", watchers: Sequence[Watcher]) -> "Blueprint":
    """Return an app's plan with every handler watched; the first watcher is the outermost."""
    if not watchers:
        return blueprint
    calls: dict[int, Next] = {}
    batches = {each.address for each in blueprint.topics if any(one.bulk for one in each.handlers)}

    def call(kind: str, name: str, about: Registration, inner: Next) -> Next:
        found = calls.get(id(inner))  # one handler may have several routes
        if found is None:
            batch = kind == "topic" and name in batches
            handled = Handled(kind, name, about.name, about.title, batch)
            found = calls[id(inner)] = around(handled, inner, watchers)
        return found

    actors = tuple(
        replace(each, call=call("actor", each.shape.kind, each.registration, each.call))
        for each in blueprint.actors
    )
    routes = []
    for route in blueprint.routes:
        handler = route.handler
        inner = call(route.kind.value, route.name, handler.registration, handler.call)
        routes.append(replace(route, handler=replace(handler, call=inner)))
    work = blueprint.work
    if work is not None:
        named = {
            each.options.name: each
            for each in work.registrations
            if isinstance(each.options, ActivityOptions)
        }
        activities = {
            name: replace(each, call=call("activity", name, named[name], each.call))
            for name, each in work.activities.items()
        }
        work = replace(work, activities=activities)
    return replace(
        blueprint,
        routes=tuple(routes),
        configurations=tuple(
            replace(each, call=calls[id(each.call)]) for each in blueprint.configurations
        ),
        actors=actors,
        work=work,
    )


def around(handled: Handled, call: Next, watchers: Sequence[Watcher]) -> Next:
    """Return ``call`` with every watcher around it; those that are told share one coroutine."""
    together: list[Watch] = []
    for watcher in reversed(watchers):
        watch = watcher.watch(handled)
        if watch is not None:
            together.insert(0, watch)
            continue
        if together:
            call, together = told(call, together), []
        call = watcher.delivery(handled, call)
    return told(call, together) if together else call


def collisions(
    watchers: Sequence[Watcher], is_taken: Callable[[Any], bool], routes: Iterable[Any]
) -> list[str]:
    """Return why endpoints of watchers cannot be where they want to be.

    Args:
        watchers: of the app.
        is_taken: whether a handler of the app answers an ASGI scope.
        routes: further routes of the app.
    """
    known = {getattr(each, "path", None): each for each in routes}
    problems = []
    for watcher in watchers:
        for method, path in watcher.endpoints():
            scope = {"type": "http", "method": method, "path": path, "headers": []}
            methods = getattr(known.get(path), "methods", None) or (method,)
            if is_taken(scope) or (path in known and method in methods):
                problems.append(
                    f"'{method} {path}' is to answer for {type(watcher).__name__}, and the app has "
                    "a handler or a route there; give one of them another path"
                )
    return problems
