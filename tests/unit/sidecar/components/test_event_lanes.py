"""Events of one partition key: in order, one at a time, whatever happens to the others."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components import event_lanes
from daprflow.sidecar.components.base import Message, Nack
from daprflow.sidecar.components.event_lanes import Lanes
from daprflow.sidecar.components.event_log import StoredEvent
from daprflow.sidecar.components.pubsub_durable import DurablePubSub
from tests.helpers.components import context
from tests.helpers.timing import until


def event(key: int, lane: str) -> StoredEvent:
    """An event of a partition; no name means none."""
    return StoredEvent(key, b"", {"partitionKey": lane} if lane else None, "")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_each_lane_is_a_line(steps: list[tuple[str, bool]]) -> None:
    """Against a model: in each lane exactly the oldest event may go, and all go in the end."""
    lanes, lines = Lanes(), defaultdict[str, list[int]](list)
    for number, (lane, done) in enumerate(steps):
        assert lanes.enter(event(number, lane)) is (not lines[lane])
        lines[lane].append(number)
        if done:
            following = lanes.leave(lines[lane].pop(0))
            assert following == ((lines[lane][0], 0) if lines[lane] else None)
    for line in lines.values():
        while line:
            following = lanes.leave(line.pop(0))
            assert following == ((line[0], 0) if line else None)
    assert lanes.enter(event(1000, "a"))


def test_who_goes_again_is_still_first() -> None:
    """A failed event keeps its place; one without a key has none."""
    lanes = Lanes()
    assert lanes.enter(event(1, "a"))
    assert lanes.enter(event(1, "a"))
    assert not lanes.enter(event(2, "a"))
    assert lanes.enter(event(3, ""))
    assert lanes.leave(3) is None


def test_too_long_a_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits behind one event takes memory, so it has a limit."""
    monkeypatch.setattr(event_lanes, "LONGEST", 2)
    lanes = Lanes()
    for number in range(3):
        assert not lanes.full
        lanes.enter(event(number, "a"))
    assert lanes.full
    lanes.leave(0)
    assert not lanes.full


async def collect(
    folder: Path | None,
    clock: VirtualClock,
    published: list[Message],
    deliver: Callable[[Message], Awaitable[None]],
) -> list[Message]:
    """Publish, deliver until everything is done, and return what succeeded, in order."""
    done: list[Message] = []

    async def receive(message: Message) -> None:
        await deliver(message)
        done.append(message)

    made = context(Path(), clock, "pubsub.daprflow")
    pubsub = DurablePubSub(replace(made, data_dir=folder))
    await pubsub.open()
    for message in published:
        await pubsub.publish(message)
    stop = await pubsub.subscribe("t", "app", {}, receive, concurrency=8)
    await until(clock, lambda: len(done) == len(published))
    await stop()
    await pubsub.close()
    return done


@pytest.mark.parametrize("kept", ["disk", "memory"])
async def test_events_of_one_key_succeed_in_order(tmp_path: Path, kept: str) -> None:
    """Some fail at first, deliveries overlap: each key's events still succeed as published."""
    chance = random.Random(7)  # noqa: S311 - a test's dice
    clock = VirtualClock(1000.0)

    async def deliver(message: Message) -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if message.attempt == 1 and chance.random() < 0.1:
            raise Nack("not yet")

    published = [
        Message("t", b"%d" % number, {"partitionKey": chance.choice("abcd")})
        for number in range(90)
    ]
    folder = tmp_path if kept == "disk" else None
    done = await collect(folder, clock, published, deliver)
    for lane in "abcd":
        assert [m.data for m in done if m.metadata == {"partitionKey": lane}] == [
            m.data for m in published if m.metadata == {"partitionKey": lane}
        ]


async def test_a_failed_event_holds_only_its_own_key_up(tmp_path: Path) -> None:
    """Others pass it; those behind it wait; sequence numbers rise."""
    clock = VirtualClock(1000.0)

    async def deliver(message: Message) -> None:
        if message.data == b"a1" and message.attempt < 3:
            raise Nack("not yet")

    published = [
        Message("t", text, {"partitionKey": text[:1].decode()})
        for text in (b"a1", b"a2", b"b1", b"a3", b"b2")
    ]
    done = await collect(tmp_path, clock, published, deliver)
    assert [m.data for m in done] == [b"b1", b"b2", b"a1", b"a2", b"a3"]
    assert sorted(m.sequence for m in done) == [1, 2, 3, 4, 5]
    assert [m.attempt for m in done] == [1, 1, 3, 1, 1]


async def test_order_survives_a_restart(tmp_path: Path) -> None:
    """A key's failed first event is still the first after the sidecar was started anew."""
    clock = VirtualClock(1000.0)
    made = replace(context(Path(), clock, "pubsub.daprflow"), data_dir=tmp_path)
    failed = asyncio.Event()

    async def fail(message: Message) -> None:
        failed.set()
        raise Nack("not yet")

    pubsub = DurablePubSub(made)
    await pubsub.open()
    stop = await pubsub.subscribe("t", "app", {}, fail)
    for text in (b"1", b"2", b"3"):
        await pubsub.publish(Message("t", text, {"partitionKey": "k"}))
    await failed.wait()
    await stop()
    await pubsub.close()

    seen: list[bytes] = []
    all_seen = asyncio.Event()

    async def note(message: Message) -> None:
        seen.append(message.data)
        if len(seen) == 3:
            all_seen.set()

    again = DurablePubSub(made)
    await again.open()
    stop = await again.subscribe("t", "app", {}, note)
    assert (seen, clock.due()) == ([], 1000.5)
    clock.move_to(1000.5)
    async with asyncio.timeout(20):
        await all_seen.wait()
    assert seen == [b"1", b"2", b"3"]
    await stop()
    await again.close()
