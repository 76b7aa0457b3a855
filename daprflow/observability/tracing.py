"""Spans of a running app: one for each delivery, turn of a workflow and call of its client."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Span, get_current_span
from opentelemetry.trace.propagation import set_span_in_context
from starlette.types import ASGIApp

from daprflow.client import Client
from daprflow.client.event_message import MessageEnd
from daprflow.client.interception import CallNext, ClientCall, ClientResponse
from daprflow.errors import Drop, Retry
from daprflow.handlers.trace import DELIVERED, Source
from daprflow.observability import span_names
from daprflow.observability.delivery_spans import DeliverySpans, continued
from daprflow.observability.lean_spans import LeanSpan
from daprflow.observability.learning import Learning
from daprflow.observability.span_errors import SpanErrors, refuse
from daprflow.observability.spans import Description, Spans
from daprflow.observability.trace_context import (
    context_of,
    enveloped_in,
    span_of,
)
from daprflow.observability.watches import Watch
from daprflow.observability.watching import Handled, Parts, Watcher
from daprflow.observability.workflow_spans import WorkflowSpans
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.deliveries import Status
from daprflow.workflows.turns import TurnNext

logger = logging.getLogger(__name__)

_BAD: Final = 400
_EMPTY: Final = Context()


class Tracing:
    """What spans of one app are made with.

    Attributes:
        app_id: the app's; empty for a client without an app.
        spans: starts them.
        errors: writes errors into them.
        source: gives the headers of calls.
        usual: whether Dapr's own headers are all there is to read.
    """

    def __init__(
        self, app_id: str, spans: Spans, errors: SpanErrors, source: Source, *, usual: bool
    ) -> None:
        self.app_id = app_id
        self.spans = spans
        self.errors = errors
        self.source = source
        self.usual = usual
        self._learning = Learning(errors.redaction)
        self._told = False

    # ---- deliveries

    def watch(self, handled: Handled) -> Watch:
        """Return what makes a span for each delivery to a handler."""
        return DeliverySpans(self, handled)

    def end(self, span: Span, tell: Callable[[], None]) -> None:
        """End a span with what there is to tell; a mistake here is nobody's who made the call."""
        if not span.is_recording():
            return
        try:
            tell()
        except Exception as error:  # noqa: BLE001 - whatever an exporter or a user's class raises
            self.cannot(error)
        finally:
            span.end()

    def cannot(self, error: Exception) -> None:
        """Say once that spans cannot be made."""
        if not self._told:
            self._told = True
            text = "a span could not be made; further ones that cannot are not told"
            logger.error(text, exc_info=error)

    # ---- messages of streaming subscriptions

    def message(self, event: CloudEvent[Any]) -> MessageEnd:
        """Start the span of a message's block; return what ends it."""
        parent = enveloped_in(event)
        context = _EMPTY if parent is None else continued(parent, _EMPTY)
        try:
            span = self.spans.begin(context, span_of(context), self._describe_message, event)
        except Exception as error:  # noqa: BLE001 - as above
            self.cannot(error)
            return _nothing
        token = attach(set_span_in_context(span, context))
        held = DELIVERED.set(self.source)

        def end(status: Status, error: BaseException | None) -> None:
            DELIVERED.reset(held)
            detach(token)
            self.end(span, partial(self._decided, span, status, error))

        return end

    def _describe_message(self, event: CloudEvent[Any]) -> Description:
        return span_names.message(self.app_id, event)

    def _decided(self, span: Span, status: Status, error: BaseException | None) -> None:
        span.set_attribute("dapr.verdict", status.value)
        if error is not None and not isinstance(error, Drop | Retry):
            self.errors.tell(span, error)

    # ---- calls

    async def intercept(self, call: ClientCall, call_next: CallNext) -> ClientResponse:
        """Make a call with a span around it, whose context goes along."""
        if call.block == "secrets":
            call_next = self._learning.after(call_next)
        given = DELIVERED.get()
        try:
            if given is None or isinstance(given, Source):
                context = get_current()
                if isinstance(get_current_span(context), LeanSpan) and given is not None:
                    return await call_next(call)
            else:
                context = context_of(given)
            parent = span_of(context)
            span = self.spans.begin(context, parent, span_names.call, call)
        except Exception as error:  # noqa: BLE001 - as above
            self.cannot(error)
            return await call_next(call)
        if not span.is_recording() and parent.is_valid and given is not None:
            return await call_next(call)  # what goes along is the same
        token = attach(set_span_in_context(span, context))
        held = DELIVERED.set(self.source)
        try:
            response = await call_next(call)
        except BaseException as error:
            self.end(span, partial(self.errors.tell, span, error))
            raise
        finally:
            DELIVERED.reset(held)
            detach(token)
        if span.is_recording():
            self.end(span, partial(_told, span, call, response))
        return response


def _told(span: Span, call: ClientCall, response: ClientResponse) -> None:
    """Say what was answered."""
    if call.protocol == "http":
        span.set_attribute("http.response.status_code", response.status)
    sent = len(call.attempts.made)
    if sent > 1:
        span.set_attribute("http.request.resend_count", sent - 1)
    if response.status >= _BAD:
        refuse(span, response.code or str(response.status))


class TracingWatcher(Watcher):
    """Makes spans of all that a running app does.

    Args:
        begin: makes what spans are made with, when the app starts.
        end: called when it has ended.
    """

    def __init__(
        self, begin: Callable[[], Tracing], end: Callable[[Tracing], Any] | None = None
    ) -> None:
        self._begin = begin
        self._end = end
        self._tracing: Tracing | None = None
        self._client: Client | None = None

    @property
    def tracing(self) -> Tracing:
        """What spans are made with, while the app runs.

        Raises:
            RuntimeError: it does not run.
        """
        if self._tracing is None:
            raise RuntimeError("the app is not running")
        return self._tracing

    def watch(self, handled: Handled) -> Watch:
        """Put a span around each delivery."""
        return self.tracing.watch(handled)

    def turn(self, call: TurnNext) -> TurnNext:
        """Put a span around each turn of a workflow."""
        tracing = self.tracing
        return WorkflowSpans(tracing.spans, tracing.errors).turn(call)

    def routes(self, app: ASGIApp, is_ours: Callable[[Any], bool]) -> ASGIApp:
        """Put spans around the user's own routes, unless somebody else did."""
        from daprflow.observability import route_spans  # noqa: PLC0415 - it loads Starlette's routing

        if route_spans.is_instrumented(app):
            return app
        tracing = self.tracing
        return route_spans.RouteSpans(app, is_ours, tracing.spans.provider, tracing.errors)

    def attach(self, parts: Parts) -> None:
        """Put spans around the calls of the app's client, and what it takes from streams."""
        self.tracing.errors.redaction.add(*parts.settings.secrets)
        self._client = parts.client
        parts.client.add_interceptors(self._intercept)
        parts.client.watch_messages(self.tracing.message)

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """Make spans inside the block; at its end, what is collected is sent, for a while."""
        tracing = self._tracing = self._begin()
        try:
            yield
        finally:
            self._tracing = None
            client, self._client = self._client, None
            if client is not None:  # it may live longer than the app
                client.remove_interceptors(self._intercept)
                client.watch_messages(None)
            if self._end is not None:
                await self._end(tracing)

    async def _intercept(self, call: ClientCall, call_next: CallNext) -> ClientResponse:
        tracing = self._tracing
        if tracing is None:  # the last calls of a run
            return await call_next(call)
        return await tracing.intercept(call, call_next)


def _nothing(_: Status, __: BaseException | None) -> None:
    """End nothing."""
