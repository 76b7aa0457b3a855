"""``bindings.cron`` below its conformance rows: late timers, overlap, failing receivers."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from daprflow.sidecar.clock import Timer, VirtualClock
from daprflow.sidecar.components.base import BindingMessage, ComponentError, Nack
from daprflow.sidecar.components.binding_cron import CronBinding, go_time
from tests.helpers.components import context

START = 1_700_000_000.0


def binding(root: Path, clock: VirtualClock, schedule: str = "@every 10s") -> CronBinding:
    """Make a binding."""
    return CronBinding(context(root, clock, "bindings.cron", schedule=schedule))


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (START, "2023-11-14 22:13:20 +0000 UTC"),
        (START + 0.5, "2023-11-14 22:13:20.5 +0000 UTC"),
        (START + 0.000125, "2023-11-14 22:13:20.000125 +0000 UTC"),
    ],
)
def test_times_as_go_prints_them(moment: float, text: str) -> None:
    """A time has as many digits as it needs, and its zone twice."""
    assert go_time(moment) == text


async def test_ticks_may_overlap(tmp_path: Path) -> None:
    """A tick that lasts does not hold up the next; stopping waits for both."""
    clock = VirtualClock(START)
    cron = binding(tmp_path, clock)
    await cron.open()
    release = asyncio.Event()
    running: list[BindingMessage] = []

    async def receive(message: BindingMessage) -> None:
        running.append(message)
        await release.wait()

    await cron.start(receive)
    clock.move_to(START + 25)
    await asyncio.sleep(0)
    assert [message.metadata["timeZone"] for message in running] == ["Local", "Local"]
    stopping = asyncio.create_task(cron.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    release.set()
    await stopping
    clock.move_to(START + 100)
    assert len(running) == 2
    await cron.close()


async def test_a_failing_receiver(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A tick that is not taken is nothing, one that breaks is logged; the schedule goes on."""
    clock = VirtualClock(START)
    cron = binding(tmp_path, clock)
    await cron.open()
    outcomes: list[Exception] = [Nack("no"), ValueError("broken")]

    async def receive(message: BindingMessage) -> None:
        raise outcomes.pop(0)

    await cron.start(receive)
    clock.move_to(START + 20)
    await asyncio.sleep(0)
    await cron.stop()
    assert outcomes == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]


class Jumping(VirtualClock):
    """A clock that calls back when it is told to, whatever the time."""

    def __init__(self) -> None:
        super().__init__(START)
        self.time = START
        self.armed: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        self.armed.append((when, callback))
        return super().call_at(when, callback)


@pytest.mark.row("FS-12", "R-27")
async def test_a_clock_that_is_set_back_or_sleeps(tmp_path: Path) -> None:
    """A timer that fires early waits again; after a long sleep one tick comes, not all missed."""
    clock = Jumping()
    cron = binding(tmp_path, clock)
    await cron.open()
    ticks: list[float] = []

    async def receive(message: BindingMessage) -> None:
        ticks.append(clock.time - START)

    await cron.start(receive)
    clock.time = START + 9
    clock.armed[-1][1]()
    assert clock.armed[-1][0] == START + 10
    clock.time = START + 10.2
    clock.armed[-1][1]()
    assert clock.armed[-1][0] == START + 20
    clock.time = START + 3600
    clock.armed[-1][1]()
    assert clock.armed[-1][0] == START + 3610
    await cron.stop()
    clock.armed[-1][1]()
    assert len(clock.armed) == 4
    assert len(ticks) == 2


async def test_a_binding_that_is_not_open(tmp_path: Path) -> None:
    """Starting before opening is refused."""

    async def receive(message: BindingMessage) -> None:
        raise AssertionError

    with pytest.raises(ComponentError, match="not open"):
        await binding(tmp_path, VirtualClock()).start(receive)


async def test_a_date_that_never_comes(tmp_path: Path) -> None:
    """A schedule without any date is refused at the start."""
    with pytest.raises(ComponentError, match="invalid schedule '0 0 0 31 2 \\*'"):
        await binding(tmp_path, VirtualClock(), "0 0 0 31 2 *").open()
