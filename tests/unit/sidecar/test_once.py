"""What is opened once."""

import asyncio

import pytest

from daprflow.sidecar.once import Once


async def test_many_wait_for_one_opening() -> None:
    """Whoever asks waits for the same opening, and one who is cancelled does not end it."""
    began = 0
    goes_on = asyncio.Event()

    async def opening() -> None:
        nonlocal began
        began += 1
        await goes_on.wait()

    once = Once(opening)
    first, second = asyncio.create_task(once.open()), asyncio.create_task(once.open())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    assert first.cancelled()
    goes_on.set()
    await second
    await once.open()
    assert began == 1
    assert await once.end()
    assert not await once.end()


async def test_an_opening_that_failed_is_tried_again() -> None:
    """The next who asks after a failure has it tried again."""
    outcomes = [OSError("no"), None]

    async def opening() -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    once = Once(opening)
    with pytest.raises(OSError, match="no"):
        await once.open()
    await once.open()
    assert outcomes == []
