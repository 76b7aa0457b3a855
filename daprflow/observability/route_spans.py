"""Spans of the user's own routes, by OpenTelemetry's instrumentation; Dapr's paths skip it."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.context import attach
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.trace import Span, TracerProvider, get_current_span, set_span_in_context
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daprflow.observability.span_errors import SpanErrors
from daprflow.transports.hosting import Wrapped

_SERVER_ERROR: Final = 500
_QUERIED: Final = ("http.url", "http.target", "url.full")
_QUERY: Final = "url.query"
_SPAN: Final = "daprflow.route_span"


class RouteSpans:
    """An ASGI app whose requests have spans, apart from those that Dapr's endpoints answer.

    Args:
        app: answers.
        is_ours: whether a scope's request goes to one of Dapr's endpoints.
        provider: makes the spans.
        errors: tells what a route raised.
    """

    def __init__(
        self,
        app: ASGIApp,
        is_ours: Callable[[Any], bool],
        provider: TracerProvider,
        errors: SpanErrors,
    ) -> None:
        self.app = app
        self._is_ours = is_ours
        self._errors = errors
        self._traced: ASGIApp = OpenTelemetryMiddleware(
            self._told,
            default_span_details=self._details,
            server_request_hook=_without_query,
            tracer_provider=provider,
            exclude_spans=["receive", "send"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with a span where none is made elsewhere."""
        is_plain = scope["type"] not in ("http", "websocket")
        if is_plain or _SPAN in scope or (scope["type"] == "http" and self._is_ours(scope)):
            await self.app(scope, receive, send)
        else:
            kept: list[Span] = []
            scope[_SPAN] = kept
            try:
                await self._traced(scope, receive, send)
            except Exception:
                for span in kept:  # the server logs it in this task: its line is of this trace
                    attach(set_span_in_context(span))
                raise

    async def _told(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what a route raised is told before its span ends, which is with the answer."""
        span = get_current_span()
        scope[_SPAN].append(span)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= _SERVER_ERROR:
                error = sys.exception()  # whoever answers so has caught it
                if error is not None and span.is_recording():
                    self._errors.tell(span, error)
            await send(message)

        await self.app(scope, receive, sending)

    def _details(self, scope: Scope) -> tuple[str, dict[str, Any]]:
        """Return what a span is called: by its route, of which there are few, never by the path."""
        method = str(scope.get("method", "WEBSOCKET"))
        route = route_of(_routes(self.app), scope)
        return (f"{method} {route}", {"http.route": route}) if route else (method, {})


def is_instrumented(app: Any) -> bool:
    """Tell whether somebody made spans of an app's requests already."""
    while app is not None:
        if isinstance(app, OpenTelemetryMiddleware | RouteSpans):
            return True
        app = getattr(app, "app", None)
    return False


def route_of(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """Return the template of the route that a request goes to; empty where none has one."""
    for route in routes:
        match, child = route.matches(scope)
        if match is not Match.FULL:
            continue
        path = str(getattr(route, "path", ""))
        if isinstance(route, Mount):
            return path + route_of(route.routes or (), {**scope, **child})
        return path
    return ""


def _routes(app: Any) -> Iterable[BaseRoute]:
    while app is not None:
        found: Iterable[BaseRoute] | None = getattr(app, "routes", None)
        if found is not None:
            return found
        app = app.other if isinstance(app, Wrapped) else getattr(app, "app", None)
    return ()


def _without_query(span: Span, _: Scope) -> None:
    """Take queries out, which may hold what is nobody's business."""
    if not span.is_recording():
        return
    said: Any = getattr(span, "attributes", None) or {}
    for name in _QUERIED:
        if "?" in str(said.get(name, "")):
            span.set_attribute(name, str(said[name]).partition("?")[0])
    if said.get(_QUERY):
        span.set_attribute(_QUERY, "…")
