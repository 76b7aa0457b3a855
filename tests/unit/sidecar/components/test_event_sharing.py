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
from daprflow.sidecar.components.event_sharing import AWAY_PAUSE, DELIVERIES, PROBES, Sharing
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
    monkeypatch.setattr(event_sharing, "DELIVERIES", 6)
    monkeypatch.setattr(event_sharing, "FIRSTS", 2)
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
        (line,) = caplog.records
        assert line.getMessage() == (
            "events on 'it/t0' for 'app' are kept until they can be delivered: nobody listens"
            "; where this does not pass by itself, the app's log tells why"
        )
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


async def fill(broker: DurablePubSub, topics: list[str], count: int) -> None:
    """Publish so many events on each topic."""
    await asyncio.gather(
        *(broker.publish(Message(topic, b"%d" % n)) for n in range(count) for topic in topics)
    )


@pytest.mark.row("FA-13", "FS-15")
@pytest.mark.parametrize("hanging", [1, 8, 40, 300])
async def test_topics_whose_handlers_hang_leave_room_for_the_others(
    tmp_path: Path, hanging: int
) -> None:
    """However many topics hang with all they may have, the others' events are handled."""
    hung, app = App(), App()
    hung.gate.clear()
    slow = [f"slow{number}" for number in range(hanging)]
    async with subscribed(app, tmp_path, VirtualClock(0.0)) as broker:
        stops = [await broker.subscribe(topic, "app", {}, hung.receive) for topic in slow]
        await fill(broker, slow, 40 if hanging <= 40 else 3)
        await at_rest()
        assert hanging <= hung.running <= max(hanging, DELIVERIES)
        await publish(broker)
        await app.has(TOPICS * EACH)
        assert hung.got == []
        hung.gate.set()
        for stop in stops:
            await stop()
    assert len(set(app.got)) == len(app.got) == TOPICS * EACH


@pytest.mark.row("FA-13")
async def test_a_few_topics_that_hang_leave_the_others_several_at_a_time(tmp_path: Path) -> None:
    """Beside eight topics that hang, another one still has more than one event under way."""
    hung, app = App(), App()
    hung.gate.clear()
    app.gate.clear()
    slow = [f"slow{number}" for number in range(8)]
    async with subscribed(app, tmp_path, VirtualClock(0.0)) as broker:
        stops = [await broker.subscribe(topic, "app", {}, hung.receive) for topic in slow]
        await fill(broker, slow, 40)
        await at_rest()
        await fill(broker, ["t0"], 40)
        await at_rest()
        assert app.running >= 10
        hung.gate.set()
        app.gate.set()
        await app.has(40)
        for stop in stops:
            await stop()


@pytest.mark.row("FS-15", "I-PS")
async def test_an_app_that_hangs_is_nothing_to_another_app(tmp_path: Path) -> None:
    """Where one app holds all that it may, another one of the broker has as much as ever."""
    hung, app = App(), App()
    hung.gate.clear()
    app.gate.clear()
    async with subscribed(app, tmp_path, VirtualClock(0.0)) as broker:
        stops = [
            await broker.subscribe(f"t{number}", "other", {}, hung.receive)
            for number in range(TOPICS)
        ]
        await publish(broker)
        await at_rest()
        assert hung.running == app.running >= DELIVERIES - 8
        app.gate.set()
        await app.has(TOPICS * EACH)
        assert hung.got == []
        hung.gate.set()
        for stop in stops:
            await stop()


@pytest.mark.row("FS-13", "I-PS")
async def test_an_app_that_is_away_does_not_delay_the_return_of_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An app that is back is found by the next try, however many queues of another one wait."""
    clock, away, app = VirtualClock(0.0), App(), App()
    away.there = app.there = False
    async with subscribed(away, tmp_path, clock) as broker:
        stop = await broker.subscribe("t99", "other", {}, app.receive)
        await publish(broker)
        await at_rest()
        caplog.clear()
        app.there = True
        away.tried = 0
        clock.move_to(clock.now() + AWAY_PAUSE)
        await app.has(EACH)
        assert away.tried == PROBES
        assert caplog.records == []  # of the other one it is no news
        await stop()


async def test_a_batch_of_many_is_as_little_a_burden_as_few_events(tmp_path: Path) -> None:
    """A subscriber of large batches has two of them, however many events these are."""
    app = App()
    app.gate.clear()
    made = context(tmp_path, VirtualClock(0.0), "pubsub.daprflow")
    broker = DurablePubSub(replace(made, data_dir=tmp_path))
    await broker.open()
    stop = await broker.subscribe("t", "app", {}, app.receive, concurrency=2000)
    await fill(broker, ["t"], 2100)
    await at_rest()
    assert app.running == 2000
    app.gate.set()
    await app.has(2100)
    await stop()
    await broker.close()


async def test_a_batch_that_can_get_no_more_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gathers events is told when others have what it would need."""
    monkeypatch.setattr(event_sharing, "DELIVERIES", 8)
    app = App()
    app.gate.clear()
    told: list[int] = []
    made = context(tmp_path, VirtualClock(0.0), "pubsub.daprflow")
    broker = DurablePubSub(replace(made, data_dir=tmp_path))
    await broker.open()
    stop = await broker.subscribe(
        "t", "app", {}, app.receive, held_up=lambda: told.append(app.running)
    )
    await fill(broker, ["t"], 20)
    await eventually(lambda: app.running == 4)
    assert told
    app.gate.set()
    await app.has(20)
    await stop()
    await broker.close()


@pytest.mark.row("FA-13")
async def test_events_of_one_key_stay_in_order_where_deliveries_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns between many topics change nothing in the order of the events of one key."""
    monkeypatch.setattr(event_sharing, "DELIVERIES", 4)
    monkeypatch.setattr(event_sharing, "FIRSTS", 2)
    app = App()
    async with subscribed(app, tmp_path, VirtualClock(0.0)) as broker:
        for number in range(EACH):
            for topic in range(10):
                for key in ("a", "b"):
                    data = f"{key}{number}".encode()
                    await broker.publish(Message(f"t{topic}", data, {"partitionKey": key}))
        await app.has(10 * EACH * 2)
    for topic in range(10):
        for key in ("a", "b"):
            got = [d for t, d in app.got if t == f"t{topic}" and d.decode().startswith(key)]
            assert got == [f"{key}{number}".encode() for number in range(EACH)]


async def test_a_subscriber_that_leaves_gives_its_turns_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a topic held that is unsubscribed, and what it waited for, goes to the others."""
    monkeypatch.setattr(event_sharing, "DELIVERIES", 4)
    monkeypatch.setattr(event_sharing, "FIRSTS", 0)
    hung, app = App(), App()
    hung.gate.clear()
    async with subscribed(app, tmp_path, VirtualClock(0.0)) as broker:
        slow = [f"slow{number}" for number in range(8)]
        stops = [await broker.subscribe(topic, "app", {}, hung.receive) for topic in slow]
        await fill(broker, slow, 5)
        await at_rest()
        assert hung.running == 4
        await fill(broker, ["t0"], 5)
        await at_rest()
        assert app.got == []
        leaving = [asyncio.ensure_future(stop()) for stop in stops]
        await at_rest()
        hung.gate.set()
        await app.has(5)
        await asyncio.gather(*leaving)
    assert len(hung.got) == 4
