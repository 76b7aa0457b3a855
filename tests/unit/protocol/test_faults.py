"""Dapr's error bodies, written and read."""

import json

import pytest

from daprflow.protocol import faults
from daprflow.protocol.details import Help, HelpLink, OtherDetail
from daprflow.protocol.fault import BulkPublishFault, FailedEntry, Fault, FaultText, decode


def test_the_plain_shape() -> None:
    """An error without details has a code and a message, in that order and without spaces."""
    fault = Fault(409, "ERR_X", "no <b> & 'c'\u2028")
    assert fault.encode() == (
        b'{"errorCode":"ERR_X","message":"no \\u003cb\\u003e \\u0026 \'c\'\\u2028"}'
    )
    assert str(fault) == "no <b> & 'c'\u2028"


def test_the_rich_shape() -> None:
    """An error with details lists them with their type first and the other keys in order."""
    assert faults.state_not_found("s", "app").encode() == (
        b'{"errorCode":"ERR_STATE_STORE_NOT_FOUND","message":"state store s is not found",'
        b'"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io",'
        b'"metadata":{"appID":"app"},"reason":"DAPR_STATE_NOT_FOUND"}]}'
    )


def test_every_detail() -> None:
    """A key that may not be used is named in all three kinds of detail."""
    details = json.loads(faults.state_illegal_key("s", "a||b").encode())["details"]
    kinds = [detail["@type"].rpartition(".")[2] for detail in details]
    assert kinds == ["BadRequest", "ResourceInfo", "ErrorInfo"]
    assert details[0]["field_violations"][0]["field"] == "a||b"
    assert list(details[1]) == ["@type", "description", "owner", "resource_name", "resource_type"]
    assert details[2]["metadata"] is None


def test_help_has_links() -> None:
    """Help is written with the description and the address of each page."""
    fault = Fault(500, "E", "m", Help((HelpLink("d", "u"),)))
    assert json.loads(fault.encode())["details"][0]["links"] == [{"description": "d", "url": "u"}]


def test_pubsub_faults_name_topic_and_component() -> None:
    """Publish errors carry the component as a resource, whose description is the message."""
    fault = faults.pubsub_publish("ps", "t", "full")
    resource, info = json.loads(fault.encode())["details"]
    assert fault.message == "error when publishing to topic t in pubsub ps: full"
    assert resource["description"] == fault.message
    assert info["metadata"] == {"error": "full", "topic": "t"}


def test_a_bulk_publish_lists_what_failed() -> None:
    """A partly failed bulk publish has entries and a code, and no message."""
    fault = BulkPublishFault([FailedEntry("a", "why")])
    assert fault.status == 500
    assert fault.encode() == (
        b'{"failedEntries":[{"entryId":"a","error":"why"}],'
        b'"errorCode":"ERR_PUBSUB_PUBLISH_MESSAGE"}'
    )


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (faults.malformed("x"), 400, "ERR_MALFORMED_REQUEST"),
        (faults.unimplemented(), 501, "ERR_API_UNIMPLEMENTED"),
        (faults.no_app_id(), 404, "ERR_DIRECT_INVOKE"),
        (faults.direct_invoke("a", "x"), 500, "ERR_DIRECT_INVOKE"),
        (faults.not_ready(["app"]), 500, "ERR_HEALTH_NOT_READY"),
        (faults.outbound_not_ready(), 500, "ERR_OUTBOUND_HEALTH_NOT_READY"),
        (faults.app_id_mismatch(), 500, "ERR_HEALTH_APPID_NOT_MATCH"),
        (faults.state_not_configured("s", "a"), 500, "ERR_STATE_STORE_NOT_CONFIGURED"),
        (faults.state_query_unsupported("s"), 500, "ERR_STATE_STORE_NOT_SUPPORTED"),
        (faults.state_operation_unsupported("x"), 400, "ERR_NOT_SUPPORTED_STATE_OPERATION"),
        (faults.state_get("s", "k", "e"), 500, "ERR_STATE_GET"),
        (faults.state_save("s", "e", 409), 409, "ERR_STATE_SAVE"),
        (faults.state_delete("k", "e", 409), 409, "ERR_STATE_DELETE"),
        (faults.state_bulk_get("e"), 500, "ERR_STATE_BULK_GET"),
        (faults.state_transaction("e"), 500, "ERR_STATE_TRANSACTION"),
        (faults.pubsub_name_empty({}), 404, "ERR_PUBSUB_EMPTY"),
        (faults.pubsub_topic_empty("p", {}), 404, "ERR_TOPIC_NAME_EMPTY"),
        (faults.pubsub_not_found("p"), 404, "ERR_PUBSUB_NOT_FOUND"),
        (faults.pubsub_forbidden("p", "t", "a"), 403, "ERR_PUBSUB_FORBIDDEN"),
        (faults.pubsub_metadata("p", {"rawPayload": "x"}, "e"), 400, "ERR_PUBSUB_REQUEST_METADATA"),
        (faults.pubsub_cloud_event("p", "a", "e"), 500, "ERR_PUBSUB_CLOUD_EVENTS_SER"),
        (faults.pubsub_unmarshal("p", "t", "a", "e"), 400, "ERR_PUBSUB_EVENTS_SER"),
        (faults.pubsub_marshal("p", "t", "a", "e"), 400, "ERR_PUBSUB_EVENTS_SER"),
        (faults.secret_stores_not_configured(), 500, "ERR_SECRET_STORES_NOT_CONFIGURED"),
        (faults.secret_store_not_found("s"), 401, "ERR_SECRET_STORE_NOT_FOUND"),
        (faults.secret_get("s", "k", "e"), 500, "ERR_SECRET_GET"),
        (faults.secret_bulk("s", "e"), 500, "ERR_SECRET_GET"),
        (faults.output_binding("b", "e"), 500, "ERR_INVOKE_OUTPUT_BINDING"),
    ],
)
def test_the_catalogue(fault: Fault, status: int, code: str) -> None:
    """Each error has the status and the code of Dapr's catalogue, and reads back as written."""
    read = decode(fault.status, fault.encode())
    assert (fault.status, read.code, read.message) == (status, code, fault.message)
    assert bool(read.details) == bool(fault.details)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"invalid api token\n", FaultText("", "invalid api token")),
        (b"", FaultText("", "the sidecar answered with status 502 and no text")),
        (b"[]", FaultText("", "[]")),
        (b'{"message":"m"}', FaultText("", "m")),
        (
            b'{"errorCode":"E","message":"m","details":[1]}',
            FaultText("E", "m", (OtherDetail("", b"1"),)),
        ),
        (b'{"errorCode":1}', FaultText("", '{"errorCode":1}')),
        (b"\xff", FaultText("", "\ufffd")),
        (b"{}", FaultText("", "{}")),
        (b"[" * 5000, FaultText("", "[" * 5000)),
    ],
)
def test_bodies_of_others(body: bytes, text: FaultText) -> None:
    """Whatever is not Dapr's error body becomes the message."""
    assert decode(502, body) == text
