"""Queues of one broker share what there is of deliveries, memory and patience with an app."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components import event_sharing
from daprflow.sidecar.components.base import Message, Undelivered
from daprflow.sidecar.components.event_log import SEQUENCE_BITS, MemoryLog
from daprflow.sidecar.components.event_queue import NARROW, EventQueue, Subscriber
from daprflow.sidecar.components.event_sharing import AWAY_PAUSE, PROBES, Sharing
from daprflow.sidecar.components.pubsub_durable import DurablePubSub
from tests.helpers.components import context
from tests.helpers.timing import eventually

TOPICS = 100
EACH = 20


class App:
    """An app that takes events of many topics when it is there."""

    def __init__(self) -> None:
        self.there = True
        self.reason = "nobody listens"
        self.gate = asyncio.Event()
        self.gate.set()
        self.tried = self.running = self.most = 0
        self.got: list[tuple[str, bytes]] = []

    async def receive(self, message: Message) -> None:
        """Take one event, unless it is away."""
        self.tried += 1
        if not self.there:
            raise Undelivered(self.reason)
        self.running += 1
        self.most = max(self.most, self.running)
        await self.gate.wait()
        self.running -= 1
        self.got.append((message.topic, message.data))

    async def has(self, count: int) -> None:
        """Wait until it has so many."""
        await eventually(lambda: len(self.got) >= count)


@asynccontextmanager
async def subscribed(app: App, folder: Path, clock: VirtualClock) -> AsyncIterator[DurablePubSub]:
    """Open a broker whose app takes all topics."""
    made = context(folder, clock, "pubsub.daprflow")
    broker = DurablePubSub(replace(made, data_dir=folder))
    await broker.open()
    stops = [
        await broker.subscribe(f"t{number}", "app", {}, app.receive) for number in range(TOPICS)
    ]
    try:
        yield broker
    finally:
        app.gate.set()
        for stop in stops:
            await stop()
        await broker.close()


async def publish(broker: DurablePubSub) -> None:
    """Publish some events on each topic."""
    await asyncio.gather(
        *(
            broker.publish(Message(f"t{topic}", b"%d" % number))
            for number in range(EACH)
            for topic in range(TOPICS)
        )
    )


async def at_rest() -> None:
    """Let everything go on that can."""
    for _ in range(200):
        await asyncio.sleep(0)


@pytest.mark.row("FA-37", "FS-23")
async def test_deliveries_of_all_topics_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many topics have events, no more are under way than may be, each in its turn."""
    monkeypatch.setattr(event_sharing, "DELIVERIES", 8)
    app = App()
    app.gate.clear()
    async with subscribed(app, tmp_path, VirtualClock(0.0)) as broker:
        await publish(broker)
        await at_rest()
        assert app.running == 8
        app.gate.set()
        await app.has(TOPICS * EACH)
    assert app.most == 8
    first = {topic for topic, _ in app.got[: 4 * TOPICS]}
    assert len(first) == TOPICS  # the turn goes round
    assert len(set(app.got)) == len(app.got) == TOPICS * EACH


class OnDisk(MemoryLog):
    """A log whose events are not in memory already."""

    bounded = True


@pytest.mark.row("FS-24")
async def test_windows_of_all_topics_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in memory for all topics together is bounded; the rest is read when it is due."""
    monkeypatch.setattr(event_sharing, "ROWS", 50)
    clock, log, app = VirtualClock(0.0), OnDisk(), App()
    sharing = Sharing(clock)
    queues = {}
    for number in range(TOPICS):
        group = await log.add_group(f"t{number}", "app")
        queues[group.id] = EventQueue("it", group, log, clock, sharing)
    await log.open(lambda event: queues[event.key >> SEQUENCE_BITS].accept(event))
    app.gate.clear()
    subscribers = {queue: Subscriber(app.receive, 2) for queue in queues.values()}
    for queue, subscriber in subscribers.items():
        await queue.add(subscriber)
    for number in range(EACH):
        events = [queue.make_event(Message("t", b"%d" % number), None) for queue in subscribers]
        await log.publish(events)
    assert 50 <= sharing.rows < 50 + NARROW
    app.gate.set()
    await app.has(TOPICS * EACH)
    for queue, subscriber in subscribers.items():
        await queue.remove(subscriber)
    assert sharing.rows == sharing.size == 0
    assert len(set(app.got)) == TOPICS * EACH


@pytest.mark.row("FS-13")
async def test_an_app_that_is_away_is_not_asked_for_each_topic(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A few events are tried at a time, one line tells it, the first answer brings all back."""
    clock, app = VirtualClock(0.0), App()
    caplog.set_level(logging.WARNING)
    app.there = False
    async with subscribed(app, tmp_path, clock) as broker:
        await publish(broker)
        await at_rest()
        for _ in range(5):
            app.tried = 0
            clock.move_to(clock.now() + AWAY_PAUSE)
            await at_rest()
            assert app.tried == PROBES
        assert [record.getMessage() for record in caplog.records] == [
            "events on 'it/t0' for 'app' are kept until they can be delivered: nobody listens"
        ]
        app.there = True
        clock.move_to(clock.now() + AWAY_PAUSE)
        await app.has(TOPICS * EACH)
    assert len(set(app.got)) == len(app.got) == TOPICS * EACH


async def test_a_topic_alone_that_cannot_be_delivered_does_not_hold_others_up(
    tmp_path: Path,
) -> None:
    """Where only some topics' events do not arrive, theirs are tried on, and the others go on."""
    clock, app, away = VirtualClock(0.0), App(), App()
    away.there = False
    async with subscribed(app, tmp_path, clock) as broker:
        stop = await broker.subscribe("lonely", "app", {}, away.receive)
        await broker.publish(Message("lonely", b"1"))
        await publish(broker)
        await app.has(TOPICS * EACH)
        assert away.got == []
        away.there = True
        clock.move_to(clock.now() + AWAY_PAUSE)
        await away.has(1)
        await stop()
