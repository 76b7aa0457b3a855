"""Service invocation over gRPC by passing on calls of an app's own methods."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
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
from daprflow.sidecar.resources import Resources
from tests.helpers.grpc_app import SERVICE, GrpcTestApp, always, grpc_app, refusing
from tests.helpers.grpc_callers import (
    UNTRACED,
    Pairs,
    Spoken,
    callers,
    ended,
    message,
    settled,
)
from tests.helpers.policies import CALL_POLICIES, with_policies
from tests.helpers.recording import RecordingApp
from tests.helpers.timing import eventually, until

ECHO = "/test.Echo/Echo"
FAIL = "/test.Echo/Fail"
NO_APP = "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found"


async def answer_all(request: messages.InvokeRequest, context: Any) -> messages.InvokeResponse:
    """Answer with what came, and with metadata around it."""
    await context.send_initial_metadata((("x-head", "1"), ("x-bin", b"\x00")))
    context.set_trailing_metadata((("x-trail", "2"),))
    return messages.InvokeResponse(data=request.data, content_type="a/b")


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


async def test_an_app_may_end_a_call_before_it_takes_anything(tmp_path: Path) -> None:
    """However its end meets the message on its way: it is the app's status that counts."""
    async with echoing() as app, callers(tmp_path, own=app) as made:
        calls = (made["own"].pass_on(FAIL, ("dapr-app-id", "own")) for _ in range(200))
        ends = await asyncio.gather(*calls)
    assert {(end.code, end.text) for end in ends} == {("FAILED_PRECONDITION", "no")}


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
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()
        await settled(call)
        assert await call.code() is grpc.StatusCode.DATA_LOSS


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


@pytest.mark.row("S-30")
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


@pytest.mark.row("I-RE")
async def test_a_policy_makes_a_call_again(tmp_path: Path) -> None:
    """The message is sent anew, and the caller sees the last answer only."""
    files = with_policies(tmp_path / "policies", {}, CALL_POLICIES)
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
    files = with_policies(tmp_path / "policies", {}, CALL_POLICIES)
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
    files = with_policies(tmp_path / "policies", {}, CALL_POLICIES)
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
