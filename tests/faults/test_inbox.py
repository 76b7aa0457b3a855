"""Events that are handled once, though they come again and their handler's process dies."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.harness import once_app
from tests.faults.harness.ledger import numbers
from tests.faults.harness.once_app import HOLD
from tests.faults.harness.victims import sidecar_and_app
from tests.helpers.timing import eventually

WITHIN = 30.0


@pytest.mark.row("FA-36")
@pytest.mark.sockets
async def test_an_event_outlives_its_handlers_process_and_is_done_once(tmp_path: Path) -> None:
    """Killed in its handler, an event is handled again when its claim ends; then never more."""
    async with sidecar_and_app(tmp_path, once_app) as pair:
        hold = pair.ledger / HOLD
        hold.touch()
        await pair.sidecar.begin()
        await pair.app.begin()
        await pair.healthy()
        await pair.listening()
        await pair.client.publish(once_app.numbers, 1, id="e1", source="test")
        await eventually(lambda: numbers(pair.ledger, "begun") == [1], WITHIN)
        await pair.app.kill()
        hold.unlink()
        await pair.app.begin()
        await pair.listening()
        await eventually(lambda: numbers(pair.ledger, "done") == [1], WITHIN)
        copies = (
            pair.client.publish(once_app.numbers, 1, id="e1", source="test") for _ in range(5)
        )
        await asyncio.gather(*copies)
        await pair.client.publish(once_app.numbers, 2, id="e2", source="test")
        await eventually(lambda: 2 in numbers(pair.ledger, "done"), WITHIN)
        assert numbers(pair.ledger, "done") == [1, 2]
        assert numbers(pair.ledger, "begun") == [1, 1, 2]
