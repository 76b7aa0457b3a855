"""The ``daprflow`` command that says on SIGUSR1 how many tasks its event loop has.

HARNESS_TASKS=FILE python -m tests.faults.harness.counting sidecar --app-id shop
"""

import asyncio
import contextlib
import gc
import os
import signal
from pathlib import Path
from types import FrameType

from daprflow.cli.main import main

TASKS = "HARNESS_TASKS"
WITHIN = 5.0


def tell(_signal: int, _frame: FrameType | None) -> None:
    """Write the number of tasks to the file, which is whole at any moment."""
    gc.collect()  # a task that nobody has any more is no leak
    with contextlib.suppress(RuntimeError):
        loop = asyncio.get_running_loop()
        file = Path(os.environ[TASKS])
        new = file.with_suffix(".new")
        new.write_text(str(len(asyncio.all_tasks(loop))), encoding="utf-8")
        new.replace(file)


async def tasks_of(pid: int, file: Path) -> int:
    """Ask a process how many tasks it has.

    Raises:
        TimeoutError: it does not say.
    """
    await asyncio.to_thread(file.unlink, missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    async with asyncio.timeout(WITHIN):
        while not (told := await asyncio.to_thread(_read, file)):  # noqa: ASYNC110 - another process tells
            await asyncio.sleep(0.01)
    return int(told)


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    main()
