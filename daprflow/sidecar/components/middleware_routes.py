"""``middleware.http.routeralias`` and ``routerchecker``: other paths, and paths not allowed."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode

from daprflow.sidecar.components.base import ComponentContext, ComponentError
from daprflow.sidecar.components.middleware import (
    AsgiApp,
    Receive,
    Scope,
    Send,
    raw_target,
    refuse,
    required,
)

_BAD_REQUEST = 400
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]*))?\}")


class RouterAliasMiddleware:
    """Has calls on some paths go to others; ``{name}`` in a path becomes a query parameter."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self._routes = [(_compiled(path), to) for path, to in _routes(context).items()]

    async def open(self) -> None:
        """Have nothing to open."""

    async def close(self) -> None:
        """Have nothing to give back."""

    def wrap(self, app: AsgiApp, /) -> AsgiApp:
        """Stand before ``app``."""

        async def aliased(scope: Scope, receive: Receive, send: Send) -> None:
            await app(self._moved(scope), receive, send)

        return aliased

    def _moved(self, scope: Scope) -> Scope:
        path = unquote(scope["raw_path"].partition(b"?")[0].decode("latin-1"))
        for pattern, to in self._routes:
            found = pattern.fullmatch(path)
            if found is not None:
                raw = quote(to, safe="/:@!$&'()*+,;=-._~%").encode("ascii")
                moved = {**scope, "path": unquote(to), "raw_path": raw}
                if found.groupdict():
                    moved["query_string"] = _extended(scope["query_string"], found.groupdict())
                return moved
        return scope


class RouterCheckerMiddleware:
    """Lets calls through whose path with query fits a regular expression."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        try:
            self._rule = re.compile(context.metadata.get("rule", ""))
        except re.error as error:
            raise ComponentError(f"'rule' is no regular expression: {error}") from None

    async def open(self) -> None:
        """Have nothing to open."""

    async def close(self) -> None:
        """Have nothing to give back."""

    def wrap(self, app: AsgiApp, /) -> AsgiApp:
        """Stand before ``app``."""

        async def checked(scope: Scope, receive: Receive, send: Send) -> None:
            if self._rule.search(raw_target(scope)) is None:
                await refuse(send, _BAD_REQUEST, "invalid router")
                return
            await app(scope, receive, send)

        return checked


def _routes(context: ComponentContext) -> Mapping[str, str]:
    """Read ``routes``, a map as JSON or YAML; or, as of old, every metadata entry as a route."""
    metadata = context.metadata
    if metadata and (len(metadata) > 1 or not metadata.get("routes")):
        return metadata
    if not metadata:
        return {}
    import yaml  # noqa: PLC0415 - loaded by those who have resource files

    try:
        routes = yaml.safe_load(required(context, "routes"))
    except yaml.YAMLError:
        routes = None
    if not isinstance(routes, dict):
        raise ComponentError("'routes' is no map of paths in JSON or YAML")
    return {str(path): str(to) for path, to in routes.items()}


def _compiled(path: str) -> re.Pattern[str]:
    text, end = "", 0
    for found in _PARAMETER.finditer(path):
        text += re.escape(path[end : found.start()]) + f"(?P<{found[1]}>{found[2] or '[^/]+'})"
        end = found.end()
    try:
        return re.compile(text + re.escape(path[end:]))
    except re.error as error:
        raise ComponentError(f"route '{path}' makes no sense: {error}") from None


def _extended(query: bytes, parameters: Mapping[str, str]) -> bytes:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode(sorted([*pairs, *parameters.items()], key=lambda pair: pair[0])).encode()
