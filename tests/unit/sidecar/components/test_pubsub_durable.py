"""``pubsub.daprflow``: nothing accepted is lost, failures come again, nobody blocks others."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError, Message, Nack, Undelivered
from daprflow.sidecar.components.event_log import MemoryLog, StoredEvent
from daprflow.sidecar.components.event_queue import WINDOW, EventQueue, Subscriber
from daprflow.sidecar.components.event_sharing import Sharing
from daprflow.sidecar.components.pubsub_durable import DurablePubSub
from daprflow.sidecar.engine_file import FILE
from tests.helpers.components import context

Deliver = Callable[[Message], Awaitable[None]]
PAGE_BYTES = 4096


class Taker:
    """A receiver that notes what it gets and fails as it is told."""

    def __init__(self, deliver: Deliver | None = None) -> None:
        self.messages: list[Message] = []
        self.deliver = deliver
        self.running = 0
        self.most = 0
        self._news = asyncio.Event()

    async def receive(self, message: Message) -> None:
        """Take one message."""
        self.messages.append(message)
        self.running += 1
        self.most = max(self.most, self.running)
        self._news.set()
        try:
            if self.deliver is not None:
                await self.deliver(message)
        finally:
            self.running -= 1
            self._news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until ``done()`` holds; looked at whenever something arrives or ends."""
        async with asyncio.timeout(20):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def got(self, count: int) -> list[bytes]:
        """Wait for ``count`` messages and their ends."""
        await self.until(lambda: len(self.messages) >= count and not self.running)
        return [message.data for message in self.messages]


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that stands still."""
    return VirtualClock(1000.0)


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Return where events are kept, in both ways there are."""
    return tmp_path if request.param == "disk" else None


@asynccontextmanager
async def broker(
    folder: Path | None, clock: VirtualClock, **metadata: str
) -> AsyncIterator[DurablePubSub]:
    """Open a broker."""
    made = context(Path(), clock, "pubsub.daprflow", **metadata)
    opened = DurablePubSub(replace(made, data_dir=folder))
    await opened.open()
    yield opened
    await opened.close()


def refuse_once() -> Deliver:
    """Return a receiver that fails the first attempt of every message."""

    async def deliver(message: Message) -> None:
        if message.attempt == 1:
            raise Nack("not yet")

    return deliver


async def refuse(message: Message) -> None:
    """Fail every attempt."""
    raise Nack("never")


def left(folder: Path) -> int:
    """Count the events on disk."""
    connection = sqlite3.connect(folder / FILE)
    (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
    connection.close()
    return int(count)


async def test_events_start_in_publish_order(folder: Path | None, clock: VirtualClock) -> None:
    """Every event reaches its group once, in the order of publishing."""
    taker = Taker()
    async with broker(folder, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        sent = [b"%d" % n for n in range(200)]
        await asyncio.gather(*(pubsub.publish(Message("t", data, {"k": "v"})) for data in sent))
        assert await taker.got(200) == sent
        assert taker.messages[0] == Message("t", b"0", {"k": "v"}, "", 1, 1)
        await stop()
    assert folder is None or left(folder) == 0


async def test_concurrency_is_bounded(folder: Path | None, clock: VirtualClock) -> None:
    """A subscription has at most so many deliveries at one time."""
    gate = asyncio.Event()

    async def wait(message: Message) -> None:
        await gate.wait()

    taker = Taker(wait)
    async with broker(folder, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive, concurrency=4)
        await asyncio.gather(*(pubsub.publish(Message("t", b"x")) for _ in range(20)))
        await taker.until(lambda: taker.running == 4)
        gate.set()
        await taker.got(20)
        assert taker.most == 4
        await stop()


async def test_the_first_group_of_a_topic_gets_what_came_before_it(
    folder: Path | None, clock: VirtualClock
) -> None:
    """An event accepted before anybody subscribed waits for the first who does, for nobody else."""
    first, second = Taker(), Taker()
    async with broker(folder, clock) as pubsub:
        await asyncio.gather(*(pubsub.publish(Message("t", b"early")) for _ in range(3)))
        stop = await pubsub.subscribe("t", "app", {}, first.receive)
        await pubsub.publish(Message("t", b"late"))
        assert await first.got(4) == [b"early", b"early", b"early", b"late"]
        stop_second = await pubsub.subscribe("t", "other", {}, second.receive)
        await pubsub.publish(Message("t", b"last"))
        assert await second.got(1) == [b"last"]
        await stop()
        await stop_second()


async def test_unclaimed_events_survive_a_restart(tmp_path: Path, clock: VirtualClock) -> None:
    """What was accepted in one run before its topic had a subscriber is delivered in the next."""
    taker = Taker()
    async with broker(tmp_path, clock) as pubsub:
        await pubsub.publish(Message("t", b"early"))
    async with broker(tmp_path, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        assert await taker.got(1) == [b"early"]
        await stop()


async def test_a_topic_that_nobody_wants_is_bounded(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the newest events of a topic without subscribers are kept, and one line says so."""
    taker = Taker()
    async with broker(None, clock) as pubsub:
        for number in range(105):
            await pubsub.publish(Message("t", b"%d" % number))
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        assert await taker.got(100) == [b"%d" % number for number in range(5, 105)]
        await stop()
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        "nobody subscribes to 'it/t'; only its newest 100 events are kept until somebody does"
    ]


async def test_a_known_group_gets_what_came_while_it_was_away(
    folder: Path | None, clock: VirtualClock
) -> None:
    """Events for a stopped subscription wait for it."""
    taker = Taker()
    async with broker(folder, clock) as pubsub:
        await (await pubsub.subscribe("t", "app", {}, taker.receive))()
        await pubsub.publish(Message("t", b"1"))
        await pubsub.publish(Message("t", b"2"))
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        assert await taker.got(2) == [b"1", b"2"]
        await stop()


async def test_groups_and_backlog_survive_a_restart(tmp_path: Path, clock: VirtualClock) -> None:
    """A new process knows the groups, queues for them, and delivers the backlog at once."""
    async with broker(tmp_path, clock) as pubsub:
        await (await pubsub.subscribe("t", "app", {}, Taker().receive))()
        await pubsub.publish(Message("t", b"1", {"a": "b"}, "text/plain"))
    async with broker(tmp_path, clock) as pubsub:
        await pubsub.publish(Message("t", b"2"))
    taker = Taker()
    async with broker(tmp_path, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        assert await taker.got(2) == [b"1", b"2"]
        assert taker.messages[0] == Message("t", b"1", {"a": "b"}, "text/plain", 1, 1)
        await stop()


@pytest.mark.row("FS-04")
async def test_an_event_in_flight_survives_an_unclean_end(
    tmp_path: Path, clock: VirtualClock
) -> None:
    """What was being handled when the process died is delivered again."""

    async def hang(message: Message) -> None:
        await asyncio.Event().wait()

    dying = Taker(hang)
    async with broker(tmp_path, clock) as pubsub:
        await pubsub.subscribe("t", "app", {}, dying.receive)
        await pubsub.publish(Message("t", b"1"))
        await dying.until(lambda: dying.running == 1)
        alive = Taker()
        async with broker(tmp_path, clock) as after:
            stop = await after.subscribe("t", "app", {}, alive.receive)
            assert await alive.got(1) == [b"1"]
            await stop()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_a_failed_event_comes_again_later_each_time(
    folder: Path | None, clock: VirtualClock
) -> None:
    """Pauses double from half a second to a minute; the attempts are counted."""
    taker = Taker(refuse)
    async with broker(folder, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        await pubsub.publish(Message("t", b"x"))
        pauses = []
        for attempt in range(1, 11):
            await taker.got(attempt)
            due = clock.due()
            assert due is not None
            pauses.append(due - clock.now())
            clock.move_to(due)
        assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
        await taker.got(11)
        assert [message.attempt for message in taker.messages] == list(range(1, 12))
        await stop()


@pytest.mark.row("FS-15")
async def test_a_poison_event_blocks_nobody(folder: Path | None, clock: VirtualClock) -> None:
    """Others are delivered while one waits for its next attempt."""

    async def picky(message: Message) -> None:
        if message.data == b"poison":
            raise RuntimeError("boom")

    taker = Taker(picky)
    async with broker(folder, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive, concurrency=1)
        for data in (b"poison", b"1", b"2"):
            await pubsub.publish(Message("t", data))
        assert await taker.got(3) == [b"poison", b"1", b"2"]
        await stop()


async def test_attempts_and_due_time_survive_a_restart(tmp_path: Path, clock: VirtualClock) -> None:
    """A failed event keeps its count and is not delivered before its time."""
    failing = Taker(refuse)
    async with broker(tmp_path, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, failing.receive)
        await pubsub.publish(Message("t", b"x"))
        await failing.got(1)
        await stop()
    taker = Taker()
    async with broker(tmp_path, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        assert (taker.messages, clock.due()) == ([], 1000.5)
        clock.move_to(1000.5)
        await taker.got(1)
        assert taker.messages[0].attempt == 2
        await stop()


@pytest.mark.row("FS-13")
async def test_an_app_that_is_away_costs_no_attempt(
    folder: Path | None, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Deliveries wait and go on in order when the app is back; it is said once."""
    away = True

    async def deliver(message: Message) -> None:
        if away:
            raise Undelivered("not listening")

    taker = Taker(deliver)
    async with broker(folder, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive, concurrency=1)
        for n in range(5):
            await pubsub.publish(Message("t", b"%d" % n))
        for tries in (1, 2, 3):
            await taker.got(tries)
            await taker.until(lambda: clock.due() is not None)
            if tries < 3:
                clock.move_to(clock.now() + 0.5)
        assert len(caplog.records) == 1
        away = False
        taker.messages.clear()
        due = clock.due()
        assert due is not None
        clock.move_to(due)
        assert await taker.got(5) == [b"0", b"1", b"2", b"3", b"4"]
        assert {message.attempt for message in taker.messages} == {1}
        await stop()


async def test_a_stop_in_flight_costs_no_attempt(folder: Path | None, clock: VirtualClock) -> None:
    """An event that could not be settled because of the stop comes again as the same attempt."""
    gate = asyncio.Event()

    async def interrupted(message: Message) -> None:
        await gate.wait()
        raise Undelivered("stopping")

    first, second = Taker(interrupted), Taker()
    async with broker(folder, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, first.receive)
        await pubsub.publish(Message("t", b"x"))
        await first.until(lambda: first.running == 1)
        stopping = asyncio.ensure_future(stop())
        gate.set()
        await stopping
        stop = await pubsub.subscribe("t", "app", {}, second.receive)
        await second.got(1)
        assert second.messages[0].attempt == 1
        await stop()


async def test_one_group_shares_and_groups_do_not(folder: Path | None, clock: VirtualClock) -> None:
    """Subscribers of one group compete; each group gets everything."""
    one, two, other = Taker(), Taker(), Taker()
    async with broker(folder, clock) as pubsub:
        stops = [
            await pubsub.subscribe("t", "a", {}, one.receive, concurrency=1),
            await pubsub.subscribe("t", "a", {}, two.receive, concurrency=1),
            await pubsub.subscribe("t", "b", {}, other.receive),
        ]
        for n in range(20):
            await pubsub.publish(Message("t", b"%d" % n))
        await other.got(20)
        await one.until(lambda: len(one.messages) + len(two.messages) == 20)
        assert one.messages
        assert two.messages
        await stops[0]()
        await pubsub.publish(Message("t", b"last"))
        await two.until(lambda: two.messages[-1].data == b"last")
        for stop in stops[1:]:
            await stop()


async def test_an_expired_event_is_never_delivered(
    folder: Path | None, clock: VirtualClock
) -> None:
    """A message's own TTL wins over the component's; what is over is dropped."""
    taker = Taker()
    async with broker(folder, clock, ttlInSeconds="5") as pubsub:
        await (await pubsub.subscribe("t", "app", {}, taker.receive))()
        await pubsub.publish(Message("t", b"default"))
        await pubsub.publish(Message("t", b"longer", {"ttlInSeconds": "60"}))
        clock.move_to(clock.now() + 6)
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        assert await taker.got(1) == [b"longer"]
        await stop()
    assert folder is None or left(folder) == 0


async def test_a_default_ttl_must_be_a_number(tmp_path: Path, clock: VirtualClock) -> None:
    """A component file with a bad TTL does not open."""
    with pytest.raises(ComponentError, match="'ttlInSeconds' is 'soon'"):
        async with broker(tmp_path, clock, ttlInSeconds="soon"):
            pass


@pytest.mark.row("FS-24")
async def test_a_long_backlog_stays_on_disk(tmp_path: Path, clock: VirtualClock) -> None:
    """Only a window of a backlog is in memory, and all of it is delivered in order."""
    count = 3 * WINDOW
    gate = asyncio.Event()

    async def wait(message: Message) -> None:
        await gate.wait()

    taker = Taker(wait)
    async with broker(tmp_path, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive, concurrency=1)
        sent = [b"%d" % n for n in range(count)]
        await asyncio.gather(*(pubsub.publish(Message("t", data)) for data in sent))
        (queue,) = pubsub._queues.values()
        assert len(queue._window) <= WINDOW
        gate.set()
        assert await taker.got(count) == sent
        await stop()
    assert left(tmp_path) == 0


@pytest.mark.row("FS-32")
async def test_memory_has_a_limit(clock: VirtualClock) -> None:
    """A broker in memory refuses more than it may hold, and takes again when there is room."""
    taker = Taker()
    async with broker(None, clock) as pubsub:
        pubsub._log = MemoryLog(limit=10)
        await pubsub._log.open(pubsub._accept)
        await (await pubsub.subscribe("t", "app", {}, taker.receive))()
        await pubsub.publish(Message("t", b"12345678"))
        with pytest.raises(ComponentError, match="events wait in memory"):
            await pubsub.publish(Message("t", b"123"))
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        await taker.got(1)
        await pubsub.publish(Message("t", b"123"))
        await stop()


@pytest.mark.row("FS-06")
async def test_a_full_disk_refuses_the_publisher(
    tmp_path: Path, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Publishing fails with the cause, handled events are still forgotten once there is room."""
    taker = Taker()
    async with broker(tmp_path, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        writer = pubsub._log._writer  # type: ignore[attr-defined]
        await writer.run(
            lambda connection: connection.execute("PRAGMA max_page_count = 8").fetchone()
        )
        with caplog.at_level(logging.ERROR), pytest.raises(ComponentError, match="disk is full"):
            await pubsub.publish(Message("t", b"x" * 100_000))
        await pubsub.publish(Message("t", b"small"))
        assert await taker.got(1) == [b"small"]
        await stop()
    assert left(tmp_path) == 0


async def test_a_damaged_file_does_not_open(tmp_path: Path, clock: VirtualClock) -> None:
    """The broker names the file and two ways out."""
    (tmp_path / FILE).write_bytes(b"nonsense" * 100)
    with pytest.raises(ComponentError, match=r"engine\.db.*restore.*move it away"):
        async with broker(tmp_path, clock):
            pass


@pytest.mark.row("FS-08")
async def test_a_damaged_page_is_told_wherever_it_lies(
    tmp_path: Path, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """FS-08: the file is named at start, or when it is read; SQLite's own error never gets out."""
    async with broker(tmp_path, clock) as pubsub:
        await (await pubsub.subscribe("t", "app", {}, Taker().receive))()
        for number in range(100):
            await pubsub.publish(Message("t", b"%d" % number * 50))
    file = tmp_path / FILE
    whole = file.read_bytes()
    said = []
    for start in range(PAGE_BYTES, len(whole), PAGE_BYTES):
        damaged = bytes(255 - byte for byte in whole[start : start + PAGE_BYTES])
        file.write_bytes(whole[:start] + damaged + whole[start + PAGE_BYTES :])
        try:
            async with broker(tmp_path, clock) as pubsub:
                await (await pubsub.subscribe("t", "app", {}, Taker().receive))()
        except ComponentError as error:
            said.append(str(error))
    said += [record.getMessage() for record in caplog.records]
    assert len(said) > 2
    assert all(f"'{file}'" in text for text in said)


async def test_failures_are_retried_to_the_end(folder: Path | None, clock: VirtualClock) -> None:
    """Many events that fail once all arrive a second time."""
    taker = Taker(refuse_once())
    async with broker(folder, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app", {}, taker.receive)
        sent = {b"%d" % n for n in range(100)}
        await asyncio.gather(*(pubsub.publish(Message("t", data)) for data in sent))
        await taker.got(100)
        clock.move_to(clock.now() + 1)
        await taker.got(200)
        assert {message.data for message in taker.messages if message.attempt == 2} == sent
        await stop()
    assert folder is None or left(folder) == 0


class BlindLog(MemoryLog):
    """A log that can be made unreadable for a while."""

    blind = False

    def find(self, key: int, /) -> StoredEvent | None:
        """Return one event, unless nothing can be read."""
        if self.blind:
            raise ComponentError("disk I/O error")
        return super().find(key)

    def page(self, group: int, after: int, rows: int, size: int, /) -> list[StoredEvent]:
        """Return events, unless nothing can be read."""
        if self.blind:
            raise ComponentError("disk I/O error")
        return super().page(group, after, rows, size)


@pytest.mark.parametrize("attempts", [1, 2])
async def test_a_log_that_cannot_be_read_for_a_while_loses_nothing(
    clock: VirtualClock, attempts: int
) -> None:
    """New events and those due again are read once the log is back, without a further publish."""
    log = BlindLog()
    queue = EventQueue("pubsub", await log.add_group("orders", "app1"), log, clock, Sharing(clock))
    await log.open(queue.accept)
    taker = Taker(refuse_once() if attempts == 2 else None)
    subscriber = Subscriber(taker.receive, 1)
    await log.publish([queue.make_event(Message("orders", b"1"), None)])
    log.blind = attempts == 1
    await queue.add(subscriber)
    if attempts == 2:
        await taker.got(1)
        await idle(subscriber)
        log.blind = True
        clock.move_to(clock.now() + 0.5)
    assert len(taker.messages) == attempts - 1

    log.blind = False
    clock.move_to(clock.now() + 0.5)
    await taker.got(attempts)
    await queue.remove(subscriber)
    assert [message.attempt for message in taker.messages] == list(range(1, attempts + 1))


async def idle(subscriber: Subscriber) -> None:
    """Wait for a subscriber's tasks."""
    if subscriber.tasks:
        await asyncio.wait(subscriber.tasks)


async def test_a_topic_that_its_app_has_left_is_bounded(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What waited stays, the newest of what follows too, and a return finds them in order."""
    caplog.set_level(logging.INFO)
    async with broker(None, clock) as pubsub:
        stop = await pubsub.subscribe("t", "app1", {}, Taker().receive)
        await stop()
        pubsub.subscribed("app1", {"other"})
        pubsub.subscribed("app1", {"other"})
        for number in range(150):
            await pubsub.publish(Message("t", b"%d" % number))
        taker = Taker()
        stop = await pubsub.subscribe("t", "app1", {}, taker.receive)
        assert await taker.got(100) == [b"%d" % number for number in range(50, 150)]
        await stop()
    assert caplog.text.count("'app1' subscribes no more to 'it/t'") == 1


async def test_what_waited_when_an_app_left_a_topic_is_not_counted(clock: VirtualClock) -> None:
    """A long backlog from before stays whole, beside the newest of what follows."""
    taker = Taker()
    async with broker(None, clock) as pubsub:
        await (await pubsub.subscribe("t", "app1", {}, Taker().receive))()
        for number in range(150):
            await pubsub.publish(Message("t", b"before %d" % number))
        pubsub.subscribed("app1", set())
        for number in range(150):
            await pubsub.publish(Message("t", b"after %d" % number))
        stop = await pubsub.subscribe("t", "app1", {}, taker.receive)

        got = await taker.got(250)
        await stop()

    assert got[:150] == [b"before %d" % number for number in range(150)]
    assert got[150:] == [b"after %d" % number for number in range(50, 150)]


async def test_a_topic_whose_app_is_away_is_not_bounded(clock: VirtualClock) -> None:
    """Events wait for an app that has only ended, or whose other instance takes them."""
    async with broker(None, clock) as pubsub:
        first, second = Taker(), Taker()
        stop = await pubsub.subscribe("t", "app1", {}, first.receive)
        pubsub.subscribed("app1", set())
        await stop()
        for number in range(150):
            await pubsub.publish(Message("t", b"%d" % number))
        stop = await pubsub.subscribe("t", "app1", {}, second.receive)
        assert len(await second.got(150)) == 150
        await stop()
