"""Streaming subscriptions: messages, verdicts, ends, and what is done when a stream breaks."""

import asyncio
import gc
from collections.abc import AsyncIterator

import grpc
import msgspec
import pytest

from daprflow.addresses import Topic
from daprflow.client import Client, EventMessage
from daprflow.errors import Drop, NotFound, Retry, SidecarError, SidecarUnavailable
from daprflow.protocol.details import ErrorInfo
from daprflow.protocol.faults import pubsub_not_found
from daprflow.settings import Settings
from daprflow.sidecar.grpc_api.status import failure_of
from daprflow.testing.transport import InProcessTransport
from tests.helpers.event_streams import DROP, RETRY, SUCCESS, Streaming, streaming
from tests.helpers.small_sidecar import SmallSidecar
from tests.helpers.timing import eventually


class Order(msgspec.Struct):
    total: int


NUMBERS = Topic("pubsub", "orders", int)
ORDERS = Topic("pubsub", "orders", Order)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def running() -> AsyncIterator[Streaming]:
    """A client and a sidecar for its subscriptions."""
    async with streaming() as running:
        yield running


async def test_a_subscription_asks_for_what_is_wanted() -> None:
    """The first request names component, topic, dead letter topic and metadata; the token comes."""
    async with streaming(api_token="secret") as running:
        wanted = running.client.subscribe(
            ORDERS, dead_letter="dead", metadata={"consumerID": "a"}, raw=True
        )
        async with wanted:
            stream = await running.sidecar.stream()
    initial = stream.initial
    assert (initial.pubsub_name, initial.topic) == ("pubsub", "orders")
    assert initial.dead_letter_topic == "dead"
    assert dict(initial.metadata) == {"consumerID": "a", "rawPayload": "true"}
    assert stream.metadata["dapr-api-token"] == "secret"


async def test_messages_are_typed_and_have_their_envelope(running: Streaming) -> None:
    """A message has the decoded data, and every attribute and extension of the event."""
    async with running.client.subscribe(ORDERS) as messages:
        stream = await running.sidecar.stream()
        extensions = {
            "traceparent": TRACE,
            "time": "2026-11-21T08:29:03Z",
            "n": 5,
            "deep": {"a": [1.5]},
        }
        stream.give(
            id="e1",
            data=b'{"total":3}',
            data_content_type="application/json",
            extensions=extensions,
        )
        message = await anext(messages)
    assert message.data == Order(3)
    event = message.event
    assert (event.id, event.source, event.topic, event.pubsubname) == (
        "e1",
        "shop",
        "orders",
        "pubsub",
    )
    assert event.traceparent == TRACE
    assert event.time is not None
    assert dict(event.extensions) == {"n": 5, "deep": {"a": [1.5]}}


async def test_each_verdict_is_told(running: Streaming) -> None:
    """Each verdict sends its status with the event's id, and only the first one counts."""
    async with running.client.subscribe(NUMBERS) as messages:
        stream = await running.sidecar.stream()
        for name in ("a", "b", "c"):
            stream.send(name)
        await (await anext(messages)).ack()
        await (await anext(messages)).retry()
        last = await anext(messages)
        await last.drop()
        await last.ack()
    assert stream.verdicts == [("a", SUCCESS), ("b", RETRY), ("c", DROP)]


@pytest.mark.parametrize(("raised", "status"), [(Drop("no"), DROP), (Retry("later"), RETRY)])
async def test_drop_and_retry_do_not_leave_a_block(
    running: Streaming, raised: Exception, status: int
) -> None:
    """``async with message`` takes the control flow of handlers for its verdict."""
    async with running.client.subscribe(NUMBERS) as messages:
        stream = await running.sidecar.stream()
        stream.send("a")
        async with await anext(messages):
            raise raised
    assert stream.verdicts == [("a", status)]


@pytest.mark.parametrize("raised", [ValueError("x"), asyncio.CancelledError("x")])
async def test_a_failed_block_has_its_event_delivered_again(
    running: Streaming, raised: BaseException
) -> None:
    """Whatever else ``async with message`` raises is a retry, and goes on."""
    async with running.client.subscribe(NUMBERS) as messages:
        stream = await running.sidecar.stream()
        stream.send("a")
        message = await anext(messages)
        with pytest.raises(type(raised), match="x"):
            await _fail(message, raised)
    assert stream.verdicts == [("a", RETRY)]


async def test_calls_inside_a_message_carry_its_trace(running: Streaming) -> None:
    """What a block calls on the sidecar is part of the event's trace."""
    async with running.client.subscribe(NUMBERS) as messages:
        stream = await running.sidecar.stream()
        stream.give(
            id="a",
            data=b"1",
            data_content_type="application/json",
            extensions={"traceparent": TRACE},
        )
        async with await anext(messages):
            await running.client.publish("pubsub", "next", 1)
        await running.client.publish("pubsub", "next", 2)
    assert [each.get("traceparent") for each in running.http.headers] == [TRACE, None]


async def test_a_message_without_a_verdict_is_delivered_again(
    running: Streaming, caplog: pytest.LogCaptureFixture
) -> None:
    """Going on to the next message without a verdict retries the last one, with a warning."""
    async with running.client.subscribe(NUMBERS) as messages:
        stream = await running.sidecar.stream()
        stream.send("a")
        stream.send("b")
        kept = await anext(messages)
        async with await anext(messages):
            pass
        await kept.ack()  # too late
    assert stream.verdicts == [("a", RETRY), ("b", SUCCESS)]
    assert "event 'a' was left without a verdict" in caplog.text


async def test_a_message_that_nobody_holds_is_delivered_again(running: Streaming) -> None:
    """With many in flight, one that is dropped without a verdict does not block the rest."""
    async with running.client.subscribe(NUMBERS, max_in_flight=2) as messages:
        stream = await running.sidecar.stream()
        stream.send("a")
        await anext(messages)
        gc.collect()
        await eventually(lambda: stream.verdicts == [("a", RETRY)])


async def test_no_more_are_in_flight_than_allowed(running: Streaming) -> None:
    """The loop pauses while as many messages as are allowed have no verdict."""
    async with running.client.subscribe(NUMBERS, max_in_flight=2) as messages:
        stream = await running.sidecar.stream()
        for name in ("a", "b", "c"):
            stream.send(name)
        first, second = await anext(messages), await anext(messages)
        third = asyncio.create_task(anext(messages))
        done, _ = await asyncio.wait({third}, timeout=0.05)
        assert done == set()
        await second.ack()
        async with await third:
            await first.ack()
    assert stream.verdicts == [("b", SUCCESS), ("a", SUCCESS), ("c", SUCCESS)]


async def test_tasks_share_a_subscription(running: Streaming) -> None:
    """Each message goes to one of the tasks, and one at a time is handed out."""
    seen: list[str] = []

    async def work(messages: AsyncIterator[EventMessage[int]]) -> None:
        async for message in messages:
            async with message:
                await asyncio.sleep(0)
                seen.append(message.id)

    async with running.client.subscribe(NUMBERS) as messages:
        stream = await running.sidecar.stream()
        tasks = [asyncio.create_task(work(messages)) for _ in range(3)]
        for name in "abcdef":
            stream.send(name)
        await eventually(lambda: len(seen) == 6)
    await asyncio.gather(*tasks)
    assert sorted(seen) == list("abcdef")
    assert stream.verdicts == [(name, SUCCESS) for name in seen]


async def test_a_cancelled_wait_loses_nothing(running: Streaming) -> None:
    """A wait with a time limit that runs out leaves the stream and its events as they are."""
    async with running.client.subscribe(NUMBERS) as messages:
        stream = await running.sidecar.stream()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await anext(messages)
        stream.send("a")
        async with await anext(messages) as message:
            assert message.id == "a"
    assert len(running.sidecar.streams) == 1
    assert stream.verdicts == [("a", SUCCESS)]


async def test_leaving_the_block_tells_verdicts_and_nothing_else(running: Streaming) -> None:
    """At the end the given verdicts are told and the stream is half-closed; the rest has none."""
    async with running.client.subscribe(NUMBERS, max_in_flight=3) as messages:
        stream = await running.sidecar.stream()
        for name in ("a", "b", "c"):
            stream.send(name)
        first, undecided = await anext(messages), await anext(messages)
        await first.ack()
    await eventually(lambda: stream.ended)
    assert (stream.verdicts, stream.half_closed) == ([("a", SUCCESS)], True)
    await undecided.ack()
    assert stream.verdicts == [("a", SUCCESS)]
    assert [each async for each in messages] == []


async def test_an_exception_ends_the_subscription(running: Streaming) -> None:
    """An exception in the loop's body leaves the event without a verdict: it is delivered again."""

    async def consume() -> None:
        async with running.client.subscribe(NUMBERS) as messages:
            async for message in messages:
                raise ValueError(f"mine: {message}")

    task = asyncio.create_task(consume())
    stream = await running.sidecar.stream()
    stream.send("a")
    with pytest.raises(ValueError, match="mine: EventMessage"):
        await task
    await eventually(lambda: stream.ended)
    assert stream.verdicts == []


async def test_a_loop_without_a_block_ends_too(running: Streaming) -> None:
    """When nobody holds a subscription any more it ends, and its verdicts are told."""

    async def one() -> None:
        async for message in running.client.subscribe(NUMBERS):
            await message.ack()
            return

    task = asyncio.create_task(one())
    stream = await running.sidecar.stream()
    stream.send("a")
    await task
    await eventually(lambda: stream.ended)
    assert stream.verdicts == [("a", SUCCESS)]


async def test_a_taken_message_keeps_nothing_alive(running: Streaming) -> None:
    """A subscription ends with its last user, and needs no garbage collector for that."""

    async def one() -> None:
        messages = running.client.subscribe(NUMBERS)
        message = await asyncio.create_task(_next(messages))
        await message.ack()

    gc.disable()
    try:
        task = asyncio.create_task(one())
        stream = await running.sidecar.stream()
        stream.send("a")
        await task
        await eventually(lambda: stream.ended)
    finally:
        gc.enable()
    assert stream.verdicts == [("a", SUCCESS)]


async def test_closing_the_client_ends_its_subscriptions() -> None:
    """A loop over a subscription of a client that is closed comes to its end."""
    async with streaming() as running:
        messages = running.client.subscribe(NUMBERS)
        task = asyncio.create_task(_ids(messages))
        stream = await running.sidecar.stream()
        stream.send("a")
        await eventually(lambda: stream.verdicts == [("a", SUCCESS)])
        await running.client.close()
        assert await task == ["a"]
        with pytest.raises(RuntimeError, match="the client is closed"):
            await anext(running.client.subscribe(NUMBERS))


async def test_a_timeout_of_the_client_is_not_for_streams(running: Streaming) -> None:
    """The limit that ``with_options`` sets for calls does not end a subscription."""
    client = running.client.with_options(timeout=0.02)
    async with client.subscribe(NUMBERS) as messages:
        stream = await running.sidecar.stream()
        next_one = asyncio.create_task(anext(messages))
        await asyncio.wait({next_one}, timeout=0.08)
        stream.send("a")
        assert (await next_one).id == "a"
    assert len(running.sidecar.streams) == 1


# ---- what breaks --------------------------------------------------------------------------------


@pytest.mark.row("FA-03")
@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.OK,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
    ],
)
async def test_a_broken_stream_is_replaced(
    running: Streaming, code: grpc.StatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    """However a sidecar ends a stream as it goes, another one begins, and the loop goes on."""
    async with running.client.subscribe(NUMBERS) as messages:
        first = await running.sidecar.stream()
        first.send("a")
        held = await anext(messages)
        first.end(code, "stream closed")
        task = asyncio.create_task(anext(messages), name="another taker")
        await eventually(lambda: first.ended)
        await held.ack()  # its stream is gone
        second = await running.sidecar.stream(1)
        second.send("a")
        async with await task:
            pass
    assert (first.verdicts, second.verdicts) == ([], [("a", SUCCESS)])
    assert second.initial == first.initial
    assert "Subscription('pubsub', 'orders') broke" in caplog.text


async def test_a_sidecar_that_is_away_is_tried_until_it_is_back(running: Streaming) -> None:
    """Refusals of a sidecar that stops or starts do not end a subscription that had begun."""
    async with running.client.subscribe(NUMBERS) as messages:
        first = await running.sidecar.stream()
        running.sidecar.refusals = [
            (grpc.StatusCode.UNAVAILABLE, "dapr outbound is not ready"),
            (grpc.StatusCode.INVALID_ARGUMENT, "pubsub pubsub is not found"),
        ]
        first.end(grpc.StatusCode.UNAVAILABLE)
        task = asyncio.create_task(anext(messages))
        (await running.sidecar.stream(1)).send("a")
        assert (await task).id == "a"
    assert running.sidecar.refusals == []


@pytest.mark.row("FA-02")
async def test_a_subscription_begins_again_when_the_sidecar_is_healthy(running: Streaming) -> None:
    """A sidecar that is still starting is asked for its health before another stream begins."""
    async with running.client.subscribe(NUMBERS) as messages:
        first = await running.sidecar.stream()
        running.http.healthy = False
        checks = running.http.health_checks
        first.end(grpc.StatusCode.UNAVAILABLE)
        task = asyncio.create_task(anext(messages))
        await eventually(lambda: running.http.health_checks > checks + 1)
        assert len(running.sidecar.streams) == 1
        running.http.healthy = True
        (await running.sidecar.stream(1)).send("a")
        assert (await task).id == "a"


async def test_closing_ends_the_wait_for_a_sidecar(running: Streaming) -> None:
    """A subscription that waits for its sidecar can be closed at once."""
    messages = running.client.subscribe(NUMBERS)
    task = asyncio.create_task(_ids(messages))
    first = await running.sidecar.stream()
    running.http.healthy = False
    first.end(grpc.StatusCode.UNAVAILABLE)
    await eventually(lambda: running.http.health_checks > 1)
    await messages.close()
    assert await task == []


async def test_a_token_that_was_changed_ends_a_subscription(running: Streaming) -> None:
    """What no waiting mends is an error, also after the subscription had begun."""
    async with running.client.subscribe(NUMBERS) as messages:
        first = await running.sidecar.stream()
        running.sidecar.refusals = [(grpc.StatusCode.UNAUTHENTICATED, "Unauthorized")]
        first.end(grpc.StatusCode.UNAVAILABLE)
        with pytest.raises(SidecarError, match="DAPR_API_TOKEN") as raised:
            await anext(messages)
    assert raised.value.status == 401


async def test_a_refusal_is_the_error_that_it_is_over_http(running: Streaming) -> None:
    """An unknown component is a `NotFound` with Dapr's code, status and details."""
    failed = failure_of(pubsub_not_found("pubsub"))
    running.sidecar.refusals = [(failed.code, failed.text)]
    running.sidecar.trailers = failed.trailers
    with pytest.raises(NotFound, match="pubsub pubsub is not found") as raised:
        async with running.client.subscribe(NUMBERS):
            pass
    error = raised.value
    assert (error.code, error.status, error.reason) == (
        "ERR_PUBSUB_NOT_FOUND",
        404,
        "DAPR_PUBSUB_NOT_FOUND",
    )
    assert [type(each) for each in error.details] == [ErrorInfo]


async def test_a_first_refusal_is_not_tried_again(running: Streaming) -> None:
    """A broker that refuses the subscription is an error at once."""
    running.sidecar.refusals = [(grpc.StatusCode.UNKNOWN, "failed to subscribe")]
    with pytest.raises(SidecarError, match="failed to subscribe"):
        await anext(running.client.subscribe(NUMBERS))


async def test_a_starting_sidecar_is_waited_for(running: Streaming) -> None:
    """A first stream that finds the sidecar unavailable is tried again."""
    running.sidecar.refusals = [(grpc.StatusCode.UNAVAILABLE, "dapr outbound is not ready")]
    async with running.client.subscribe(NUMBERS):
        assert len(running.sidecar.streams) == 1


async def test_an_old_runtime_is_named() -> None:
    """A runtime that takes the call for one to an app is told apart: it is too old."""
    async with streaming() as running:
        text = (
            "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found"
        )
        running.sidecar.refusals = [(grpc.StatusCode.UNKNOWN, text)]
        with pytest.raises(SidecarError, match=r"streaming subscriptions needs Dapr 1\.14"):
            await anext(running.client.subscribe(NUMBERS))


async def test_no_grpc_side_is_an_error_in_time() -> None:
    """A sidecar without a gRPC port is unavailable once the health timeout is over."""
    settings = Settings(grpc_endpoint="127.0.0.1:1", health_timeout=0.1)
    async with Client(settings, transport=InProcessTransport(SmallSidecar())) as client:
        with pytest.raises(SidecarUnavailable, match=r"gRPC API at 127\.0\.0\.1:1 .*0\.1 s"):
            await anext(client.subscribe(NUMBERS))


@pytest.mark.parametrize("allowed", [0, 6 * 2**20])
async def test_an_event_that_is_too_large_is_an_error(allowed: int) -> None:
    """A message over the limit ends the loop with what to set; with more allowed it comes."""
    large = b'"' + b"x" * 5 * 2**20 + b'"'
    async with (
        streaming(grpc_max_message_size=allowed) as running,
        running.client.subscribe("pubsub", "orders", str) as messages,
    ):
        (await running.sidecar.stream()).send("a", large)
        if allowed:
            assert len((await anext(messages)).data) == 5 * 2**20
        else:
            with pytest.raises(SidecarError, match="DAPR_GRPC_MAX_INBOUND_MESSAGE_SIZE_BYTES"):
                await anext(messages)


# ---- payloads -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("dead_letter", "status"), [("dead", DROP), ("", RETRY)])
async def test_an_undecodable_event_has_its_fate(
    running: Streaming, dead_letter: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes to the dead letter topic where one is named, else it is delivered again."""
    async with running.client.subscribe(ORDERS, dead_letter=dead_letter) as messages:
        stream = await running.sidecar.stream()
        stream.send("bad", b'{"total":"secret"}')
        stream.send("good", b'{"total":1}')
        async with await anext(messages) as message:
            assert message.id == "good"
    assert stream.verdicts == [("bad", status), ("good", SUCCESS)]
    assert "cannot decode event 'bad' (18 bytes)" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("arguments", [("pubsub", ""), ("", "orders")])
def test_names_may_not_be_empty(arguments: tuple[str, str]) -> None:
    """A subscription without a component or a topic is refused before anything is opened."""
    with pytest.raises(ValueError, match="lacks the name"):
        Client().subscribe(*arguments, int)


def test_something_must_be_allowed_in_flight() -> None:
    """No message could ever come with none in flight."""
    with pytest.raises(ValueError, match="'max_in_flight' is 0"):
        Client().subscribe(NUMBERS, max_in_flight=0)


async def _fail(message: EventMessage[int], error: BaseException) -> None:
    async with message:
        raise error


async def _next(messages: AsyncIterator[EventMessage[int]]) -> EventMessage[int]:
    return await anext(messages)


async def _ids(messages: AsyncIterator[EventMessage[int]]) -> list[str]:
    found = []
    async for message in messages:
        async with message:
            found.append(message.id)
    return found
