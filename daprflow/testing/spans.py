"""The spans of the apps under test, kept in memory: ``TestSidecar(app, spans=True)``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from daprflow.errors import MissingExtra

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from daprflow.app import DaprFlow


class CollectedSpans:
    """What apps did, as spans of OpenTelemetry, in the order in which they began.

    Attributes:
        provider: makes them; a test may make spans of its own with it.

    Raises:
        MissingExtra: the packages of the extra ``otel`` are not installed.

    Example:
        ```python
        async with TestSidecar(app, spans=True) as dapr:
            await dapr.publish(orders, Order("7"))
            print(dapr.spans.tree())
        ```
    """

    def __init__(self) -> None:
        try:
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
            from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415
                InMemorySpanExporter,
            )
        except ImportError:
            raise MissingExtra("collecting spans", "otel") from None
        self._exporter = InMemorySpanExporter()
        self.provider: TracerProvider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def __iter__(self) -> "Iterator[ReadableSpan]":
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    @property
    def all(self) -> "list[ReadableSpan]":
        """Every span that has ended."""
        return sorted(self._exporter.get_finished_spans(), key=lambda each: each.start_time or 0)

    @property
    def names(self) -> list[str]:
        """The names of all of them."""
        return [each.name for each in self.all]

    def named(self, name: str, /) -> "ReadableSpan":
        """Return the only span of a name.

        Args:
            name: such as ``process orders``.

        Raises:
            LookupError: there is none, or there are several; the text says what there is.

        Example:
            ```python
            async with TestSidecar(app, spans=True) as dapr:
                await dapr.publish(orders, Order("7"))
                span = dapr.spans.named("process orders")
            ```
        """
        found = [each for each in self.all if each.name == name]
        if len(found) != 1:
            raise LookupError(
                f"{len(found)} spans are named '{name}'; there is {', '.join(self.names) or 'none'}"
            )
        return found[0]

    def tree(self) -> str:
        """Return the names, one a line, each two spaces further in than its parent.

        Example:
            ```python
            async with TestSidecar(app, spans=True) as dapr:
                print(dapr.spans.tree())
            ```
        """
        spans = self.all
        known = {each.context.span_id for each in spans if each.context is not None}
        children: dict[int, list[ReadableSpan]] = {}
        for each in spans:
            above = 0 if each.parent is None else each.parent.span_id
            children.setdefault(above if above in known else 0, []).append(each)
        lines: list[str] = []

        def add(of: int, depth: int) -> None:
            for each in children.get(of, ()):
                lines.append("  " * depth + each.name)
                if each.context is not None:
                    add(each.context.span_id, depth + 1)

        add(0, 0)
        return "\n".join(lines)

    def clear(self) -> None:
        """Forget those that have ended.

        Example:
            ```python
            async with TestSidecar(app, spans=True) as dapr:
                dapr.spans.clear()
            ```
        """
        self._exporter.clear()


@contextmanager
def collecting(apps: "Sequence[DaprFlow]", spans: CollectedSpans) -> Iterator[None]:
    """Have apps that start inside the block make their spans here."""
    before = [each.observability for each in apps]
    for each in apps:
        each.observability = replace(
            each.observability, tracing=True, tracer_provider=spans.provider
        )
    try:
        yield
    finally:
        for app, observability in zip(apps, before, strict=True):
            app.observability = observability
