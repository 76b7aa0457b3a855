"""Spans that are kept in memory, and the tree that they make."""

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler


class KeptSpans:
    """A tracer provider whose spans stay here."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def all(self) -> list[ReadableSpan]:
        """Every span that has ended, by its beginning."""
        return sorted(self.exporter.get_finished_spans(), key=lambda each: each.start_time or 0)

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [each.name for each in self.all]

    def named(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        (found,) = [each for each in self.all if each.name == name]
        return found

    def clear(self) -> None:
        """Forget them."""
        self.exporter.clear()

    def tree(self) -> list[str]:
        """Return the names, indented by how deep they are; remote parents count as none."""
        spans = {each.context.span_id: each for each in self.all if each.context is not None}
        lines = []
        for each in self.all:
            depth, parent = 0, each.parent
            while parent is not None and parent.span_id in spans:
                depth, parent = depth + 1, spans[parent.span_id].parent
            lines.append("  " * depth + each.name)
        return lines


def parent_of(span: ReadableSpan) -> str:
    """Return the id of a span's parent; empty where it has none."""
    return "" if span.parent is None else f"{span.parent.span_id:016x}"


def id_of(span: ReadableSpan) -> str:
    """Return a span's id."""
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def trace_of(span: ReadableSpan) -> str:
    """Return the id of its trace."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}"
