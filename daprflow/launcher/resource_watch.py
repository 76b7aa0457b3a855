"""Following resource files while a sidecar runs: what was saved is taken once it has settled."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

from watchfiles import Change, awatch

from daprflow.sidecar.resources import Resources

logger = logging.getLogger(__name__)

SUFFIXES = (".yaml", ".yml")
DEBOUNCE_MS = 50
LOOK_AGAIN_MS = 1000
"""After how long without an event the folders are looked at all the same: some are never told."""
PAUSE = 0.1
"""Seconds without a further change after which files count as saved."""
DOUBTFUL_PAUSES = 5
"""How many such pauses what looks half-saved is given: bad, empty, or gone for a moment."""
PATIENCE = 2.0
"""Seconds of one change after another after which files without a mistake are taken as they are."""

Stamp = tuple[tuple[str, int, int], ...]


class ResourceWatch:
    """Watches the folders of a run.

    Args:
        folders: what is looked at, not what lies below.
        load: reads all files.
        apply: takes what was read; returns a line for each part that was refused.
        files: further files, wherever they lie.
        patience: how long changes may follow one another.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        load: Callable[[], Resources],
        apply: Callable[[Resources], Awaitable[Sequence[str]]],
        *,
        files: Sequence[Path] = (),
        patience: float = PATIENCE,
    ) -> None:
        self._patience = patience
        self._folders, self._files = tuple(folders), tuple(files)
        self._load = load
        self._apply = apply
        self._stamp = stamp(self._folders, self._files)

    async def run(self) -> None:
        """Take each change; one that cannot be taken leaves everything as it was."""
        logging.getLogger("watchfiles").setLevel(logging.WARNING)
        folders = {*self._folders, *(file.parent for file in self._files)}
        while True:
            watched = await asyncio.to_thread(identities, folders)
            if not watched:
                await asyncio.sleep(LOOK_AGAIN_MS / 1000)
                continue
            changes = awatch(
                *watched,
                watch_filter=_is_resource,
                debounce=DEBOUNCE_MS,
                step=20,
                rust_timeout=LOOK_AGAIN_MS,
                yield_on_timeout=True,
                recursive=False,
            )
            with contextlib.suppress(FileNotFoundError):  # it went away just now
                async for _ in changes:
                    await self._look()
                    if await asyncio.to_thread(identities, folders) != watched:
                        break  # a folder is another one, of which nothing would be heard
            await changes.aclose()

    async def _look(self) -> None:
        """Take what changed, if anything did."""
        try:
            await self._take()
        except Exception:
            logger.exception("what was saved could not be taken; everything stays as it was")

    async def _take(self) -> None:
        if await asyncio.to_thread(stamp, self._folders, self._files) == self._stamp:
            return
        resources = await self.settled()
        if resources is None:
            return
        lines = (*resources.problems, *resources.left_out)
        lines = lines or tuple(await self._apply(resources))
        for line in lines:
            logger.error("%s (refused: what ran before goes on)", line)
        if not lines:
            logger.info("the resource files were read again")

    async def settled(self) -> Resources | None:
        """Wait until nobody writes any more, or for a while; return what the files say.

        None where it is as before.
        """
        current, calm = await asyncio.to_thread(stamp, self._folders, self._files), 0
        resources = await asyncio.to_thread(self._load)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while calm < (pauses := self._pauses(current, resources)):
            if pauses == 1 and loop.time() >= deadline:
                break
            await asyncio.sleep(PAUSE)
            now = await asyncio.to_thread(stamp, self._folders, self._files)
            calm = calm + 1 if now == current else 0
            if now != current:
                current, resources = now, await asyncio.to_thread(self._load)
        changed, self._stamp = current != self._stamp, current
        return resources if changed else None

    def _pauses(self, current: Stamp, resources: Resources) -> int:
        names = {name for name, _, size in current if size}
        gone = any(name not in names for name, _, _ in self._stamp)
        return DOUBTFUL_PAUSES if gone or resources.problems or resources.left_out else 1


def stamp(folders: Sequence[Path], files: Sequence[Path] = ()) -> Stamp:
    """Return what changes when a resource file does: name, time and size of each."""
    found = []
    for file in (*_inside(folders), *files):
        try:
            status = file.stat()
        except OSError:
            continue  # it went away between the two looks
        found.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(found)


def identities(folders: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return which folders there are; one that was made anew under its name is another one."""
    found = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            status = folder.stat()
            found[folder] = (status.st_dev, status.st_ino)
    return found


def _inside(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        if folder.is_dir():
            yield from sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)


def _is_resource(_: Change, path: str) -> bool:
    return path.endswith(SUFFIXES)
