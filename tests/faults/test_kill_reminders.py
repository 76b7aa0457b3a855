"""Reminders that were accepted survive a kill of the process that accepted them."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.testing.settling import Settling
from tests.faults.test_kill import accepted_until_killed
from tests.helpers import reminder_process
from tests.helpers.reminder_process import START, reminders_in


@pytest.mark.row("FA-30", "FS-05")
@pytest.mark.sockets
@pytest.mark.parametrize("count", [1, 300])
async def test_accepted_reminders_survive_a_kill(tmp_path: Path, count: int) -> None:
    """FA-30: after SIGKILL every accepted one ticks as often as it should, and never too soon."""
    accepted = await accepted_until_killed(tmp_path, count, reminder_process.__file__)
    clock, work = VirtualClock(START + 3), Work()
    ticks: Counter[int] = Counter()
    early: list[int] = []

    async def remind(
        _kind: str, actor_id: str, _name: str, _data: msgspec.Raw | msgspec.UnsetType
    ) -> None:
        number = int(actor_id)
        due = START + 1 + number % 7 + 10 * ticks[number]
        ticks[number] += 1
        if clock.now() < due:
            early.append(number)

    reminders = reminders_in(tmp_path, clock, work, remind)
    await reminders.open()
    reminders.hosted("T")
    await Settling(clock, work).advance(timedelta(seconds=30))
    await reminders.close()
    assert early == []
    assert set(ticks.values()) == {2}
    assert accepted <= ticks.keys()
