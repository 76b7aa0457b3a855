"""Errors over gRPC say what the same errors say over HTTP."""

import grpc
import msgspec
import pytest

from daprflow.client import failures
from daprflow.errors import EtagMismatch, NotFound, SidecarError, SidecarUnavailable
from daprflow.protocol import details, faults
from daprflow.protocol import messages as m
from daprflow.protocol.fault import Fault
from daprflow.protocol.grpc_codes import Code
from daprflow.protocol.http import HttpResponse
from daprflow.sidecar.grpc_api.status import failure, failure_of
from daprflow.transports.grpc_errors import DETAILS, refused

RICH = [
    faults.state_not_configured("s", "app1"),
    faults.state_not_found("s", "app1"),
    faults.state_query_unsupported("s"),
    faults.state_query("s", "no"),
    faults.pubsub_not_found("p"),
    faults.pubsub_forbidden("p", "t", "app1"),
    faults.pubsub_metadata("p", {"a": "b"}, "no"),
    faults.pubsub_cloud_event("p", "app1", "no"),
    faults.pubsub_publish("p", "t", "no"),
    faults.pubsub_marshal("p", "t", "app1", "no"),
    faults.pubsub_unmarshal("p", "t", "app1", "no"),
]


def error(failed: object) -> grpc.aio.AioRpcError:
    """Return what a client gets of a failure that the embedded sidecar answers with."""
    code, text, trailers = failed.code, failed.text, failed.trailers  # type: ignore[attr-defined]
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), text)


@pytest.mark.parametrize("fault", RICH, ids=lambda fault: fault.details[-1].reason)
def test_a_rich_error_is_the_same_over_both(fault: Fault) -> None:
    """Class, code, status, text and reason do not depend on what carried the error."""
    over_grpc = failures.of_call(refused(error(failure_of(fault))))
    over_http = failures.of(HttpResponse(fault.status, (), fault.encode()))
    assert type(over_grpc) is type(over_http)
    assert str(over_grpc) == str(over_http)
    assert (over_grpc.code, over_grpc.status) == (over_http.code, over_http.status)
    assert over_grpc.reason == over_http.reason
    assert [type(each) for each in over_grpc.details] == [type(each) for each in over_http.details]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.state_save("s", "possible etag mismatch", 409), EtagMismatch),
        (faults.output_binding("b", "couldn't find output binding b"), NotFound),
        (faults.job(500, "DAPR_SCHEDULER_GET_JOB", "no", "app1"), SidecarError),
    ],
)
def test_a_code_that_stands_for_itself_is_kept(fault: Fault, kind: type[SidecarError]) -> None:
    """A detail whose reason is the code gives the code."""
    found = failures.of_call(refused(error(failure_of(fault))))
    assert (type(found), found.code) == (kind, fault.code)


def test_details_are_read() -> None:
    """Each known detail becomes its struct, an unknown one keeps its type."""
    sent = [
        m.ErrorInfo(reason="DAPR_X", domain="dapr.io", metadata={"a": "b"}),
        m.ResourceInfo(resource_type="state", resource_name="s", owner="o", description="d"),
        m.BadRequest(field_violations=[m.BadRequest.FieldViolation(field="f", description="d")]),
        m.Help(links=[m.Help.Link(description="d", url="https://docs.dapr.io")]),
        m.Empty(),
    ]
    found = refused(error(failure(Code.INTERNAL, "no", sent))).fault.details
    unknown = "type.googleapis.com/google.protobuf.Empty"
    assert found == (
        details.ErrorInfo("dapr.io", {"a": "b"}, "DAPR_X"),
        details.ResourceInfo("d", "o", "s", "state"),
        details.BadRequest((details.FieldViolation("f", "d"),)),
        details.Help((details.HelpLink("d", "https://docs.dapr.io"),)),
        details.OtherDetail(unknown, msgspec.json.encode({"@type": unknown})),
    )


@pytest.mark.parametrize("trailer", [None, b"", b"\xff\xff"])
def test_missing_and_broken_details_are_none(trailer: bytes | None) -> None:
    """Without details the status of gRPC decides, as the runtime maps it."""
    pairs = () if trailer is None else ((DETAILS, trailer),)
    failed = grpc.aio.AioRpcError(
        grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), grpc.aio.Metadata(*pairs), "gone"
    )
    found = failures.of_call(refused(failed))
    assert (type(found), found.status, found.code, found.details) == (NotFound, 404, "", ())


def test_no_sidecar_is_unavailable() -> None:
    """``UNAVAILABLE`` is the error of a sidecar that is not there."""
    failed = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "refused"
    )
    found = failures.of_call(refused(failed))
    assert type(found) is SidecarUnavailable
    assert "refused" in str(found)
