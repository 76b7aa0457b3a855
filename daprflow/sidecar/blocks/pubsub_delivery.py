"""What of an event its delivery depends on: its trace, and whether it has expired."""

from datetime import datetime
from typing import Any

from daprflow.protocol.envelopes import Head


def trace_of(head: Head) -> str | None:
    """Return the trace parent an event carries, None when it has no trace fields."""
    parent: Any = head.traceparent if head.traceparent is not None else head.traceid
    if parent is None:
        return None
    return parent if isinstance(parent, str) else ""


def is_expired(expiration: Any, now: float) -> bool:
    """Tell whether an event's ``expiration`` has passed; one that cannot be read has not."""
    if not isinstance(expiration, str):
        return False
    try:
        return datetime.fromisoformat(expiration).timestamp() < now
    except (ValueError, OverflowError, OSError):
        return False
