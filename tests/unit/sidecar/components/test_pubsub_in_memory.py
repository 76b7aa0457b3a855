"""``pubsub.in-memory``: one message at a time, waiting publishers, nothing twice."""

import asyncio
import logging
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import Message, Nack
from daprflow.sidecar.components.pubsub_in_memory import InMemoryPubSub
from tests.helpers.components import context


class Gate:
    """A receiver whose messages end when the test says so."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.running = 0
        self.most = 0
        self.open = asyncio.Event()
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.failure: Exception | None = None

    async def receive(self, message: Message) -> None:
        """Take one message."""
        self.running += 1
        self.most = max(self.most, self.running)
        self.taken.append(message.data)
        await self.arrived.put(message.data)
        await self.open.wait()
        self.running -= 1
        if self.failure is not None:
            raise self.failure


def bus(tmp_path: Path) -> InMemoryPubSub:
    """Return a bus."""
    return InMemoryPubSub(context(tmp_path, VirtualClock(), "pubsub.in-memory"))


async def test_a_publish_waits_for_the_message_before(tmp_path: Path) -> None:
    """The first publish returns while its message is handled, the second when its turn comes."""
    broker, gate = bus(tmp_path), Gate()
    stop = await broker.subscribe("t", "app", {}, gate.receive)
    await broker.publish(Message("t", b"1"))
    second = asyncio.create_task(broker.publish(Message("t", b"2")))
    await gate.arrived.get()
    assert not second.done()
    gate.open.set()
    await second
    await gate.arrived.get()
    await stop()
    assert (gate.taken, gate.most) == ([b"1", b"2"], 1)


@pytest.mark.parametrize("failure", [Nack("no"), RuntimeError("bug")])
async def test_a_failed_message_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    """A failure is logged, without the payload, and the next message comes."""
    broker, gate = bus(tmp_path), Gate()
    gate.failure = failure
    gate.open.set()
    stop = await broker.subscribe("t", "app", {}, gate.receive)
    with caplog.at_level(logging.WARNING):
        for data in (b"payload-1", b"payload-2"):
            await broker.publish(Message("t", data))
            await gate.arrived.get()
    await stop()
    assert gate.taken == [b"payload-1", b"payload-2"]
    assert len(caplog.records) == 2
    assert "payload" not in caplog.text


async def test_every_subscriber_gets_every_message(tmp_path: Path) -> None:
    """Even subscribers of one app are not in competition, and topics may hold a star."""
    broker = bus(tmp_path)
    gates = {topic: Gate() for topic in ("a.b", "a.*", "*", "b*")}
    stops = [await broker.subscribe(topic, "app", {}, g.receive) for topic, g in gates.items()]
    for gate in gates.values():
        gate.open.set()
    await broker.publish(Message("a.b", b"x"))
    for stop in stops:
        await stop()
    assert {topic: len(gate.taken) for topic, gate in gates.items()} == {
        "a.b": 1,
        "a.*": 1,
        "*": 1,
        "b*": 0,
    }


async def test_stopping_lets_publishers_go(tmp_path: Path) -> None:
    """A publisher that waits for a stopped subscription returns; its message is not delivered."""
    broker, gate = bus(tmp_path), Gate()
    stop = await broker.subscribe("t", "app", {}, gate.receive)
    await broker.publish(Message("t", b"1"))
    waiting = asyncio.create_task(broker.publish(Message("t", b"2")))
    await gate.arrived.get()
    stopping = asyncio.ensure_future(stop())
    await waiting
    assert not stopping.done()
    gate.open.set()
    await stopping
    await broker.publish(Message("t", b"3"))
    assert gate.taken == [b"1"]


async def test_a_publisher_that_gives_up_takes_its_message_along(tmp_path: Path) -> None:
    """A cancelled publish delivers nothing and blocks nobody."""
    broker, gate = bus(tmp_path), Gate()
    stop = await broker.subscribe("t", "app", {}, gate.receive)
    await broker.publish(Message("t", b"1"))
    waiting = asyncio.create_task(broker.publish(Message("t", b"2")))
    third = asyncio.create_task(broker.publish(Message("t", b"3")))
    await gate.arrived.get()
    waiting.cancel()
    await asyncio.wait({waiting})
    gate.open.set()
    await third
    await gate.arrived.get()
    await stop()
    assert gate.taken == [b"1", b"3"]
