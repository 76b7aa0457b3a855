"""Pipelines of HTTP middleware: which components, in the order of the configuration file."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from daprflow.protocol.configuration_file import PipelineHandler
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.middleware import AsgiApp, HttpMiddleware

if TYPE_CHECKING:
    from daprflow.sidecar.loading import LoadedComponent

KIND = "middleware"

Pipeline = Callable[[AsgiApp], AsgiApp]


def make_pipeline(
    handlers: Sequence[PipelineHandler], components: Sequence["LoadedComponent"]
) -> Pipeline | None:
    """Return what puts the middleware of ``handlers`` around an application; None without any.

    Raises:
        ComponentError: one of them is not loaded: going on without it could leave a door open.
    """
    if not handlers:
        return None
    loaded = {each.resource.name: each for each in components if each.kind == KIND}
    chain: list[HttpMiddleware] = []
    for handler in handlers:
        found = loaded.get(handler.name)
        if found is None or found.resource.type != handler.type:
            known = ", ".join(f"'{name}' ({c.resource.type})" for name, c in loaded.items())
            raise ComponentError(
                f"{handler.source}: the pipeline names '{handler.name}' of type "
                f"'{handler.type}', which no resource file defines (defined: {known or 'none'})"
            )
        chain.append(cast("HttpMiddleware", found.instance))

    def around(app: AsgiApp) -> AsgiApp:
        for middleware in reversed(chain):
            app = middleware.wrap(app)
        return app

    return around
