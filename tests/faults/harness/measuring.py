"""Runs one goal and says what came of it, and what it left behind."""

import asyncio
import contextlib
import os
import platform
import signal
import tempfile
import time
import traceback
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.table import Line

MARK = "HARNESS_MARK"
"""In the environment of all that a goal begins, to find what it leaves."""
MEASURED = "HARNESS_MEASURED"
"""Names the file that says that others may begin: what follows measures no time."""


def measured_all() -> None:
    """Say that what follows measures no time any more: other goals may begin beside it."""
    path = os.environ.get(MEASURED)
    if path:
        Path(path).touch()


async def measured(goal: Goal, size: Size, seed: int) -> Line:
    """Run one goal in folders of its own and say what came of it."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name, _marked() as mark:
        folder, place = Path(name) / "goal", Path(name) / "place"
        folder.mkdir()
        place.mkdir()
        try:
            with contextlib.chdir(place):
                result = await goal.run(goal.plan(size), folder, seed)
        except Exception as error:  # noqa: BLE001 - the other goals are looked at all the same
            traceback.print_exc()
            result = Result(problems=[f"{type(error).__name__}: {error}"])
        result.problems += [f"process {each} is left" for each in end_marked(mark)]
        result.problems += [
            f"'{each.name}' is left in the working folder" for each in await _files_in(place)
        ]
    seconds = time.monotonic() - begun
    today = datetime.now(UTC).date().isoformat()
    machine = f"{os.cpu_count()} cores and Python {platform.python_version()}"
    return Line(
        *(goal.id, goal.promise, result.text, today, machine),
        *(tuple(result.missed()), size.value, seed, seconds),
    )


async def _files_in(place: Path) -> list[Path]:
    return await asyncio.to_thread(lambda: sorted(place.iterdir()))


@contextlib.contextmanager
def _marked() -> Iterator[str]:
    """Have everything that is begun meanwhile carry a mark."""
    mark = uuid.uuid4().hex
    os.environ[MARK] = mark
    try:
        yield mark
    finally:
        del os.environ[MARK]


def end_marked(mark: str) -> list[str]:
    """Kill the processes that carry a mark, this one left out; return which these were."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes():
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                os.kill(int(entry.name), signal.SIGKILL)
                found.append(f"{entry.name} ({words.decode(errors='replace').strip()})")
    return found
