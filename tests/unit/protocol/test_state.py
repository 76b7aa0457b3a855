"""Requests about state, as they are written."""

import msgspec

from daprflow.protocol import state as calls
from daprflow.protocol.state import StateItem, StateOptions


def test_a_save_leaves_out_what_is_not_said() -> None:
    """Only what a write asks for goes over the wire."""
    plain = StateItem(key="k", value=msgspec.Raw(b"1"))
    full = StateItem("k", msgspec.Raw(b"1"), "7", {"a": "b"}, StateOptions("first-write"))

    request = calls.save("s", (plain, full))

    assert request.target == "/v1.0/state/s"
    assert request.body == (
        b'[{"key":"k","value":1},{"key":"k","value":1,"etag":"7","metadata":{"a":"b"},'
        b'"options":{"concurrency":"first-write"}}]'
    )


def test_an_etag_is_a_header_of_a_delete() -> None:
    """Dapr takes a delete's ETag from If-Match, without quotes; an empty one is none."""
    assert calls.delete("s", StateItem("k", etag="7")).headers == (("if-match", "7"),)
    assert calls.delete("s", StateItem("k", etag="")).headers == ()
