"""The hub: a process of its own with the engine of a data folder, for runs of which each may end.

Run as ``python -P -m daprflow.launcher.hub DATA_DIR``. It detaches itself, takes runs in as the
host of a data folder does, and ends soon after the last of them is gone, however that ended.
"""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder, in_use
from daprflow.launcher.host import EngineHost
from daprflow.launcher.joined import JoinedRun, join
from daprflow.launcher.logs import configure_logging
from daprflow.launcher.loop import run as run_loop
from daprflow.launcher.options import SidecarOptions

FIRST_SECONDS = 10.0
"""How long a hub waits for the run that started it."""
EMPTY_SECONDS = 1.0
"""How long it stays when nobody is left: the next run of a script finds it still there."""
START_SECONDS = 20.0
PAUSE = 0.05
LOCK_ATTEMPTS = 40
LOG = "logs/hub.log"


async def enter_hub(
    folder: DataFolder, options: SidecarOptions, base: Path, say: Callable[[str], None]
) -> JoinedRun:
    """Join whoever hosts a data folder; start a hub where nobody does.

    Args:
        folder: the data folder; prepared here.
        options: of the sidecar this run wants.
        base: the working folder.
        say: prints one line.

    Raises:
        LaunchError: the folder cannot be used, its host takes nobody in, or a port is taken.
    """
    folder.prepare()
    clock = asyncio.get_running_loop()
    deadline = clock.time() + START_SECONDS
    started = False
    while clock.time() < deadline:
        found = folder.running()
        if found is not None and found.control_port:
            joined = await join(found, options, base, say)
            if joined is not None:
                return joined
            started = False
        elif found is not None and found.apps:
            raise in_use(folder.path)
        elif not started and folder.lock():
            folder.release()
            await asyncio.to_thread(start_hub, folder.path)
            started = True
        await asyncio.sleep(PAUSE)
    raise LaunchError(
        f"the sidecar process of '{folder.path}' did not start; see '{folder.path / LOG}'",
        Exit.SIDECAR_FAILED,
    )


def start_hub(path: Path) -> None:
    """Start a hub; it is nobody's child when this returns."""
    with (path / LOG).open("ab") as log:
        subprocess.run(  # noqa: S603 - this very package
            [sys.executable, "-P", "-m", "daprflow.launcher.hub", str(path.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=False,
        )


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a hub waits, in seconds: for its first run, and for another after the last one."""

    first: float = FIRST_SECONDS
    empty: float = EMPTY_SECONDS


class Hub:
    """Hosts the engine of one data folder until nobody uses it any more.

    Args:
        path: the data folder.
        begin: called once the folder is this hub's.
        patience: how long it waits for runs.
    """

    def __init__(
        self,
        path: Path,
        begin: Callable[[], None] = lambda: None,
        patience: Patience = Patience(),
    ) -> None:
        self._folder = DataFolder(path)
        self._begin = begin
        self._patience = patience
        self._host = EngineHost(self._folder, SidecarOptions(data_dir=path), path, self._note)

    async def run(self) -> int:
        """Take runs in; return once they are gone."""
        self._folder.prepare()
        if not await self._lock():
            return Exit.OK  # somebody else was faster
        self._begin()
        handler = Broadcast(self._host.broadcast)
        logging.getLogger().addHandler(handler)
        try:
            await self._host.serve()
            await self._until_nobody_is_left()
        finally:
            logging.getLogger().removeHandler(handler)
            await self._host.close()
        return Exit.OK

    async def _lock(self) -> bool:
        """Take the folder, unless another hub has it: then runs join that one."""
        for _ in range(LOCK_ATTEMPTS):
            if self._folder.lock():
                return True
            found = self._folder.running()
            if found is not None and found.control_port:
                break
            await asyncio.sleep(PAUSE)
        return False

    async def _until_nobody_is_left(self) -> None:
        patience = self._patience.first
        while True:
            try:
                async with asyncio.timeout(patience):
                    await self._host.left()
            except TimeoutError:
                if not self._host.visited:
                    return
            if not self._host.visited:
                patience = self._patience.empty

    @staticmethod
    def _note(line: str) -> None:
        sys.stderr.write(f"{line}\n")


class Broadcast(logging.Handler):
    """Gives log lines to the runs whose sidecars are here: they have a terminal."""

    def __init__(self, give: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._give = give
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one line on, from whichever thread it comes."""
        line = f"{record.levelname.lower()}: {record.getMessage()}"
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(self._give, line)


def main(arguments: Sequence[str]) -> int:
    """Detach from whoever started this, and host the data folder that is named."""
    (folder,) = arguments
    if os.fork():
        os._exit(0)
    os.chdir(folder)  # the folder of the run that happened to come first stays free
    configure_logging("info")
    return run_loop(Hub(Path(folder), _empty_log).run())


def _empty_log() -> None:
    """Drop what earlier hubs wrote: standard error is the log, and is appended to."""
    with contextlib.suppress(OSError):
        os.ftruncate(sys.stderr.fileno(), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
