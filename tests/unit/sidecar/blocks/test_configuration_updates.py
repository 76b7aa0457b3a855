"""Changes on their way to one reader: in order, bounded, counted."""

import asyncio

from daprflow.protocol.configuration import ConfigurationItem
from daprflow.sidecar.blocks.configuration_updates import MOST_WAITING, ConfigurationUpdates
from daprflow.sidecar.engine import Work


async def taken(updates: ConfigurationUpdates) -> list[dict[str, str]]:
    """Return what waits, and close."""
    found: list[dict[str, str]] = []

    async def take() -> None:
        found.extend([{k: v.value for k, v in items.items()} async for items in updates])

    task = asyncio.create_task(take())
    for _ in range(MOST_WAITING * 2):
        await asyncio.sleep(0)
    updates.close()
    await task
    return found


async def test_changes_come_in_order() -> None:
    """Each change is one item of the iteration."""
    updates = ConfigurationUpdates("id", Work())
    for number in range(3):
        updates.put({"a": ConfigurationItem(str(number))})
    assert await taken(updates) == [{"a": "0"}, {"a": "1"}, {"a": "2"}]


async def test_what_a_slow_reader_misses_is_merged() -> None:
    """Memory is bounded: of what waits too long the newest values count."""
    updates = ConfigurationUpdates("id", Work())
    for number in range(MOST_WAITING + 100):
        updates.put({"a": ConfigurationItem(str(number))})
    updates.put({"b": ConfigurationItem("x")})
    found = await taken(updates)
    assert len(found) == MOST_WAITING
    assert found[-1] == {"a": str(MOST_WAITING + 99), "b": "x"}


async def test_what_waits_is_work_until_it_is_taken_or_dropped() -> None:
    """A test that waits for work to end waits for readers, and not for closed ones."""
    work = Work()
    updates = ConfigurationUpdates("id", work)
    updates.put({"a": ConfigurationItem("1")})
    assert work.count == 1
    updates.close()
    assert work.count == 0
    updates.put({"a": ConfigurationItem("2")})
    assert work.count == 0
    assert await taken(updates) == []
