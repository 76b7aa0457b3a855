"""Places in traces: as headers, and as gRPC has them."""

import pytest

from daprflow.sidecar.telemetry.trace_context import TraceContext, read_binary, read_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = TraceContext(TRACE, SPAN, 1)


def test_a_header_is_read_and_written() -> None:
    """What is read is what is sent on."""
    text = f"00-{TRACE}-{SPAN}-01"
    found = read_traceparent(text, "a=b")
    assert found == TraceContext(TRACE, SPAN, 1, "a=b")
    assert found is not None
    assert found.traceparent == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
    ],
)
def test_what_is_no_header(text: str) -> None:
    """A header that cannot be read is as none."""
    assert read_traceparent(text) is None


def test_later_versions_may_have_more() -> None:
    """Of a version that is not known yet, the known part counts."""
    assert read_traceparent(f"01-{TRACE}-{SPAN}-00-more") == TraceContext(TRACE, SPAN, 0)


def test_a_state_that_is_too_long_is_left_out() -> None:
    """More than 512 characters are not sent on."""
    found = read_traceparent(f"00-{TRACE}-{SPAN}-01", "a=" + "b" * 511)
    assert found == CONTEXT


def test_the_binary_form() -> None:
    """It is 29 bytes: a version, and three numbered fields."""
    data = CONTEXT.binary
    assert len(data) == 29
    assert read_binary(data) == CONTEXT


@pytest.mark.parametrize("data", [b"", b"\x01" * 29, CONTEXT.binary[:10], bytes(29)])
def test_what_is_no_binary_form(data: bytes) -> None:
    """Bytes that cannot be read are as none."""
    assert read_binary(data) is None
