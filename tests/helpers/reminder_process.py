"""A process that registers reminders, one after the other, until it is killed."""

import asyncio
import sys
from pathlib import Path

from daprflow.protocol.actors import ReminderRequest
from daprflow.sidecar.actors.reminders import REMINDERS, TABLE, Remind, Reminders
from daprflow.sidecar.clock import Clock, VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.sidecar.engine_file import FILE, engine_file
from daprflow.sidecar.job_scheduler import JobScheduler
from daprflow.sidecar.job_store import SqliteJobStore

START = 1_700_000_000.0
AT_ONCE = 10
"""Reminders that are registered at one time."""


def reminders_in(folder: Path, clock: Clock, work: Work, remind: Remind) -> Reminders:
    """Return the reminders of a data folder, not opened yet."""
    store = SqliteJobStore(engine_file(folder / FILE), TABLE)
    return Reminders(JobScheduler(clock, work, store, REMINDERS), remind)


async def never(*_: object) -> None:
    """Take no tick: none is due while the clock stands still."""
    raise AssertionError


async def main(folder: Path) -> None:
    """Register reminders and print the number of each that is safe."""
    reminders = reminders_in(folder, VirtualClock(START), Work(), never)
    await reminders.open()

    async def register(number: int) -> None:
        request = ReminderRequest(f"{1 + number % 7}s", "R2/PT10S")
        await reminders.register("T", str(number), "r", request)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()

    number = 0
    while True:
        await asyncio.gather(*(register(number + index) for index in range(AT_ONCE)))
        number += AT_ONCE


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
