"""Uses of traces and watchers that mypy accepts in strict mode."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_type

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from daprflow import Client, DaprFlow, Delivery, Next, Outcome
from daprflow.observability import Handled, Observability, TurnNext, Watcher, trace_calls
from daprflow.testing import CollectedSpans, TestSidecar

provider = TracerProvider()


class Stopwatch(Watcher):
    """Watches deliveries and turns."""

    def delivery(self, handled: Handled, call: Next) -> Next:
        """Stand around a handler."""

        async def watched(delivery: Delivery) -> Outcome:
            return await call(delivery)

        return watched if handled.kind == "topic" else call

    def turn(self, call: TurnNext) -> TurnNext:
        """Stand around turns."""
        return call

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """Do nothing else."""
        yield


app = DaprFlow(
    "shop",
    observability=Observability(tracing=True, tracer_provider=provider, watchers=[Stopwatch()]),
)
client = Client(interceptors=[trace_calls(), trace_calls(provider)])


async def look() -> None:
    """Look at spans in a test."""
    async with TestSidecar(app, spans=True) as dapr:
        assert_type(dapr.spans, CollectedSpans)
        assert_type(dapr.spans.named("process orders"), ReadableSpan)
        assert_type(dapr.spans.tree(), str)
        assert_type(list(dapr.spans), list[ReadableSpan])
