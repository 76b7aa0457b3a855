"""A place in a trace: read from headers and metadata, and written there."""

import re
from dataclasses import dataclass, replace
from typing import Final

_parent = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_LONGEST_STATE = 512
_BINARY_PARTS = ((0, 16), (1, 8), (2, 1))
SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span as others refer to it.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        flags: the lowest bit says whether the trace is recorded.
        state: the ``tracestate`` that goes with it.
    """

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    @property
    def sampled(self) -> bool:
        """Whether the trace is recorded."""
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> str:
        """The context as a header; its version is always 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def binary(self) -> bytes:
        """The context as ``grpc-trace-bin`` has it."""
        trace, span = bytes.fromhex(self.trace_id), bytes.fromhex(self.span_id)
        return b"\x00\x00" + trace + b"\x01" + span + b"\x02" + bytes((self.flags,))


def read_traceparent(text: str, state: str = "") -> TraceContext | None:
    """Read a ``traceparent`` header; None where it is none.

    Args:
        text: the header.
        state: the ``tracestate`` header; one that is too long to be sent on is left out.
    """
    found = _parent.fullmatch(text)
    if found is None or (found[5] and found[1] == "00"):
        return None
    kept = state if len(state) <= _LONGEST_STATE else ""
    return TraceContext(found[2], found[3], int(found[4], 16), kept)


def read_binary(data: bytes) -> TraceContext | None:
    """Read ``grpc-trace-bin``; None where it is none."""
    if not data or data[0] != 0:
        return None
    rest, values = data[1:], []
    for number, size in _BINARY_PARTS:
        if len(rest) <= size or rest[0] != number:
            break
        values.append(rest[1 : size + 1])
        rest = rest[size + 1 :]
    if len(values) < 2 or not any(values[0]) or not any(values[1]):  # noqa: PLR2004 - both ids
        return None
    flags = values[2][0] if len(values) == len(_BINARY_PARTS) else 0
    return TraceContext(values[0].hex(), values[1].hex(), flags)


def under(context: TraceContext, span_id: str) -> TraceContext:
    """Return the context of another span of the same trace."""
    return replace(context, span_id=span_id)
