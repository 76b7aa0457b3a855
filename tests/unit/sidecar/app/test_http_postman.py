"""What goes to the app with an event, and what its answer means."""

import pytest

from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import HttpResponse
from daprflow.sidecar.app.http_postman import HeaderMaker, judge, judge_bulk
from daprflow.sidecar.app.postman import NO_TRACE

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b"", Status.SUCCESS),
        (204, b"", Status.SUCCESS),
        (299, b"hi", Status.SUCCESS),
        (200, b"[]", Status.SUCCESS),
        (200, b'"x"', Status.SUCCESS),
        (200, b'{"status":1}', Status.SUCCESS),
        (200, b"\xff\xfe", Status.SUCCESS),
        (200, b"[" * 100_000, Status.SUCCESS),
        (200, b"{}", Status.SUCCESS),
        (200, b'{"status":""}', Status.SUCCESS),
        (200, b'{"status":"SUCCESS"}', Status.SUCCESS),
        (200, b'{"status":"RETRY"}', Status.RETRY),
        (200, b'{"status":"DROP"}', Status.DROP),
        (200, b'{"Status":"DROP"}', Status.DROP),
        (200, b'{"status":"DROP"} and more', Status.DROP),
        (200, b'{"status":"success"}', Status.RETRY),
        (200, b'{"status":"WHAT"}', Status.RETRY),
        (404, b"", Status.DROP),
        (302, b"", Status.RETRY),
        (400, b"", Status.RETRY),
        (403, b'{"status":"SUCCESS"}', Status.RETRY),
        (500, b"", Status.RETRY),
        (503, b'{"status":"DROP"}', Status.RETRY),
    ],
)
def test_the_verdict_of_each_answer(status: int, body: bytes, verdict: Status) -> None:
    """The table of the real runtime, word for word."""
    judged = judge(HttpResponse(status, (), body))
    assert judged.status is verdict
    assert bool(judged.reason) == (verdict is not Status.SUCCESS)


@pytest.mark.parametrize(
    ("status", "body", "listed", "silent"),
    [
        (200, b'{"statuses":[{"entryId":"a","status":"SUCCESS"}]}', Status.SUCCESS, Status.RETRY),
        (200, b'{"statuses":[{"entryId":"a","status":"DROP"}]}', Status.DROP, Status.RETRY),
        (200, b'{"statuses":[{"entryId":"a","status":"RETRY"}]}', Status.RETRY, Status.RETRY),
        (200, b'{"statuses":[{"entryId":"a"}]}', Status.RETRY, Status.RETRY),
        (200, b'{"statuses":[{"entryId":"a","status":"success"}]}', Status.RETRY, Status.RETRY),
        (200, b"", Status.RETRY, Status.RETRY),
        (200, b"hi", Status.RETRY, Status.RETRY),
        (200, b"{}", Status.RETRY, Status.RETRY),
        (404, b"", Status.SUCCESS, Status.SUCCESS),
        (500, b"", Status.RETRY, Status.RETRY),
        (302, b"", Status.RETRY, Status.RETRY),
    ],
)
def test_the_verdicts_of_a_batch(status: int, body: bytes, listed: Status, silent: Status) -> None:
    """Silence is no success in bulk; a 404 ends the batch."""
    verdicts = judge_bulk(HttpResponse(status, (), body))
    assert verdicts.get("a", verdicts[""]).status is listed
    assert verdicts[""].status is silent


def test_a_plain_event_has_the_recorded_headers() -> None:
    """Content type, component and the all-zero parent of an event without trace."""
    assert HeaderMaker("pubsub").make({}, "") == (
        ("content-type", "application/cloudevents+json"),
        ("pubsubname", "pubsub"),
        ("traceparent", NO_TRACE),
    )


@pytest.mark.parametrize(
    ("parent", "sent"),
    [
        (PARENT, PARENT),
        ("", NO_TRACE),
        ("nonsense", NO_TRACE),
        (PARENT.replace("0af", "0AF"), NO_TRACE),
        (NO_TRACE, NO_TRACE),
        ("a\r\nb: c", NO_TRACE),
        (None, None),
    ],
)
def test_the_trace_parent_is_sent_where_there_is_one(parent: str | None, sent: str | None) -> None:
    """A valid parent goes on, anything else is all zeros, no trace fields no header."""
    headers = dict(HeaderMaker("p").make(None, parent))
    assert headers.get("traceparent") == sent


def test_metadata_becomes_headers_that_cannot_do_harm() -> None:
    """Names in lower case; the channel's own names, binary ones and line breaks stay out."""
    metadata = {
        "Foo": "bar",
        "ttlInSeconds": "10",
        "split": "a\r\nx-evil: 1",
        "Content-Type": "text/html",
        "content-length": "0",
        "transfer-encoding": "chunked",
        "dapr-api-token": "guess",
        "pubsubname": "other",
        "trace-bin": "x",
        "bad name": "x",
        "": "x",
    }
    assert HeaderMaker("p").make(metadata, None) == (
        ("foo", "bar"),
        ("ttlinseconds", "10"),
        ("split", "a  x-evil: 1"),
        ("content-type", "application/cloudevents+json"),
        ("pubsubname", "p"),
    )
