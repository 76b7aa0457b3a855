"""What of an event its delivery depends on."""

import pytest

from daprflow.protocol.envelopes import Head
from daprflow.sidecar.blocks.pubsub_delivery import is_expired, trace_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("head", "trace"),
    [
        (Head(), None),
        (Head(traceid=""), ""),
        (Head(traceid=PARENT), PARENT),
        (Head(traceid="x", traceparent=PARENT), PARENT),
        (Head(traceid=7), ""),
        (Head(traceparent=["x"]), ""),
    ],
)
def test_trace_fields_of_any_type_are_survived(head: Head, trace: str | None) -> None:
    """``traceparent`` wins; what is no string counts as empty."""
    assert trace_of(head) == trace


@pytest.mark.row("S-42")
@pytest.mark.parametrize(
    ("expiration", "expired"),
    [
        ("1970-01-01T00:00:09Z", True),
        ("1970-01-01T00:00:11Z", False),
        ("1970-01-01T01:00:09+01:00", True),
        ("soon", False),
        ("", False),
        (5, False),
        (None, False),
        ({"a": 1}, False),
    ],
)
def test_expiration_of_any_type_is_survived(expiration: object, expired: bool) -> None:  # noqa: FBT001 - a table's column
    """Only a moment that has passed expires an event."""
    assert is_expired(expiration, 10.0) is expired
