"""Dapr's endpoints as one Starlette route.

Apart from the endpoints themselves, so that a program which is only a client loads no Starlette.
"""

from collections.abc import Sequence
from functools import cached_property

from starlette.datastructures import URLPath
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import ASGIApp, Receive, Scope, Send

from daprflow.transports.asgi import Table, send_error, stacked


class DaprRoute(BaseRoute):
    """The one Starlette route for all of Dapr's endpoints.

    Args:
        table: the endpoints.
        middleware: what stands around them here, the first one outermost; empty where the
            application that holds the route has it already.
    """

    def __init__(self, table: Table, middleware: Sequence[Middleware] = ()) -> None:
        self.table = table
        self.middleware: tuple[Middleware, ...] = tuple(middleware)

    @cached_property
    def _stack(self) -> ASGIApp:
        """The endpoints inside their middleware, made at the first request as Starlette does."""
        return stacked(_run, self.middleware)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what the table knows; everything else is somebody else's."""
        if scope["type"] != "http":
            return Match.NONE, {}
        endpoint = self.table.find(scope)
        if endpoint is not None:
            found = scope.get("path_params") or {}
            return Match.FULL, {"endpoint": endpoint, "path_params": found}
        # Only a partial match, so that a route of the host with that verb goes first.
        refusal = self.table.refused(scope)
        if refusal is None:
            return Match.NONE, {}
        return Match.PARTIAL, {"endpoint": refusal, "path_params": {}}

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """Refuse: Dapr's endpoints have no names to reverse."""
        raise NoMatchFound(name, dict(path_params))

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the endpoint found by ``matches``."""
        if is_mounted(scope):
            await send_error(send, 500, MOUNTED)
            return
        await self._stack(scope, receive, send)


async def _run(scope: Scope, receive: Receive, send: Send) -> None:
    await scope["endpoint"](scope, receive, send)


MOUNTED = (
    "the app is mounted under a prefix, but the sidecar calls '/dapr/...' and '/<name>' at the "
    "root, and a mounted app's lifespan never runs; use 'app.install(host)' on the root app"
)


def is_mounted(scope: Scope) -> bool:
    """Whether a parent app cut a prefix off the path, as ``Mount`` does."""
    root: str = scope.get("root_path", "")
    return bool(root) and scope.get("app_root_path", root) != root
