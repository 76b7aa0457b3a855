"""Resource files under a real runtime: starting it alone anew where it does not follow them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from daprflow.launcher.exits import LaunchError
from daprflow.launcher.resource_watch import ResourceWatch, stamp
from daprflow.sidecar.resources import Resources, check_syntax

FOLLOWS = (1, 18)
"""The release from which on a runtime follows its folders by itself, whatever the kind."""
BLAMED = 30.0
"""Seconds after a change in which a runtime's end is put down to it."""


class DaprdReload:
    """Keeps a runtime in step with its files; the app stays up meanwhile.

    Args:
        folders: the user's resource folders.
        files: what ``--config`` names.
        follows: whether this release follows the folders by itself.
        restart: starts the runtime anew; raises `LaunchError` where it ends at once.
        say: prints one line.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        files: Sequence[Path],
        *,
        follows: bool,
        restart: Callable[[], Awaitable[None]],
        say: Callable[[str], None],
    ) -> None:
        self._folders, self._files = tuple(folders), tuple(files)
        self._follows = follows
        self._restart = restart
        self._say = say
        self._turn = asyncio.Lock()
        self._down = False
        self._before = stamp(self._folders, self._files)
        self._configured = stamp((), self._files)
        self._changed_at = float("-inf")
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch, where there is anything to watch."""
        if self._folders or self._files:
            watch = ResourceWatch(self._folders, self._read, self._take, files=self._files)
            self._watching = asyncio.create_task(watch.run())

    async def close(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    def blames_a_change(self) -> bool:
        """Tell whether the runtime, which just ended, did so over a file that was saved."""
        if self._watching is None:
            return False
        now = asyncio.get_running_loop().time()
        return now - self._changed_at < BLAMED or stamp(self._folders, self._files) != self._before

    async def revive(self, obituary: str) -> None:
        """Start a runtime that a saved file ended; where it ends again the next change counts."""
        self._say(f"{obituary}\na resource file was saved just before; the app stays up")
        async with self._turn:
            await self._start_anew("starting daprd again")

    def _read(self) -> Resources:
        return Resources(problems=check_syntax(self._folders))

    async def _take(self, _: Resources) -> Sequence[str]:
        self._changed_at = asyncio.get_running_loop().time()
        async with self._turn:
            self._before = stamp(self._folders, self._files)
            configured = stamp((), self._files)
            other, self._configured = configured != self._configured, configured
            if self._down or other or not self._follows:
                await self._start_anew("resource files changed: starting daprd anew")
        return ()

    async def _start_anew(self, why: str) -> None:
        self._say(why)
        try:
            await self._restart()
            self._down = False
        except LaunchError as error:
            self._down = True
            self._say(f"{error}\ndaprd starts again when a resource file is changed")
