"""The span of a delivery: what it is inside of, and what became of it."""

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext
from opentelemetry.trace.propagation import set_span_in_context

from daprflow.errors import Drop, Retry
from daprflow.handlers.handler import Delivery, Outcome
from daprflow.handlers.trace import DELIVERED
from daprflow.observability import span_names
from daprflow.observability.lean_spans import HELD, KEPT, Lean, lean, undecided
from daprflow.observability.span_errors import refuse
from daprflow.observability.trace_context import context_of, enveloped, extracted, span_of
from daprflow.observability.watches import Watch
from daprflow.observability.watching import Handled
from daprflow.observability.workflow_spans import derived_context
from daprflow.protocol.deliveries import Status

if TYPE_CHECKING:
    from daprflow.observability.tracing import Tracing

INSTANCE: Final = b"dapr-workflow-id"
_FAILED: Final = 500
_VERDICTS: Final = frozenset({"topic", "binding", "cron", "job"})


class DeliverySpans(Watch):
    """Makes the spans of the deliveries to one handler.

    Args:
        tracing: what spans are made with.
        handled: the handler.
    """

    def __init__(self, tracing: "Tracing", handled: Handled) -> None:
        self._tracing = tracing
        self._kind = handled.kind
        self._describe = span_names.describer(tracing.app_id, handled)
        self._is_event = handled.kind == "topic" and not handled.batch
        self._read = context_of if tracing.usual else extracted
        spans = tracing.spans
        self._find: Lean = undecided  # the provider decides each time, or the workflow
        if tracing.usual and spans.follows_parents and handled.kind != "activity":
            self._find = lean(spans.ratio, is_event=self._is_event)

    def begin(self, delivery: Delivery) -> Any:
        """Start a span; what is returned is that, and what was before it."""
        found = self._find(delivery)
        if found is not None and found is not KEPT:  # nearly always, so without a detour
            return None, attach(Context({HELD: found})), DELIVERED.set(found)
        try:
            span, context = self._start(delivery, is_kept=found is not None)
        except Exception as error:  # noqa: BLE001 - a sampler or an id generator of anybody's
            self._tracing.cannot(error)
            return None
        token = attach(set_span_in_context(span, context))
        return span, token, DELIVERED.set(self._tracing.source)

    def end(self, held: Any, delivery: Delivery, outcome: Outcome, seconds: float) -> None:  # noqa: ARG002 - a span has times of its own
        """End a span with what became of a delivery."""
        if held is None:
            return
        span, token, before = held
        DELIVERED.reset(before)
        detach(token)
        if span is not None and span.is_recording():
            self._tracing.end(span, partial(self._tell, span, outcome))

    def failed(self, held: Any, delivery: Delivery, error: BaseException, seconds: float) -> None:  # noqa: ARG002 - likewise
        """End a span with what was let through."""
        if held is None:
            return
        span, token, before = held
        if span is not None:
            self._tracing.end(span, partial(self._tracing.errors.tell, span, error))
        DELIVERED.reset(before)
        detach(token)

    def _start(self, delivery: Delivery, *, is_kept: bool) -> tuple[Span, Context]:
        """Return the span of a delivery that may be sampled, and where it belongs.

        Args:
            delivery: what came.
            is_kept: whether a root was drawn already.
        """
        spans = self._tracing.spans
        context = self._read(delivery.raw_headers)
        parent = span_of(context)
        if self._is_event and not parent.is_valid:
            published = enveloped(delivery)
            if published is not None:
                context, parent = continued(published, context), published
        elif self._kind == "activity" and not parent.is_valid:
            context = derived_context(spans, _instance(delivery))
            parent = span_of(context)
        if is_kept and not parent.is_valid:
            return spans.root(context, self._describe(delivery)), context
        return spans.begin(context, parent, self._describe, delivery), context

    def _tell(self, span: Span, outcome: object) -> None:
        if not isinstance(outcome, Outcome):
            return
        error = outcome.error
        if self._kind in _VERDICTS:
            status = outcome.status if outcome.http_status == HTTPStatus.OK else Status.RETRY
            span.set_attribute("dapr.verdict", status.value)
            if isinstance(error, Drop | Retry):
                return
        elif self._kind == "invoke":
            span.set_attribute("http.response.status_code", outcome.http_status)
            if outcome.http_status < _FAILED:
                return
        if error is not None:
            self._tracing.errors.tell(span, error)
        elif outcome.http_status >= _FAILED:
            refuse(span, str(outcome.http_status))


def continued(parent: SpanContext, context: Context) -> Context:
    """Return a context in which ``parent`` goes on."""
    return set_span_in_context(NonRecordingSpan(parent), context)


def _instance(delivery: Delivery) -> str:
    """Return the workflow that an activity is for."""
    return next((value.decode() for name, value in delivery.raw_headers if name == INSTANCE), "")
