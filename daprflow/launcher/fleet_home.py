"""The data folder of several apps of one process: hosted here, or by whoever was first."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from daprflow.launcher.app_logs import AppLogs
from daprflow.launcher.folder import DataFolder, RunningApp, in_use, record
from daprflow.launcher.host import EngineHost
from daprflow.launcher.joined import JoinedRun
from daprflow.launcher.launch import Publish
from daprflow.launcher.membership import JOIN_SECONDS, PAUSE, Enter, Membership, enter
from daprflow.launcher.options import RunOptions, SidecarOptions


class FleetHome:
    """What all apps of a run have in common.

    Args:
        options: what counts for all of them.
        say: prints one line about the run.
        other: how apps come to a folder that is never hosted here; None hosts it where it is free.
    """

    def __init__(
        self, options: RunOptions, say: Callable[[str], None], other: Enter | None
    ) -> None:
        self._options = options
        self._folder = DataFolder(options.sidecar.data_dir)
        self._say = say
        self._other = other
        self._host: EngineHost | None = None
        self._turn = asyncio.Lock()
        self._locked = False
        self._running: dict[str, RunningApp] = {}

    async def open(self, app_ids: tuple[str, ...]) -> None:
        """Host the folder, unless another run does: the apps join that one then.

        Args:
            app_ids: of the apps to come, whose callers wait for them.

        Raises:
            LaunchError: the folder cannot be used.
        """
        if self._other is not None:
            return
        self._folder.prepare()
        deadline = asyncio.get_running_loop().time() + JOIN_SECONDS
        while not self._folder.lock():
            found = self._folder.running()
            if found is not None and found.control_port:
                self._other = enter
                return
            if (found is not None and found.apps) or asyncio.get_running_loop().time() > deadline:
                raise in_use(self._folder.path)
            await asyncio.sleep(PAUSE)
        base = Path.cwd()
        self._host = EngineHost(self._folder, self._options.sidecar, base, self._say)
        self._host.expect(app_ids)
        await self._host.serve()

    def entrance(self, replica: int, logs: AppLogs) -> Enter:
        """Return how an app comes to its part.

        Args:
            replica: its number among those of its app.
            logs: where its lines come to, and those of a sidecar that has no terminal.
        """

        async def come(
            folder: DataFolder, options: SidecarOptions, base: Path, say: Callable[[str], None]
        ) -> Membership:
            if self._host is not None:
                return self._host.lodge(options, base, replica)

            def heard(line: str) -> None:
                say(line)
                logs.keep(line)

            async with self._turn:  # one of them starts what the others find
                member = await (self._other or enter)(folder, options, base, heard)
            if isinstance(member, JoinedRun):
                member.introduce(replica, logs.paths)
            return member

        return come

    def absent(self, app_id: str) -> None:
        """Let nobody wait for an app that is not going to come up."""
        if self._host is not None:
            self._host.absent(app_id)

    @contextlib.contextmanager
    def hold(self, folder: DataFolder) -> Iterator[Publish]:
        """Hold the folder for an app with a real runtime; all those of this process share it.

        Raises:
            LaunchError: another run holds it.
        """
        if not self._locked:
            self._folder.prepare()
            if not self._folder.lock():
                raise in_use(folder.path)
            self._locked = True
        mine: set[str] = set()

        def publish(app: RunningApp) -> None:
            mine.add(app.app_id)
            self._running[app.app_id] = app
            self._folder.publish(record(*self._running.values()))

        try:
            yield publish
        finally:
            for app_id in mine:
                del self._running[app_id]
            if mine:
                self._folder.publish(record(*self._running.values()))

    async def linger(self) -> None:
        """Wait until nobody else uses the engine."""
        if self._host is not None:
            await self._host.linger()

    async def close(self) -> None:
        """Give the folder back."""
        if self._host is not None:
            await self._host.close()
        elif self._locked:
            self._folder.release()
