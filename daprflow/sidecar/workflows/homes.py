"""Which apps have their workflows in state stores of their own, and how those come to memory."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.workflows.alarms import Key
from daprflow.sidecar.workflows.component_home import ComponentHome, Found
from daprflow.sidecar.workflows.instance import Instance
from daprflow.sidecar.workflows.problems import NoStore, StoreProblem, WorkflowProblem
from daprflow.sidecar.workflows.store import Arrival, Changes, Noted, Row
from daprflow.sidecar.workflows.stored_instance import StoredInstance

if TYPE_CHECKING:
    from daprflow.sidecar.workflows.hub import WorkflowHub

logger = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds before an instance is read again that could not be."""
AT_ONCE = 100
"""Instances that are read together when an app comes."""


class _Nowhere:
    """An app whose workflows nobody can get at for now."""

    def __init__(self, problem: Callable[[], Exception]) -> None:
        self.problem = problem


Place = ComponentHome | _Nowhere
NOWHERE = _Nowhere(NoStore)
"""The place of an app whose files name no state store that may hold workflows."""


class Homes:
    """Apps whose workflows are not in the engine's own tables.

    What is in the engine's tables is read at once, what is in a state store is not: it is fetched
    first, and found in memory then as long as the caller holds what it got.

    Args:
        hub: has the instances.
    """

    def __init__(self, hub: "WorkflowHub") -> None:
        self._hub = hub
        self._places: dict[str, Place] = {}
        self._known: WeakValueDictionary[Key, Instance] = WeakValueDictionary()
        self._visits: set[asyncio.Task[None]] = set()
        self._noting: set[asyncio.Future[None]] = set()
        self._moving = asyncio.Lock()

    def open(self) -> None:
        """Note which apps had a place of their own before; until they come it is unknown."""
        for app_id in self._hub.store.apps_elsewhere():
            self._places[app_id] = _away(app_id)

    async def close(self) -> None:
        """Read nothing more, and end when all is written."""
        visits = list(self._visits)
        for visit in visits:
            visit.cancel()
        if visits:
            await asyncio.wait(visits)
        await self._hub.store.lanes.rest()

    @property
    def is_plain(self) -> bool:
        """Whether all workflows are in the engine's tables."""
        return not self._places

    def has(self, app_id: str) -> bool:
        """Whether an app's workflows are somewhere else than in the engine's tables."""
        return app_id in self._places

    def known(self, app_id: str, instance_id: str) -> Instance | None:
        """Return an instance that was fetched and is still held."""
        found = self._known.get((app_id, instance_id))
        if found is not None and found.execution.completed is None and not found.gone:
            self._hub.live[found.key] = found  # it may have left memory while somebody held it
        return found

    def forget(self, key: Key) -> None:
        """Note that an instance is not to be found any more."""
        self._known.pop(key, None)

    def keep(self, app_id: str, instance_id: str, received: bytes | None) -> StoredInstance | None:
        """Return the place of a new instance; None for the engine's tables."""
        home = self._places.get(app_id)
        return (
            StoredInstance(home, instance_id, received) if isinstance(home, ComponentHome) else None
        )

    def ids(self, app_id: str, after: int, limit: int) -> list[tuple[int, str]]:
        """Return a page of an app's instances; see `WorkflowStore.ids`.

        Raises:
            WorkflowProblem: it has no place for them.
            ComponentError: nobody can get at them for now.
        """
        home = self._at(app_id)
        if home is None:
            return self._hub.store.ids(app_id, after, limit)
        return self._hub.store.noted_ids(home.name, app_id, after, limit)

    def check(self, app_id: str) -> None:
        """See that an app's workflows can be got at.

        Raises:
            WorkflowProblem: it has no place for them.
            ComponentError: nobody can get at them for now.
        """
        self._at(app_id)

    def _at(self, app_id: str) -> ComponentHome | None:
        place = self._places.get(app_id)
        if isinstance(place, _Nowhere):
            raise place.problem()
        return place

    # ---- reading --------------------------------------------------------------------------------

    async def fetch(self, *keys: Key) -> Sequence[Instance]:
        """Have instances in memory that are in state stores, while the caller holds them.

        Raises:
            WorkflowProblem: an app has no place for them.
            ComponentError: a store cannot be read.
        """
        if not self._places:
            return ()
        found: list[Instance] = []
        await asyncio.gather(*(self._fetch(key, found) for key in self._missing(keys, found)))
        return found

    def _missing(self, keys: Collection[Key], found: list[Instance]) -> list[Key]:
        """Return what is to be read; what is live already is known from now on."""
        missing = []
        for key in dict.fromkeys(keys):
            if self._at(key[0]) is None:
                continue
            live = self._hub.live.get(key)
            if live is None:
                missing.append(key)
            else:
                self._known[key] = live
                found.append(live)
        return missing

    async def fetch_tree(self, *keys: Key) -> Sequence[Instance]:
        """Have instances in memory with all child workflows below them; see `fetch`.

        Raises:
            WorkflowProblem: an app has no place for them.
            ComponentError: a store cannot be read.
        """
        if not self._places:
            return ()
        held: list[Instance] = []
        seen: set[Key] = set()
        wanted = set(keys)
        while wanted:
            seen |= wanted
            held += await self.fetch(*wanted)
            level, wanted = wanted, set()
            for key in level:
                parent = self._hub.find(*key)
                for child in () if parent is None else parent.execution.descended.values():
                    wanted.add((child.app_id or key[0], child.instance_id))
            wanted -= seen
        return held

    async def _fetch(self, key: Key, found: list[Instance]) -> None:
        home = self._at(key[0])
        if home is None:
            return
        problem: Exception | None = None

        async def look() -> None:
            nonlocal problem
            try:
                there = await home.load(key[1])
            except Exception as error:  # noqa: BLE001 - raised below, where it is asked for
                problem = error
                return
            instance = self._take_in(home, key, there)
            if instance is not None:
                found.append(instance)

        await self._hub.store.lanes.read(home, look)
        if isinstance(problem, ComponentError):
            raise StoreProblem(str(problem)) from problem
        if problem is not None:
            raise problem

    def _take_in(self, home: ComponentHome, key: Key, found: Found | None) -> Instance | None:
        """Put into memory what was read, unless it is there."""
        hub = self._hub
        if self._places.get(key[0]) is not home:
            return None
        instance = hub.live.get(key)
        if instance is None and found is not None:
            instance = self._restored(home, key, found)
            hub.take_in(instance)
            self._correct(instance)
        if instance is None:
            self._known.pop(key, None)
        else:
            self._known[key] = instance
        return instance

    def _restored(self, home: ComponentHome, key: Key, found: Found) -> Instance:
        store = self._hub.store
        note = store.note(home.name, *key)
        inbox = [Arrival(store.next_key(), event) for event in found.inbox]
        kept = StoredInstance(home, key[1], found.received)
        kept.found(found, [arrival.key for arrival in inbox])
        row_id = store.next_row() if note is None else note.id
        if note is not None:
            kept.wake = note.wake
        row = Row(row_id, *key, found.extent.generation, found.custom, found.received, kept)
        instance = Instance(row)
        instance.restore(found.steps(), inbox)
        if note is None:
            if instance.execution.completed is not None:
                instance.kept_until = self._hub.steps.kept_until(instance)
                self._hub.alarms.set(key, instance.kept_until)
            changes = Changes()
            changes.index(row, kept, instance.wake())
            self._note(changes, key)
        return instance

    def _correct(self, instance: Instance) -> None:
        """Have it noted when an instance is to be woken, if that got lost."""
        kept = instance.row.kept
        if kept is None or instance.execution.completed is not None:
            return
        changes = Changes()
        changes.wake(instance.row, kept, instance.wake())
        if changes.is_noted:
            self._note(changes, instance.key)

    def _note(self, changes: Changes, key: Key) -> None:
        """Note when an instance is to be woken; what fails of that its app's next coming mends."""

        def noted(done: asyncio.Future[None]) -> None:
            self._noting.discard(done)
            if not done.cancelled() and (error := done.exception()) is not None:
                logger.warning("what workflow '%s' waits for could not be noted: %s", key[1], error)

        future = self._hub.store.commit(changes)
        self._noting.add(future)
        future.add_done_callback(noted)

    def visit(self, key: Key, call: Callable[[Key], object]) -> None:
        """Call for an instance when it is in memory, if it must come there first."""
        if not self.has(key[0]) or key in self._hub.live or key in self._known:
            call(key)
            return
        if not isinstance(self._places[key[0]], ComponentHome):
            return  # it is taken up when its app comes
        self._hub.work.begin()
        visit = asyncio.get_running_loop().create_task(self._visit(key, call))
        self._visits.add(visit)
        visit.add_done_callback(self._visited)

    def _visited(self, visit: asyncio.Task[None]) -> None:
        self._visits.discard(visit)
        self._hub.work.end()

    async def _visit(self, key: Key, call: Callable[[Key], object]) -> None:
        try:
            held = await self.fetch(key)
        except (ComponentError, WorkflowProblem) as error:
            logger.error("workflow '%s' could not be read: %s", key[1], error)  # noqa: TRY400 - the text says all
            if self.has(key[0]):
                self._hub.alarms.set(key, self._hub.clock.now() + RETRY)
            return
        call(key)
        del held

    # ---- apps -----------------------------------------------------------------------------------

    async def attach(self, app_id: str, place: Place | None) -> None:
        """Note where an app has its workflows from now on, and take up what is to be done there.

        What it has somewhere else rests until that is its place again; what was to begin there, and
        did not, comes along.

        Args:
            app_id: the app.
            place: None for the engine's own tables.

        Raises:
            ComponentError: a state store cannot be read; then nobody can get at them.
        """
        if place is None and app_id not in self._places:
            return
        async with self._moving:
            before = self._places.get(app_id)
            if _is_same(before, place):
                return
            pending = await self._leave(app_id)
            if place is None:
                del self._places[app_id]
                for ready in self._hub.store.ready(app_id):
                    self._hub.expect((app_id, ready.instance_id), ready.wake)
                return
            self._places[app_id] = place
            if isinstance(place, ComponentHome):
                try:
                    await self._take_up(place)
                    await self._move(place, pending)
                except BaseException:
                    self._places[app_id] = _away(app_id)
                    raise

    async def detach(self, app_id: str) -> None:
        """Note that an app and its state store are gone for now."""
        if isinstance(self._places.get(app_id), ComponentHome):
            async with self._moving:
                await self._leave(app_id)
                self._places[app_id] = _away(app_id)

    async def _leave(self, app_id: str) -> Sequence[Instance]:
        """Forget what is in memory of an app; returns what never began in the engine's tables."""
        hub, place = self._hub, self._places.get(app_id)
        pending: list[Instance] = []
        if isinstance(place, ComponentHome):
            await hub.store.lanes.rest(place)
        for instance in [each for each in hub.live.values() if each.row.app_id == app_id]:
            await instance.settled()
            if not instance.gone:
                hub.forget(instance)
        if not isinstance(place, ComponentHome):
            for ready in hub.store.ready(app_id):
                row = hub.store.find(app_id, ready.instance_id)
                if row is not None and not hub.store.history(row.id):
                    instance = Instance(row)
                    instance.restore((), hub.store.inbox(row.id))
                    pending.append(instance)
        for key in [key for key in self._known if key[0] == app_id]:
            del self._known[key]
        hub.alarms.drop(app_id)
        return pending

    async def _take_up(self, home: ComponentHome) -> None:
        """Compare what the engine knows of a state store with what is there, and go on with it.

        There may be less: then it was deleted by others. There may be more: the engine's file is
        new, or was not written any more before everything ended.
        """
        hub, app_id = self._hub, home.app_id
        notes = {note.instance_id: note for note in hub.store.noted(home.name, app_id)}
        listed = await home.listed()
        if listed is not None:
            lost = [notes.pop(name) for name in [*notes] if name not in listed]
            await hub.store.forget_notes([note.id for note in lost])
        now = hub.clock.now()
        urgent = [
            (app_id, name)
            for name in (notes if listed is None else listed)
            if _is_urgent(notes.get(name), 0 if listed is None else listed[name], now)
        ]
        due = {(app_id, each.instance_id) for each in notes.values() if 0 < (each.wake or 0) <= now}
        for start in range(0, len(urgent), AT_ONCE):
            await self._take_up_some(urgent[start : start + AT_ONCE], due)
        for note in notes.values():
            if note.wake and note.wake > now and (app_id, note.instance_id) not in hub.live:
                hub.expect((app_id, note.instance_id), note.wake)
        if self._noting:
            await asyncio.wait(self._noting)

    async def _take_up_some(self, keys: Sequence[Key], due: Collection[Key]) -> None:
        hub = self._hub
        held: Sequence[Instance] = ()
        with contextlib.suppress(ComponentError):  # each is tried alone then, and tells of itself
            held = await self.fetch(*keys)
        for key in keys:
            self.visit(key, hub.ring if key in due else hub.take_up)
        del held

    async def _move(self, home: ComponentHome, pending: Sequence[Instance]) -> None:
        """Bring along what was to begin and did not, as its app had no place yet."""
        hub = self._hub
        held = await self.fetch(*(instance.key for instance in pending))
        for old in pending:
            changes = Changes()
            changes.drop(old.row)
            if hub.find(*old.key) is None:
                kept = StoredInstance(home, old.row.instance_id, old.row.received)
                row = Row(old.row.id, *old.key, 0, None, old.row.received, kept)
                new = Instance(row)
                changes.insert(row, old.begins_at())
                for waiting in old.inbox:
                    key = hub.store.next_key()
                    new.arrive(waiting.event, key)
                    changes.arrive(row, Arrival(key, waiting.event.SerializeToString()))
                hub.live[new.key] = new
                await hub.commit(new, changes)
                hub.pump(new)
            else:
                await hub.store.commit(changes)
        del held


def _away(app_id: str) -> _Nowhere:
    text = f"app '{app_id}' does not run, and its workflows are in a state store of its own"
    return _Nowhere(lambda: StoreProblem(text))


def _is_same(one: Place | None, other: Place | None) -> bool:
    if isinstance(one, ComponentHome) and isinstance(other, ComponentHome):
        return one.name == other.name and one.store is other.store
    return one is other


def _is_urgent(note: Noted | None, waiting: int, now: float) -> bool:
    """Tell whether an instance is to be looked at when its app comes."""
    return note is None or bool(waiting) or (note.wake is not None and note.wake <= now)
