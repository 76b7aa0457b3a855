"""Service invocation over gRPC: by message, and by passing on calls of an app's own methods."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages
from daprflow.protocol.configuration_file import (
    AccessControl,
    AccessOperation,
    AccessPolicy,
    ConfigurationResource,
)
from daprflow.sidecar.app.base import App
from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.grpc_api.server import GrpcServer
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.grpc_app import SERVICE, GrpcTestApp, always, grpc_app, refusing
from tests.helpers.policies import with_policies
from tests.helpers.recording import Answer, RecordingApp
from tests.helpers.timing import eventually, until

INVOKE = "/dapr.proto.runtime.v1.Dapr/InvokeService"
ECHO = "/test.Echo/Echo"
FAIL = "/test.Echo/Fail"
NO_APP = "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found"
UNTRACED = f"00-{'0' * 32}-{'0' * 16}-00"
Spoken = GrpcTestApp | RecordingApp | None
Pairs = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """One app's sidecar, and a channel to it."""

    runtime: Runtime
    channel: Any  # the library's stubs have no types for messages that are bytes
    clock: VirtualClock

    async def invoke(
        self, app_id: str, message: messages.InvokeRequest, metadata: Pairs = ()
    ) -> "Outcome":
        """Call ``InvokeService``."""
        request = messages.InvokeServiceRequest(id=app_id, message=message)
        call: Any = self.channel.unary_unary(INVOKE)(request.SerializeToString(), metadata=metadata)
        outcome = await ended(call)
        answer = messages.InvokeResponse.FromString(outcome.body)
        return replace(outcome, answer=answer)

    async def pass_on(self, method: str, *metadata: tuple[str, str | bytes]) -> "Outcome":
        """Call a method of an app with one message."""
        call: Any = self.channel.unary_unary(method)(b"\x0a\x01x", metadata=metadata)
        return await ended(call)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended; ``code`` is the name of the status."""

    code: str
    text: str
    body: bytes
    head: dict[str, str | bytes]
    trail: dict[str, str | bytes]
    answer: messages.InvokeResponse

    @property
    def info(self) -> messages.ErrorInfo:
        """The first detail."""
        packed = self.trail["grpc-status-details-bin"]
        assert isinstance(packed, bytes)
        info = messages.ErrorInfo()
        assert messages.RpcStatus.FromString(packed).details[0].Unpack(info)
        return info


async def ended(call: Any) -> Outcome:
    """Wait for the end of a call."""
    body = b""
    with contextlib.suppress(grpc.aio.AioRpcError):
        body = await call
    head, trail = dict(await call.initial_metadata()), dict(await call.trailing_metadata() or ())
    code = (await call.code()).name
    return Outcome(code, await call.details(), body, head, trail, messages.InvokeResponse())


def spoken_to(options: RuntimeOptions, app: Spoken) -> App | None:
    """Return what a sidecar calls."""
    if isinstance(app, RecordingApp):
        return HttpApp(AsgiChannel(app, app_token=options.app_token))
    return make_app(options)


@contextlib.asynccontextmanager
async def callers(
    root: Path, files: Resources | None = None, *, token: str | None = None, **apps: Spoken
) -> AsyncIterator[dict[str, Caller]]:
    """Start a sidecar for each app, all in one engine; ``files`` are those of all."""
    clock = VirtualClock()
    engine = Engine(clock, None, root)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(engine.close)
        made: dict[str, Caller] = {}
        for app_id, app in apps.items():
            port = app.port if isinstance(app, GrpcTestApp) else None
            options = RuntimeOptions(app_id, port, app_protocol="grpc", app_token=token)
            if isinstance(app, RecordingApp):
                options = replace(options, app_port=1, app_protocol="http")
            runtime = Runtime(engine, options, files or Resources(), spoken_to(options, app))
            stack.push_async_callback(runtime.close, 1.0)
            await runtime.open()
            server = GrpcServer(runtime)
            port = await server.start()
            stack.push_async_callback(server.stop, 0)
            channel = await stack.enter_async_context(
                grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            )
            made[app_id] = Caller(runtime, channel, clock)
        yield made


def message(method: str = "m", data: bytes = b"", verb: str = "POST") -> messages.InvokeRequest:
    """Return what ``InvokeService`` takes."""
    extension = messages.HTTPExtension(verb=messages.HTTPExtension.Verb.Value(verb))
    return messages.InvokeRequest(
        method=method, data=messages.AnyMessage(value=data), http_extension=extension
    )


# ---- InvokeService ------------------------------------------------------------------------------


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
        passed = await made["own"].pass_on(ECHO, ("dapr-app-id", "own"))
    assert (found.code, passed.code) == ("UNAVAILABLE", "UNAVAILABLE")
    assert "does not accept connections" in passed.text


# ---- passing on calls ---------------------------------------------------------------------------


async def echo(requests: AsyncIterator[bytes], context: Any) -> None:
    """Send every message back."""
    await context.send_initial_metadata((("x-head", "1"), ("x-bin", b"\x00")))
    async for request in requests:
        await context.write(request)
    context.set_trailing_metadata((("x-trail", "2"),))


async def fail(_requests: object, context: Any) -> None:
    """Fail with details."""
    rich = messages.RpcStatus(code=9, message="no")
    rich.details.add().Pack(messages.ErrorInfo(reason="R"))
    trailers = (("grpc-status-details-bin", rich.SerializeToString()), ("x-trail", "3"))
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no", trailers)


def echoing() -> contextlib.AbstractAsyncContextManager[GrpcTestApp]:
    """Return an app with methods of its own."""
    return streaming({ECHO: echo, FAIL: fail})


@contextlib.asynccontextmanager
async def streaming(streams: dict[str, Any]) -> AsyncIterator[GrpcTestApp]:
    """Start an app with these methods."""
    async with grpc_app(ListInputBindings=always(messages.ListInputBindingsResponse())) as app:
        app.streams.update(streams)
        yield app


async def test_a_call_passes_to_the_own_app(tmp_path: Path) -> None:
    """With the caller's metadata but for what names the app and the token, which is the app's."""
    async with echoing() as app, callers(tmp_path, token="t", own=app) as made:
        found = await made["own"].pass_on(
            ECHO,
            ("dapr-app-id", "own"),
            ("dapr-api-token", "theirs"),
            ("dapr-caller-app-id", "forged"),
            ("x-mine", "1"),
            ("x-mine", "2"),
            ("x-bin", b"\x01"),
        )
    assert (found.code, found.body) == ("OK", b"\x0a\x01x")
    assert (found.head, found.trail) == ({"x-head": "1", "x-bin": b"\x00"}, {"x-trail": "2"})
    metadata = dict(app.calls[0].metadata)
    del metadata["user-agent"]
    assert metadata == {"dapr-api-token": ["t"], "x-mine": ["1", "2"], "x-bin": [b"\x01"]}


async def test_a_call_passes_to_another_app(tmp_path: Path) -> None:
    """It is told who calls whom; the other name of the metadata goes first."""
    async with echoing() as app, callers(tmp_path, own=None, other=app) as made:
        for pairs in (
            (("dapr-app-id", "other"),),
            (("dapr-callee-app-id", "other"), ("dapr-app-id", "ghost")),
            (("dapr-app-id", "other.somewhere"),),
        ):
            found = await made["own"].pass_on(ECHO, *pairs)
            assert (found.code, found.body) == ("OK", b"\x0a\x01x")
            metadata = app.calls[-1].metadata
            assert metadata["dapr-caller-app-id"] == ["own"]
            assert metadata["dapr-callee-app-id"] == ["other"]
            assert metadata["traceparent"] == [UNTRACED]
            assert "dapr-app-id" not in metadata


@pytest.mark.parametrize("callee", ["own", "other"])
async def test_every_kind_of_stream_passes(tmp_path: Path, callee: str) -> None:
    """Messages go both ways as they come, and each side may end its own first."""

    async def count(requests: AsyncIterator[bytes], context: Any) -> None:
        size = 0
        async for request in requests:
            size += len(request)
        await context.write(b"%d" % size)

    async def burst(requests: AsyncIterator[bytes], context: Any) -> None:
        async for request in requests:
            for _ in range(int(request)):
                await context.write(request)

    methods = {ECHO: echo, "/test.Echo/Count": count, "/test.Echo/Burst": burst}
    metadata = (("dapr-app-id", callee), ("dapr-stream", "true"))
    async with (
        streaming(methods) as app,
        callers(tmp_path, own=app, other=app) as made,
    ):
        channel = made["own"].channel
        chat: Any = channel.stream_stream(ECHO)(metadata=metadata)
        for number in range(5):
            await chat.write(b"%d" % number)
            assert await chat.read() == b"%d" % number
        await chat.done_writing()
        assert await chat.read() is grpc.aio.EOF
        assert dict(await chat.initial_metadata()) == {"x-head": "1", "x-bin": b"\x00"}
        assert dict(await chat.trailing_metadata()) == {"x-trail": "2"}

        up: Any = channel.stream_unary("/test.Echo/Count")(iter([b"ab"] * 50), metadata=metadata)
        assert await up == b"100"
        down: Any = channel.unary_stream("/test.Echo/Burst")(b"300", metadata=metadata)
        assert len([each async for each in down]) == 300


@pytest.mark.parametrize("callee", ["own", "other"])
async def test_an_error_passes_with_everything(tmp_path: Path, callee: str) -> None:
    """Code, text, details and trailers are the app's."""
    async with echoing() as app, callers(tmp_path, own=app, other=app) as made:
        found = await made["own"].pass_on(FAIL, ("dapr-app-id", callee))
        missing = await made["own"].pass_on("/test.Echo/Nope", ("dapr-app-id", callee))
    assert (found.code, found.text) == ("FAILED_PRECONDITION", "no")
    assert (found.info.reason, found.trail["x-trail"]) == ("R", "3")
    assert missing.code == "UNIMPLEMENTED"


async def test_a_stream_that_fails_in_its_middle_keeps_what_came_before(tmp_path: Path) -> None:
    """The messages until then arrive, then the error."""

    async def half(requests: AsyncIterator[bytes], context: Any) -> None:
        async for request in requests:
            await context.write(request)
            await context.abort(grpc.StatusCode.DATA_LOSS, "lost")

    async with streaming({ECHO: half}) as app, callers(tmp_path, own=app) as made:
        call: Any = made["own"].channel.stream_stream(ECHO)(
            iter([b"a", b"b"]), metadata=(("dapr-app-id", "own"),)
        )
        assert await call.read() == b"a"
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call.read()
    assert failed.value.code() is grpc.StatusCode.DATA_LOSS


async def test_a_caller_that_leaves_ends_the_call_in_the_app(tmp_path: Path) -> None:
    """Its handler is cancelled, and nothing of the call is left."""
    begun, gone = asyncio.Event(), asyncio.Event()

    async def wait(_requests: object, _context: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    async with streaming({ECHO: wait}) as app, callers(tmp_path, own=app) as made:
        own = made["own"]
        call: Any = own.channel.stream_stream(ECHO)(metadata=(("dapr-app-id", "own"),))
        await begun.wait()
        call.cancel()
        await gone.wait()
        await eventually(lambda: own.runtime.calls.count == 0)


async def test_a_deadline_goes_along(tmp_path: Path) -> None:
    """The app knows how long its caller waits."""
    async with echoing() as app, callers(tmp_path, own=app) as made:
        metadata = (("dapr-app-id", "own"),)
        begin = made["own"].channel.unary_unary(ECHO)
        await begin(b"", metadata=metadata)
        await begin(b"", metadata=metadata, timeout=1000.0)
    without, with_one = (call.remaining for call in app.calls)
    assert without is None
    assert with_one is not None
    assert 900 < with_one < 1100


async def test_callbacks_can_be_called(tmp_path: Path) -> None:
    """They are methods of the app as well, as with the real runtime."""
    async with echoing() as app, callers(tmp_path, own=app) as made:
        found = await made["own"].pass_on(f"{SERVICE}ListInputBindings", ("dapr-app-id", "own"))
    assert found.code == "OK"
    assert [call.rpc for call in app.calls] == [f"{SERVICE}ListInputBindings"]


@pytest.mark.parametrize(
    ("method", "metadata", "text"),
    [
        (ECHO, (), "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata"),
        (
            "/dapr.proto.runtime.v1.Dapr/Nope",
            (),
            NO_APP,
        ),
        (ECHO, (("dapr-app-id", "ghost"),), "couldn't find service: ghost"),
        (ECHO, (("dapr-app-id", "a.b.c"),), "invalid app id a.b.c"),
        (ECHO, (("dapr-app-id", ""),), "app id is empty"),
    ],
)
async def test_what_leads_nowhere(tmp_path: Path, method: str, metadata: Pairs, text: str) -> None:
    """UNKNOWN with the real runtime's words."""
    async with callers(tmp_path, own=None) as made:
        found = await made["own"].pass_on(method, *metadata)
    assert (found.code, found.text) == ("UNKNOWN", text)


@pytest.mark.parametrize(("app", "text"), [(RecordingApp(), "speaks http"), (None, "app port")])
async def test_an_app_that_speaks_no_grpc_is_unavailable(
    tmp_path: Path, app: Spoken, text: str
) -> None:
    """The code is the real runtime's, the text says what to do."""
    async with callers(tmp_path, own=None, other=app) as made:
        found = await made["own"].pass_on(ECHO, ("dapr-app-id", "other"))
    assert found.code == "UNAVAILABLE"
    assert text in found.text


async def test_access_control_of_the_callee_is_asked(tmp_path: Path) -> None:
    """By the full name of the method as it is spelt, without a verb, for both ways."""
    control = AccessControl(
        default_action="deny",
        policies=(
            AccessPolicy(
                "own",
                "default",
                "public",
                "deny",
                (AccessOperation(ECHO, "allow"), AccessOperation("/open", "allow")),
            ),
        ),
    )
    files = Resources(configuration=ConfigurationResource(access_control=control))
    async with (
        grpc_app(OnInvoke=answer_all) as app,
        callers(tmp_path, files, own=None, other=app, third=None) as made,
    ):
        app.streams.update({ECHO: echo, FAIL: fail})
        other = ("dapr-app-id", "other")
        assert (await made["own"].pass_on(ECHO, other)).code == "OK"
        denied = await made["own"].pass_on(FAIL, other)
        assert denied.code == "PERMISSION_DENIED"
        assert f"operation: {FAIL} verb: NONE" in denied.text
        assert (await made["third"].pass_on(ECHO, other)).code == "PERMISSION_DENIED"
        assert (await made["own"].invoke("other", message("open"))).code == "OK"
        refused = await made["own"].invoke("other", message("shut"))
        assert refused.code == "INTERNAL"
        assert "access control policy has denied access" in refused.text
    assert [call.rpc for call in app.calls] == [ECHO, f"{SERVICE}OnInvoke"]


# ---- policies -----------------------------------------------------------------------------------

RETRIES = """
  policies:
    retries:
      again: {policy: constant, duration: 1s, maxRetries: 3}
    circuitBreakers:
      one: {maxRequests: 1, timeout: 30s, trip: consecutiveFailures > 1}
  targets:
    apps:
      other: {retry: again}
      fragile: {circuitBreaker: one, circuitBreakerScope: id}
"""


@dataclass
class Flaky:
    """A method that fails so many times before it echoes."""

    failures: int
    code: grpc.StatusCode = grpc.StatusCode.INTERNAL

    async def __call__(self, requests: AsyncIterator[bytes], context: Any) -> None:
        """Take a call."""
        received = [request async for request in requests]
        if self.failures:
            self.failures -= 1
            await context.abort(self.code, "not yet")
        for request in received:
            await context.write(request)


async def test_a_policy_makes_a_call_again(tmp_path: Path) -> None:
    """The message is sent anew, and the caller sees the last answer only."""
    files = with_policies(tmp_path / "policies", {}, RETRIES)
    async with (
        streaming({ECHO: Flaky(2)}) as app,
        callers(tmp_path, files, own=None, other=app) as made,
    ):
        own = made["own"]
        call = asyncio.create_task(own.pass_on(ECHO, ("dapr-app-id", "other")))
        await until(own.clock, call.done)
        assert (await call).body == b"\x0a\x01x"
        assert len(app.calls) == 3


async def test_a_policy_does_not_make_a_stream_again(tmp_path: Path) -> None:
    """A call that is marked as a stream passes whatever comes of it; an unmarked one is refused."""
    files = with_policies(tmp_path / "policies", {}, RETRIES)
    async with (
        streaming({ECHO: Flaky(9)}) as app,
        callers(tmp_path, files, own=None, other=app) as made,
    ):
        channel = made["own"].channel
        marked = (("dapr-app-id", "other"), ("dapr-stream", "true"))
        call: Any = channel.stream_unary(ECHO)(iter([b"a", b"b"]), metadata=marked)
        found = await ended(call)
        assert (found.code, len(app.calls)) == ("INTERNAL", 1)
        unmarked: Any = channel.stream_unary(ECHO)(iter([b"a", b"b"]), metadata=marked[:1])
        refused = await ended(unmarked)
    assert refused.code == "FAILED_PRECONDITION"
    assert refused.text == "cannot use resiliency policies with retries on streaming RPCs"


async def test_a_breaker_stands_before_the_app(tmp_path: Path) -> None:
    """Open, it lets no call through, of neither way."""
    files = with_policies(tmp_path / "policies", {}, RETRIES)
    async with (
        grpc_app(OnInvoke=refusing(grpc.StatusCode.INTERNAL)) as app,
        callers(tmp_path, files, own=None, fragile=app) as made,
    ):
        app.streams[FAIL] = fail
        own, fragile = made["own"], ("dapr-app-id", "fragile")
        for _ in range(2):
            assert (await own.pass_on(FAIL, fragile)).text == "no"
            assert (await own.invoke("fragile", message())).text == "no"
        open_one = await own.pass_on(FAIL, fragile)
        open_two = await own.invoke("fragile", message())
    assert open_one.text == open_two.text == "circuit breaker is open"
    assert len(app.calls) == 4


async def test_a_policy_makes_an_invocation_again(tmp_path: Path) -> None:
    """Every error of the app is tried again."""
    codes = [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL]

    async def answer(_request: object, context: Any) -> messages.InvokeResponse:
        if codes:
            await context.abort(codes.pop(), "not yet")
        return messages.InvokeResponse(content_type="at last")

    files = with_policies(tmp_path / "policies", {}, RETRIES)
    async with (
        grpc_app(OnInvoke=answer) as app,
        callers(tmp_path, files, own=None, other=app) as made,
    ):
        own = made["own"]
        call = asyncio.create_task(own.invoke("other", message()))
        await until(own.clock, call.done)
        assert (await call).answer.content_type == "at last"
        assert len(app.calls) == 3
