"""The order in which workflows are written to state stores, and read from there."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING

from daprflow.sidecar.components.base import ComponentError, EtagConflict
from daprflow.sidecar.engine_file import EngineFile
from daprflow.sidecar.workflows.component_home import ComponentHome
from daprflow.sidecar.workflows.stored_instance import StoredInstance, Writes

if TYPE_CHECKING:
    from daprflow.sidecar.workflows.store import Changes

Read = Callable[[], Awaitable[None]]
Lane = ComponentHome | None
"""A place that is written to; None is the engine's own."""
UNSAFE = "what it rests on could not be written"


class _Save:
    """Changes that wait, and what is to be written for them, by place."""

    def __init__(self, changes: "Changes") -> None:
        self.changes = changes
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.writes: dict[ComponentHome, Writes] = {}
        for kept in changes.kept:
            kept.stage(self.writes.setdefault(kept.home, {}))

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Where it goes, in order: what others are told, then what became of the instance itself.

        That is the first one in the changes. A step that is cut off in between is done again, and
        whoever was told of it already is not told twice.
        """
        lanes: list[Lane] = [*reversed(self.writes)]
        if self.changes.is_mixed:
            lanes.insert(len(lanes) if self.changes.is_own else 0, None)
        return tuple(lanes)

    def fail(self, error: Exception) -> None:
        """Note that it was not written."""
        for kept in self.changes.kept:
            kept.broken = True
        if not self.future.done():
            self.future.set_exception(error)


class _Batch:
    """What goes to the same places at one time."""

    def __init__(self, lanes: frozenset[Lane], before: Collection["_Batch"]) -> None:
        self.lanes = lanes
        self.before = before
        self.begun = False
        self.saves: list[_Save] = []
        self.reads: list[Read] = []
        self.done = asyncio.Event()


class Lanes:
    """Writes and reads of each place happen in the order in which they were asked for.

    What waits for the same place is written together. Each write goes to the state stores first and
    is noted in the engine's file then: whoever is told that it is kept finds it in both.

    Args:
        file: the engine's.
    """

    def __init__(self, file: EngineFile) -> None:
        self._file = file
        self._last: dict[Lane, _Batch] = {}
        self._running: set[asyncio.Task[None]] = set()

    @property
    def engine_waits(self) -> bool:
        """Whether something that is the engine's waits for a state store."""
        return None in self._last

    def save(self, changes: "Changes") -> asyncio.Future[None]:
        """Hand changes over; see `WorkflowStore.commit`."""
        save = _Save(changes)
        lanes = frozenset(save.lanes)
        batch = self._last.get(next(iter(lanes)))
        joins = len(lanes) == 1 and batch is not None and not batch.begun and not batch.reads
        if not joins or batch is None or batch.lanes != lanes:
            batch = self._add(lanes)
        batch.saves.append(save)
        return save.future

    async def read(self, home: ComponentHome, read: Read) -> None:
        """Do a read after what was handed over before, and before all that is later."""
        batch = self._last.get(home)
        if batch is None or batch.begun or batch.saves or len(batch.lanes) > 1:
            batch = self._add(frozenset((home,)))
        batch.reads.append(read)
        await batch.done.wait()

    async def rest(self, home: ComponentHome | None = None) -> None:
        """Wait until everything is done that was asked for, at one place or at all."""
        if home is None:
            while self._running:
                await asyncio.wait(self._running)
        elif home in self._last:
            await self._last[home].done.wait()

    def _add(self, lanes: frozenset[Lane]) -> _Batch:
        before = {self._last[lane] for lane in lanes if lane in self._last}
        batch = _Batch(lanes, before)
        for lane in lanes:
            self._last[lane] = batch
        task = asyncio.get_running_loop().create_task(self._run(batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return batch

    async def _run(self, batch: _Batch) -> None:
        for other in batch.before:
            await other.done.wait()
        batch.before = ()
        batch.begun = True
        try:
            if batch.reads:
                await asyncio.gather(*(read() for read in batch.reads))
            else:
                await self._save_all(batch.saves)
        finally:
            for lane in batch.lanes:
                if self._last.get(lane) is batch:
                    del self._last[lane]
            batch.done.set()

    async def _save_all(self, saves: Sequence[_Save]) -> None:
        """Write together; where somebody else wrote meanwhile, one by one."""
        sound = [save for save in saves if not _fail_unsafe(save)]
        try:
            await self._write(sound)
        except EtagConflict as conflict:
            if len(sound) == 1:
                sound[0].fail(conflict)
                return
            for save in sound:
                if not _fail_unsafe(save):
                    await self._save_all((save,))
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            for save in sound:
                save.fail(error)
        else:
            for save in sound:
                if not save.future.done():
                    save.future.set_result(None)

    async def _write(self, saves: Sequence[_Save]) -> None:
        if not saves:
            return
        lanes = saves[0].lanes
        if None not in lanes:
            lanes = (*lanes, None)
        for lane in lanes:
            if lane is None:
                noted = [save.changes.apply for save in saves if save.changes.is_noted]
                await asyncio.gather(*map(self._file.submit, noted))
                continue
            writes: Writes = {}
            kept: dict[StoredInstance, None] = {}
            for save in saves:
                writes.update(save.writes[lane])
                kept.update((each, None) for each in save.changes.kept if each.home is lane)
            await lane.save(writes, tuple(kept))


def _fail_unsafe(save: _Save) -> bool:
    """Give up what rests on a write that failed."""
    if any(kept.broken for kept in save.changes.kept):
        save.fail(ComponentError(UNSAFE))
        return True
    return False
