"""Starting and ending spans; one that nobody samples costs next to nothing."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Tracer,
    TracerProvider,
)

from daprflow.observability.lean_spans import LeanSpan

SCHEMA: Final = "https://opentelemetry.io/schemas/1.37.0"
_RATIO_BITS: Final = (1 << 64) - 1
_FOLLOWS_PARENTS: Final = ("ParentBased{", "remoteParentNotSampled:AlwaysOffSampler")
_KEEPS_PARENTS: Final = "localParentNotSampled:AlwaysOffSampler"


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids that a span is to have."""

    trace: int
    span: int = 0


class PlannedIds(RandomIdGenerator):
    """Makes random ids, and those that were planned for the span that is started next."""

    def __init__(self) -> None:
        self.planned: Ids | None = None

    def generate_trace_id(self) -> int:
        """Return the id of a trace."""
        planned = self.planned
        return super().generate_trace_id() if planned is None else planned.trace

    def generate_span_id(self) -> int:
        """Return the id of a span."""
        planned = self.planned
        if planned is None or not planned.span:
            return super().generate_span_id()
        return planned.span


@dataclass(frozen=True, slots=True)
class Description:
    """What a span is called, and what it says from its beginning."""

    name: str
    kind: SpanKind
    attributes: dict[str, Any]
    links: Sequence[Link] = ()


class Spans:
    """Starts the spans of one app, or of a client.

    Args:
        provider: makes them.
        version: of this library.
        ratio: how many traces are sampled that begin here, where that is known; None leaves it
            to the provider.
        ids: makes the ids of ``provider``; None where somebody else does.
    """

    def __init__(
        self,
        provider: TracerProvider,
        version: str,
        ratio: float | None = None,
        ids: PlannedIds | None = None,
    ) -> None:
        self.provider = provider
        self.tracer: Tracer = provider.get_tracer("daprflow", version, schema_url=SCHEMA)
        self._ids = ids
        self.ratio = None if ids is None else ratio
        self._bound = 0 if ratio is None else round(ratio * (1 << 64))
        sampler = self._sampler = getattr(provider, "sampler", None)
        said = sampler.get_description() if sampler is not None else ""
        self.follows_parents = (
            said.startswith(_FOLLOWS_PARENTS[0])
            and _FOLLOWS_PARENTS[1] in said
            and _KEEPS_PARENTS in said
        )

    def begin(
        self,
        context: Context,
        parent: SpanContext,
        describe: Callable[[Any], Description],
        about: Any,
    ) -> Span:
        """Start a span; ``describe(about)`` is asked only where it may be sampled.

        Args:
            context: where it belongs.
            parent: the span of that.
            describe: says what it is.
            about: what that is asked about.
        """
        if parent.is_valid:
            if self.follows_parents and not parent.trace_flags & 1:
                return NonRecordingSpan(parent)
        elif self.ratio is not None and random.random() >= self.ratio:  # noqa: S311 - no secret
            lean: Span = LeanSpan()
            return lean
        else:
            return self.root(context, describe(about))
        return self._start(context, describe(about))

    def root(self, context: Context, description: Description) -> Span:
        """Start the first span of a trace; where the ratio is ours, it was asked before."""
        if self.ratio is None:
            return self._start(context, description)
        # The sampler looks at the lower half of an id: this one it takes.
        low = random.randrange(self._bound) if self._bound else 0  # noqa: S311 - likewise
        return self.planned(context, description, Ids(random.getrandbits(64) << 64 | low or 1))

    def planned(self, context: Context, description: Description, ids: Ids) -> Span:
        """Start a span with ids of its own, where the provider's ids are ours."""
        if self._ids is None:
            return self._start(context, description)
        self._ids.planned = ids
        try:
            return self._start(context, description)
        finally:
            self._ids.planned = None

    def samples(self, trace: int) -> bool:
        """Tell whether a trace that begins with this id is sampled."""
        if self.ratio is not None:
            return (trace & _RATIO_BITS) < self._bound
        if self._sampler is None:
            return True
        return bool(self._sampler.should_sample(None, trace, "workflow").decision.is_sampled())

    @property
    def plans(self) -> bool:
        """Whether spans can be given ids."""
        return self._ids is not None

    def _start(self, context: Context, description: Description) -> Span:
        return self.tracer.start_span(
            description.name,
            context,
            description.kind,
            description.attributes,
            description.links,
            record_exception=False,
            set_status_on_exception=False,
        )


def derived(*names: object) -> Ids:
    """Return ids that are the same for the same names, in every process."""
    digest = blake2b("\0".join(map(str, names)).encode(), digest_size=24).digest()
    return Ids(int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:]) or 1)
