"""Service invocation over gRPC by message: ``InvokeService``."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages
from tests.helpers.grpc_app import grpc_app
from tests.helpers.grpc_callers import (
    UNTRACED,
    Pairs,
    callers,
    message,
)
from tests.helpers.policies import CALL_POLICIES, with_policies
from tests.helpers.recording import Answer, RecordingApp
from tests.helpers.timing import until


async def answer_all(request: messages.InvokeRequest, context: Any) -> messages.InvokeResponse:
    """Answer with what came, and with metadata around it."""
    await context.send_initial_metadata((("x-head", "1"), ("x-bin", b"\x00")))
    context.set_trailing_metadata((("x-trail", "2"),))
    return messages.InvokeResponse(data=request.data, content_type="a/b")


async def test_a_message_reaches_the_own_app(tmp_path: Path) -> None:
    """Unchanged, with the caller's metadata and nothing said of a caller; metadata come back."""
    async with grpc_app(OnInvoke=answer_all) as app, callers(tmp_path, own=app) as made:
        request = message("a//b/../c", b"1")
        sent: Pairs = (("x-mine", "1"), ("x-mine-bin", b"\x01"), ("dapr-caller-app-id", "forged"))
        found = await made["own"].invoke("own", request, sent)
    assert (found.code, found.answer.data.value, found.answer.content_type) == ("OK", b"1", "a/b")
    assert found.head == {"x-head": "1", "x-bin": b"\x00", "traceparent": UNTRACED}
    assert found.trail == {"x-trail": "2", "traceparent": UNTRACED}
    (call,) = app.calls
    assert call.request.method == "a/c"
    metadata = {name: call.metadata[name] for name in call.metadata if name != "user-agent"}
    assert metadata == {"traceparent": [UNTRACED], "x-mine": ["1"], "x-mine-bin": [b"\x01"]}


@pytest.mark.row("S-33")
async def test_a_message_reaches_another_app(tmp_path: Path) -> None:
    """It is told who calls, whatever the caller says of itself."""
    async with (
        grpc_app(OnInvoke=answer_all) as app,
        callers(tmp_path, own=None, other=app) as made,
    ):
        forged = (("dapr-caller-app-id", "forged"), ("dapr-callee-app-id", "forged"))
        found = await made["own"].invoke("other", message(), forged)
    assert found.code == "OK"
    metadata = app.calls[0].metadata
    assert metadata["dapr-caller-app-id"] == ["own"]
    assert metadata["dapr-callee-app-id"] == ["other"]
    assert metadata["dapr-caller-namespace"] == ["default"]
    assert metadata["x-forwarded-for"] == ["127.0.0.1"]


async def test_an_error_of_the_app_is_the_callers(tmp_path: Path) -> None:
    """Code, text, details and trailers pass unchanged."""

    async def answer(_request: object, context: Any) -> messages.InvokeResponse:
        rich = messages.RpcStatus(code=5, message="no")
        rich.details.add().Pack(messages.ErrorInfo(reason="R"))
        trailers = (("grpc-status-details-bin", rich.SerializeToString()), ("x-trail", "3"))
        await context.abort(grpc.StatusCode.NOT_FOUND, "no", trailers)
        raise AssertionError

    async with grpc_app(OnInvoke=answer) as app, callers(tmp_path, own=None, other=app) as made:
        found = await made["own"].invoke("other", message())
    assert (found.code, found.text, found.info.reason) == ("NOT_FOUND", "no", "R")
    assert found.trail["x-trail"] == "3"


async def test_a_message_reaches_an_http_app(tmp_path: Path) -> None:
    """As a request with its verb, path, query and type; the answer has the status as metadata."""
    app = RecordingApp(lambda _: Answer(201, b"{}", "a/b", {"x-a": "1"}))
    async with callers(tmp_path, own=None, other=app) as made:
        request = message("a b/c", b"1", "PUT")
        request.http_extension.querystring = "q=1"
        request.content_type = "text/x"
        found = await made["own"].invoke("other", request, (("x-mine", "1"), ("x-bin", b"\x01")))
    assert (found.code, found.answer.data.value) == ("OK", b"{}")
    assert found.answer.content_type == "a/b"
    assert found.head["dapr-http-status"] == "201"
    assert (found.head["dapr-content-type"], found.head["x-a"]) == ("a/b", "1")
    (call,) = app.calls
    assert (call.method, call.target, call.body) == ("PUT", "/a%20b/c?q=1", b"1")
    assert (call.header("content-type"), call.header("x-mine")) == ("text/x", "1")
    assert call.header("dapr-caller-app-id") == "own"
    assert call.header("x-bin") is None


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("a/b", "/a/b"),
        ("a b/c%20d", "/a%20b/c%20d"),
        ("a%2Fb", "/a%2Fb"),
        ("a b%2Fc", "/a%20b/c"),
        ("caf\xe9", "/caf%C3%A9"),
        ("it's(!)", "/it's(!)"),
        ("it's {so}", "/it%27s%20%7Bso%7D"),
    ],
)
async def test_a_method_is_a_path_to_an_http_app(tmp_path: Path, method: str, target: str) -> None:
    """Escapes in it count as such, and what no path can hold is encoded as Go does it."""
    app = RecordingApp()
    async with callers(tmp_path, own=app) as made:
        await made["own"].invoke("own", message(method))
    assert app.calls[0].target == target


async def test_typed_data_are_protobuf_for_an_http_app(tmp_path: Path) -> None:
    """Data with a type have that content type, whatever the caller says."""
    app = RecordingApp(lambda _: Answer(204))
    async with callers(tmp_path, own=app) as made:
        request = message()
        request.data.Pack(messages.ErrorInfo(reason="x"))
        request.content_type = "text/x"
        await made["own"].invoke("own", request)
    assert app.calls[0].header("content-type") == "application/x-protobuf"


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (302, "UNKNOWN", "Found"), (400, "INTERNAL", "Bad Request"),
        (401, "UNAUTHENTICATED", "Unauthorized"), (403, "PERMISSION_DENIED", "Forbidden"),
        (404, "NOT_FOUND", "Not Found"), (408, "CANCELLED", "Request Timeout"),
        (409, "ALREADY_EXISTS", "Conflict"), (418, "UNKNOWN", "I'm a teapot"),
        (422, "UNKNOWN", "Unprocessable Entity"), (429, "RESOURCE_EXHAUSTED", "Too Many Requests"),
        (499, "UNKNOWN", ""), (500, "UNKNOWN", "Internal Server Error"),
        (501, "UNIMPLEMENTED", "Not Implemented"), (503, "UNAVAILABLE", "Service Unavailable"),
        (504, "DEADLINE_EXCEEDED", "Gateway Timeout"),
    ],
)  # fmt: skip
async def test_an_error_of_an_http_app(tmp_path: Path, status: int, code: str, text: str) -> None:
    """Each status has its code and Go's phrase; the details hold the first 63 bytes of the body."""
    app = RecordingApp(lambda _: Answer(status, b"y" * 100))
    async with callers(tmp_path, own=app) as made:
        found = await made["own"].invoke("own", message())
    assert (found.code, found.text) == (code, text)
    assert (found.info.reason, found.info.domain) == (text, "dapr.io")
    assert found.info.metadata["http.code"] == str(status)
    assert found.info.metadata["http.error_message"] == "y" * 63
    assert found.head["dapr-http-status"] == str(status)


async def test_a_body_that_is_no_text_is_not_in_the_details(tmp_path: Path) -> None:
    """Protobuf's strings cannot hold it."""
    app = RecordingApp(lambda _: Answer(500, b"\xff" * 10))
    async with callers(tmp_path, own=app) as made:
        found = await made["own"].invoke("own", message())
    assert (found.code, found.text) == ("UNKNOWN", "Internal Server Error")
    assert "grpc-status-details-bin" not in found.trail


REMOTE = "rpc error: code = Internal desc = error invoking app channel: "
BAD = "rpc error: code = InvalidArgument desc = "


@pytest.mark.parametrize(
    ("app_id", "method", "verb", "text"),
    [
        ("ghost", "m", "GET", "couldn't find service: ghost"),
        ("", "m", "GET", "app id is empty"),
        ("a.b.c", "m", "GET", "invalid app id a.b.c"),
        ("own", "a?b", "GET", f'{BAD}invalid method: method contains forbidden character: "a?b"'),
        ("own", "m%zz", "GET", 'invalid URL escape "%zz"'),
        ("own", "m", "NONE", f"{BAD}invalid HTTP verb"),
        ("other", "m", "NONE", f"{REMOTE}{BAD}invalid HTTP verb"),
        ("own", "m", "", f"{BAD}missing HTTP extension field"),
        ("other", "m", "", f"{REMOTE}{BAD}missing HTTP extension field"),
    ],
)
async def test_what_cannot_be_invoked(
    tmp_path: Path, app_id: str, method: str, verb: str, text: str
) -> None:
    """INTERNAL with the real runtime's words."""
    app = RecordingApp()
    request = message(method, verb=verb or "GET")
    if not verb:
        request.ClearField("http_extension")
    async with callers(tmp_path, own=app, other=app) as made:
        found = await made["own"].invoke(app_id, request)
    assert (found.code, found.text) == ("INTERNAL", f"failed to invoke, id: {app_id}, err: {text}")
    assert app.calls == []


async def test_an_app_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """Both ways say so."""
    async with grpc_app(OnInvoke=answer_all) as app, callers(tmp_path, own=app) as made:
        await app.stop()
        found = await made["own"].invoke("own", message())
        passed = await made["own"].pass_on("/a.B/C", ("dapr-app-id", "own"))
    assert (found.code, passed.code) == ("UNAVAILABLE", "UNAVAILABLE")
    assert "does not accept connections" in passed.text


async def test_a_policy_makes_an_invocation_again(tmp_path: Path) -> None:
    """Every error of the app is tried again."""
    codes = [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL]

    async def answer(_request: object, context: Any) -> messages.InvokeResponse:
        if codes:
            await context.abort(codes.pop(), "not yet")
        return messages.InvokeResponse(content_type="at last")

    files = with_policies(tmp_path / "policies", {}, CALL_POLICIES)
    async with (
        grpc_app(OnInvoke=answer) as app,
        callers(tmp_path, files, own=None, other=app) as made,
    ):
        own = made["own"]
        call = asyncio.create_task(own.invoke("other", message()))
        await until(own.clock, call.done)
        assert (await call).answer.content_type == "at last"
        assert len(app.calls) == 3
