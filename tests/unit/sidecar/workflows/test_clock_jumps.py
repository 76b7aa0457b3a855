"""Timers of workflows on a wall clock that somebody sets."""

from pathlib import Path

from daprflow.sidecar.clock import VirtualClock
from tests.helpers.scripted_worker import end, open_stage, timer
from tests.helpers.workflow_rows import new_kinds, start, status

HOUR = 3600.0


class SetClock(VirtualClock):
    """A clock that may be set back, or forth, without its timers knowing."""

    def set(self, seconds: float) -> None:
        """Jump; what waits is not called."""
        self._now += seconds

    def ring(self) -> None:
        """Call what waits, whatever the time is, as timers do that count elapsed seconds."""
        waiting, self._timers = self._timers, []
        for _, _, waits in waiting:
            if not waits.cancelled:
                waits.callback()


async def test_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """A timer whose clock was set back rings not before its time, and then once."""
    clock = SetClock(1_700_000_000.0)
    stage = await open_stage(tmp_path, clock)
    worker = stage.worker()
    await start(stage)
    due = clock.now() + HOUR
    await worker.answer(await worker.turn(), timer(1, due))
    clock.set(-2 * HOUR)
    for _ in range(3):
        clock.ring()
        assert await worker.nothing()
    clock.move_to(due)
    turn = await worker.turn()
    assert new_kinds(turn) == ["timerFired"]
    await worker.answer(turn, end(2))
    assert await status(stage) == "COMPLETED"
    await stage.engine.close()


async def test_a_clock_that_is_set_forth(tmp_path: Path) -> None:
    """A timer that is overdue rings once, with whatever wakes the engine next."""
    clock = SetClock(1_700_000_000.0)
    stage = await open_stage(tmp_path, clock)
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, clock.now() + HOUR))
    clock.set(2 * HOUR)
    clock.ring()
    turn = await worker.turn()
    assert new_kinds(turn) == ["timerFired"]
    clock.ring()
    await worker.answer(turn, end(2))
    assert await worker.nothing()
    assert await status(stage) == "COMPLETED"
    await stage.engine.close()
