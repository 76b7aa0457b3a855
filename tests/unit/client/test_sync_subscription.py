"""Streaming subscriptions without an event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from daprflow.client import SyncClient
from daprflow.errors import Drop, NotFound
from daprflow.protocol.faults import pubsub_not_found
from daprflow.sidecar.grpc_api.status import failure_of
from daprflow.testing.transport import InProcessTransport
from tests.helpers.event_streams import DROP, RETRY, SUCCESS, Streaming, streaming
from tests.helpers.timing import eventually

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def running() -> AsyncIterator[Streaming]:
    """A sidecar for subscriptions; the client under test is another one, in a thread."""
    async with streaming() as running:
        yield running


def client_of(running: Streaming) -> SyncClient:
    """Return a client of that sidecar."""
    settings = running.client._caller.way.settings
    return SyncClient(settings, transport=InProcessTransport(running.http))


async def test_messages_come_without_await(running: Streaming) -> None:
    """``with`` and ``for`` give the messages of a topic, and verdicts are plain calls."""

    def work() -> list[int]:
        found = []
        with client_of(running) as client, client.subscribe("pubsub", "orders", int) as messages:
            for message in messages:
                found.append(message.data)
                match message.data:
                    case 1:
                        message.ack()
                    case 2:
                        message.retry()
                    case _:
                        message.drop()
                        break
        return found

    working = asyncio.create_task(asyncio.to_thread(work))
    stream = await running.sidecar.stream()
    for number in (1, 2, 3):
        stream.send(f"e{number}", b"%d" % number)
    assert await working == [1, 2, 3]
    await eventually(lambda: stream.ended)
    assert stream.verdicts == [("e1", SUCCESS), ("e2", RETRY), ("e3", DROP)]


async def test_a_block_gives_the_verdict_and_carries_the_trace(running: Streaming) -> None:
    """``with message`` is done when it ends; its calls are part of the event's trace."""

    def work() -> None:
        with client_of(running) as client, client.subscribe("pubsub", "orders", int) as messages:
            with next(messages):
                client.publish("pubsub", "next", 1)
            with next(messages):
                raise Drop("no")
            message = next(messages)
            with pytest.raises(ValueError, match="mine"), message:
                raise ValueError("mine")

    working = asyncio.create_task(asyncio.to_thread(work))
    stream = await running.sidecar.stream()
    for name in ("a", "b", "c"):
        stream.give(
            id=name,
            data=b"1",
            data_content_type="application/json",
            extensions={"traceparent": TRACE},
        )
    await working
    assert stream.verdicts == [("a", SUCCESS), ("b", DROP), ("c", RETRY)]
    assert [each.get("traceparent") for each in running.http.headers] == [TRACE]


async def test_threads_share_a_subscription(running: Streaming) -> None:
    """Each message goes to one of the threads; closing it ends all their loops."""
    seen: list[str] = []

    def work() -> None:
        with client_of(running) as client:
            messages = client.subscribe("pubsub", "orders", int)

            def take() -> None:
                for message in messages:
                    with message:
                        seen.append(message.id)

            threads = [threading.Thread(target=take) for _ in range(2)]
            for thread in threads:
                thread.start()
            enough.wait(10)
            messages.close()
            for thread in threads:
                thread.join(10)
            assert not any(thread.is_alive() for thread in threads)

    enough = threading.Event()
    working = asyncio.create_task(asyncio.to_thread(work))
    stream = await running.sidecar.stream()
    for name in "abcd":
        stream.send(name)
    await eventually(lambda: len(seen) == 4)
    enough.set()
    await working
    assert sorted(seen) == list("abcd")


async def test_a_refusal_is_raised_on_entering(running: Streaming) -> None:
    """An unknown component is an error of the ``with`` statement."""
    failed = failure_of(pubsub_not_found("pubsub"))
    running.sidecar.refusals = [(failed.code, failed.text)]
    running.sidecar.trailers = failed.trailers

    def work() -> None:
        with (
            client_of(running) as client,
            pytest.raises(NotFound, match="pubsub is not found"),
            client.subscribe("pubsub", "orders", int),
        ):
            pass

    await asyncio.to_thread(work)
