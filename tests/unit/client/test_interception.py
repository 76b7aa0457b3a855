"""Interceptors of the client: what they see, what they may change, and in which order they run."""

from typing import Any

import pytest

from daprflow.client import (
    Attempt,
    CallNext,
    Client,
    ClientCall,
    ClientInterceptor,
    ClientResponse,
    SyncClient,
)
from daprflow.errors import InvocationError, SidecarError, SidecarUnavailable
from daprflow.handlers.trace import trace_context
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from daprflow.testing.transport import InProcessTransport
from daprflow.transports.base import ConnectionLost
from tests.helpers.grpc_beside import GrpcBeside
from tests.helpers.grpc_echo import Echo, serving
from tests.helpers.small_sidecar import SmallSidecar, error

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNIMPLEMENTED = 501


class Flaky(InProcessTransport):
    """Loses that many connections first."""

    def __init__(self, sidecar: SmallSidecar, times: int) -> None:
        super().__init__(sidecar)
        self.left = times

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Carry it, or not."""
        if self.left and "healthz" not in request.target:
            self.left -= 1
            raise ConnectionLost("lost")
        return await super().send(request)


def noting(seen: list[str], name: str) -> ClientInterceptor:
    """Return an interceptor that notes when it is passed, both ways."""

    async def interceptor(call: ClientCall, call_next: CallNext) -> ClientResponse:
        seen.append(f"{name} before")
        response = await call_next(call)
        seen.append(f"{name} after {response.status}")
        return response

    return interceptor


def keeping(calls: list[ClientCall]) -> ClientInterceptor:
    """Return an interceptor that keeps the calls it sees."""

    async def interceptor(call: ClientCall, call_next: CallNext) -> ClientResponse:
        calls.append(call)
        return await call_next(call)

    return interceptor


async def test_the_first_interceptor_is_the_outermost(sidecar: SmallSidecar) -> None:
    """Those that are added later stand outside, and none stands there twice."""
    seen: list[str] = []
    first, second, added = (noting(seen, name) for name in ("first", "second", "added"))
    async with Client(
        transport=InProcessTransport(sidecar), interceptors=[first, second]
    ) as client:
        client.add_interceptors(added, first)
        await client.with_options(timeout=1).publish("pubsub", "orders", 1)
        assert client.interceptors == (added, first, second)
    assert seen == [
        "added before",
        "first before",
        "second before",
        "second after 204",
        "first after 204",
        "added after 204",
    ]


async def test_interceptors_can_be_taken_away(sidecar: SmallSidecar) -> None:
    """A bound method is the same one each time it is named."""

    class Watch:
        seen = 0

        async def it(self, call: ClientCall, call_next: CallNext) -> ClientResponse:
            self.seen += 1
            return await call_next(call)

    watch = Watch()
    async with Client(transport=InProcessTransport(sidecar)) as client:
        client.add_interceptors(watch.it)
        client.add_interceptors(watch.it)
        await client.publish("pubsub", "orders", 1)
        assert watch.seen == 1
        client.remove_interceptors(watch.it)
        await client.publish("pubsub", "orders", 1)
        assert (watch.seen, client.interceptors) == (1, ())


async def test_a_call_says_what_it_is_for(sidecar: SmallSidecar) -> None:
    """Building block, operation and target are names of few values; keys are not among them."""
    calls: list[ClientCall] = []
    async with Client(
        transport=InProcessTransport(sidecar), interceptors=[keeping(calls)]
    ) as client:
        await client.publish("pubsub", "a b", 1)
        await client.state("s").get("secret/key", int)
        await client.state("s").set("key", 1)
        await client.request("pricing", "quotes/7", verb="GET")
        await client.bind("sms", "create")
    found = [(each.block, each.operation, each.target, each.name, each.method) for each in calls]
    assert found == [
        ("pubsub", "publish", "pubsub", "a b", "POST"),
        ("state", "get", "s", "", "GET"),
        ("state", "save", "s", "", "POST"),
        ("invoke", "get", "pricing", "quotes/7", "GET"),
        ("bindings", "invoke", "sms", "", "POST"),
    ]
    assert (calls[0].size, calls[0].timeout, calls[0].protocol) == (1, 60.0, "http")


async def test_headers_are_added_and_replaced(sidecar: SmallSidecar) -> None:
    """An interceptor's header goes along, and its trace beats that of what is handled."""

    async def sign(call: ClientCall, call_next: CallNext) -> ClientResponse:
        mine = TRACE.replace("00f067aa0ba902b7", "b7ad6b7169203331")
        return await call_next(call.with_headers(("Authorization", "x"), ("traceparent", mine)))

    async with Client(transport=InProcessTransport(sidecar), interceptors=[sign]) as client:
        with trace_context(TRACE, baggage="a=b"):
            await client.request("pricing", "price", 1, headers={"authorization": "old"})
    sent = sidecar.headers[-1]
    assert sent["authorization"] == "x"
    assert sent["traceparent"].endswith("-b7ad6b7169203331-01")
    assert sent["baggage"] == "a=b"


@pytest.mark.row("S-15")
async def test_a_header_that_breaks_the_request_is_refused(sidecar: SmallSidecar) -> None:
    """The text names the header and not its value."""

    async def bad(call: ClientCall, call_next: CallNext) -> ClientResponse:
        return await call_next(call.with_headers(("x-token", "secret\r\nx: y")))

    async with Client(transport=InProcessTransport(sidecar), interceptors=[bad]) as client:
        with pytest.raises(ValueError, match="'x-token'") as caught:
            await client.publish("pubsub", "orders", 1)
    assert "secret" not in str(caught.value)


async def test_a_representation_shows_no_header(sidecar: SmallSidecar) -> None:
    """They may hold tokens."""
    calls: list[ClientCall] = []
    async with Client(
        transport=InProcessTransport(sidecar), interceptors=[keeping(calls)]
    ) as client:
        await client.request("pricing", "price", headers={"authorization": "secret"})
    assert "secret" not in repr(calls[0])
    assert "price" in repr(calls[0])


async def test_an_error_status_is_an_answer(sidecar: SmallSidecar) -> None:
    """Interceptors see it before it becomes an exception."""
    sidecar.answers["/v1.0/invoke/pricing/method/price"] = error(503, "ERR", "busy")
    seen: list[str] = []
    async with Client(
        transport=InProcessTransport(sidecar), interceptors=[noting(seen, "it")]
    ) as client:
        with pytest.raises(InvocationError):
            await client.request("pricing", "price")
    assert seen == ["it before", "it after 503"]


async def test_attempts_are_seen_while_they_are_made(sidecar: SmallSidecar) -> None:
    """One logical call, and each time that it is sent."""
    told: list[Attempt] = []
    calls: list[ClientCall] = []

    async def watch(call: ClientCall, call_next: CallNext) -> ClientResponse:
        calls.append(call)
        call.attempts.listen(told.append)
        return await call_next(call)

    async with Client(transport=Flaky(sidecar, 2), interceptors=[watch]) as client:
        await client.state("s").get("a", int)
    assert [each.number for each in told] == [1, 2, 3]
    assert [type(each.error) for each in told] == [ConnectionLost, ConnectionLost, type(None)]
    assert calls[0].attempts.made == told
    assert len(calls) == 1


async def test_an_interceptor_may_answer_by_itself(sidecar: SmallSidecar) -> None:
    """Then nothing is sent."""

    async def cached(call: ClientCall, call_next: CallNext) -> ClientResponse:
        return ClientResponse(200, (("content-type", "application/json"),), b"5")

    async with Client(transport=InProcessTransport(sidecar), interceptors=[cached]) as client:
        item = await client.state("s").get("a", int)
    assert item is not None
    assert item.value == 5
    assert sidecar.requests == []


async def test_what_has_no_answer_is_raised_through_interceptors() -> None:
    """They see `SidecarUnavailable`, also when the sidecar never came."""
    seen: list[str] = []

    async def watch(call: ClientCall, call_next: CallNext) -> ClientResponse:
        try:
            return await call_next(call)
        except SidecarUnavailable as failure:
            seen.append(type(failure).__name__)
            raise

    client = Client(
        Settings(http_endpoint="http://127.0.0.1:9", health_timeout=0), interceptors=[watch]
    )
    with pytest.raises(SidecarUnavailable):
        await client.publish("pubsub", "orders", 1)
    await client.close()
    assert seen == ["ConnectionLost"]


async def test_an_interceptor_without_an_answer_is_named(sidecar: SmallSidecar) -> None:
    """The usual mistake: 'return' was forgotten."""

    async def forgetful(call: ClientCall, call_next: CallNext) -> Any:
        await call_next(call)

    async with Client(transport=InProcessTransport(sidecar), interceptors=[forgetful]) as client:
        with pytest.raises(TypeError, match=r"'forgetful' returned '.*return await call_next"):
            await client.publish("pubsub", "orders", 1)


def test_what_is_no_function_is_refused() -> None:
    """At once, where the client is made."""
    wrong: Any = "name"
    with pytest.raises(TypeError, match="not a value of type 'str'"):
        Client(interceptors=[wrong])


def test_the_client_without_a_loop_has_them_too(sidecar: SmallSidecar) -> None:
    """`SyncClient(interceptors=...)`."""
    seen: list[str] = []
    with SyncClient(
        transport=InProcessTransport(sidecar), interceptors=[noting(seen, "it")]
    ) as client:
        client.publish("pubsub", "orders", 1)
    assert seen == ["it before", "it after 204"]


async def test_streams_pass_them_with_the_head_of_the_answer(sidecar: SmallSidecar) -> None:
    """A call in pieces is one call, over when its status is known."""
    seen: list[str] = []
    calls: list[ClientCall] = []
    async with Client(
        transport=InProcessTransport(sidecar), interceptors=[noting(seen, "it"), keeping(calls)]
    ) as client:

        async def pieces() -> Any:
            yield b"a"

        async with client.stream("files", "big", pieces()) as response:
            assert [each async for each in response] == []
    assert seen == ["it before", "it after 204"]
    assert (calls[0].target, calls[0].size) == ("files", -1)


async def test_calls_over_grpc_pass_them(sidecar: SmallSidecar) -> None:
    """A refusal has HTTP's status there, and the error is the one it is without interceptors."""
    calls: list[ClientCall] = []
    seen: list[str] = []

    async def sign(call: ClientCall, call_next: CallNext) -> ClientResponse:
        calls.append(call)
        return await call_next(call.with_headers(("x-mine", "1")))

    async with serving(Echo()) as port:
        line = GrpcBeside(sidecar, port)
        async with Client(transport=line, interceptors=[noting(seen, "it"), sign]) as client:
            with pytest.raises(SidecarError) as caught:
                await client.state("s").set("a", b"\x00")
    assert caught.value.status == UNIMPLEMENTED
    assert [(each.block, each.operation, each.protocol) for each in calls] == [
        ("state", "save", "grpc")
    ]
    assert seen == ["it before", f"it after {UNIMPLEMENTED}"]
