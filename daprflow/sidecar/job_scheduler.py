"""The scheduler of an engine: every app's jobs, each due tick handed to one of its sidecars."""

import asyncio
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

from daprflow.protocol.jobs import JobRequest
from daprflow.sidecar.clock import Clock, Timer
from daprflow.sidecar.job_plan import (
    JobRefused,
    Plan,
    Progress,
    begun,
    caught_up,
    failed,
    plan_of,
    succeeded,
)
from daprflow.sidecar.job_store import JobStore, StoredJob
from daprflow.sidecar.once import Once

if TYPE_CHECKING:
    from daprflow.sidecar.engine import Work

logger = logging.getLogger(__name__)

LATE = 1.0
"""Seconds after which a tick counts as missed: of several missed ones a job makes up for one."""
AWAY_PAUSE = 0.5
"""Seconds before the next try to reach an app that is not there."""
RUNNING_LIMIT = 128
"""Ticks of one app's jobs that are under way at one time."""
SLACK = 64
"""Superseded entries that the queue of due times may hold beside as many as there are jobs."""


class Outcome(Enum):
    """What came of a tick; ``AWAY`` means that it did not reach the app, and is no attempt."""

    DONE = auto()
    FAILED = auto()
    AWAY = auto()


Deliver = Callable[[StoredJob], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a scheduler keeps, as far as that differs from jobs.

    Attributes:
        limit: how many ticks of one app are under way at one time.
        describe: names one for the log.
    """

    limit: int
    describe: Callable[[StoredJob], str]


JOBS = Kind(RUNNING_LIMIT, lambda stored: f"job '{stored.name}' of '{stored.app}'")


class JobExists(Exception):  # noqa: N818 - named for what was found
    """There is a job of that name already, and it was not to be replaced."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A job that is not over; ``turn`` tells its entry in the queue from older ones.

    The plan of one that was read from the store is made for its first tick: at the start, those of
    all jobs would take long. ``away`` counts the takers in a row that a tick did not reach.
    """

    stored: StoredJob
    plan: Plan | None = None
    turn: int = 0
    away: int = 0


@dataclass(slots=True)
class _App:
    """Who takes the ticks of one app, those under way, and those that are due and wait."""

    takers: list[Deliver] = field(default_factory=list)
    running: dict[asyncio.Task[None], Deliver] = field(default_factory=dict)
    waiting: deque[_Entry] = field(default_factory=deque)
    turn: int = 0


class JobScheduler:
    """Keeps jobs and calls whoever takes an app's ticks when they are due.

    A queue ordered by due time and one timer serve all jobs. A tick that is due while nobody takes
    them waits; of several missed while the app or the sidecar was away, one is made up for.
    """

    def __init__(self, clock: Clock, work: "Work", store: JobStore, kind: Kind = JOBS) -> None:
        self._kind = kind
        self._clock = clock
        self._work = work
        self._store = store
        self._opening = Once(self._open)
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._apps: dict[str, _App] = {}
        self._queue: list[tuple[float, int, _Entry]] = []
        self._turns = itertools.count(1)
        self._next_id = 1
        self._timer: Timer | None = None
        self._timer_due = 0.0

    async def open(self) -> None:
        """Read what is kept; calling it again does nothing.

        Raises:
            ComponentError: the store cannot be used.
        """
        await self._opening.open()

    async def close(self) -> None:
        """Cut ticks that are under way, which are made up for later, and close the store."""
        if not await self._opening.end():
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        running = [task for app in self._apps.values() for task in app.running]
        self._entries.clear()  # so that nothing that ends now has anything follow
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        self._apps.clear()
        self._queue.clear()
        await self._store.close()

    # ---- jobs -----------------------------------------------------------------------------------

    async def schedule(self, app: str, name: str, job: JobRequest) -> None:
        """Keep a job; returns when it is safe.

        Raises:
            JobRefused: it has no plan.
            JobExists: the name is taken, and ``job`` does not overwrite.
            ComponentError: it could not be written; what there was before stays.
        """
        now, key = self._clock.now(), (app, name)
        plan = plan_of(job, now)
        before = self._entries.get(key)
        if before is not None and not job.overwrite:
            raise JobExists(name)
        progress = begun(plan)
        if progress is None:  # it expires before its first tick
            await self.delete(app, name)
            return
        entry = _Entry(StoredJob(self._next_id, app, name, job, now, progress), plan)
        self._next_id += 1
        self._entries[key] = entry
        try:
            await self._store.put(entry.stored)
        except BaseException:
            self._put_back(key, entry, before)
            raise
        if self._entries.get(key) is entry:
            self._enqueue(entry, entry.stored.progress.due)

    def find(self, app: str, name: str) -> StoredJob | None:
        """Return a job that is not over."""
        entry = self._entries.get((app, name))
        return None if entry is None else entry.stored

    def of_app(self, app: str) -> list[StoredJob]:
        """Return every job of an app that is not over."""
        return [entry.stored for (owner, _), entry in self._entries.items() if owner == app]

    async def delete(self, app: str, name: str) -> None:
        """Forget a job; a missing one is no error.

        Raises:
            ComponentError: it could not be written; the job stays.
        """
        entry = self._entries.pop((app, name), None)
        if entry is None:
            return
        try:
            await self._store.remove(entry.stored)
        except BaseException:
            self._put_back((app, name), None, entry)
            raise

    def _put_back(self, key: tuple[str, str], new: _Entry | None, old: _Entry | None) -> None:
        """Restore what a write that failed would have replaced, unless that has changed since."""
        if self._entries.get(key) is not new:
            return
        self._entries.pop(key, None)
        if old is not None:
            self._entries[key] = old
            self._enqueue(old, old.stored.progress.due)

    # ---- who takes ticks ------------------------------------------------------------------------

    def attach(self, app_id: str, deliver: Deliver) -> None:
        """Hand the ticks of an app to ``deliver``, in turn with others, first those that wait."""
        app = self._app(app_id)
        app.takers.append(deliver)
        if len(app.takers) == 1:
            now = self._clock.now()
            for entry in app.waiting:
                self._make_up(entry, now)
            self._pump(app)

    async def detach(self, app_id: str, deliver: Deliver) -> None:
        """Hand no more ticks to ``deliver`` and wait for those it has."""
        app = self._app(app_id)
        if deliver in app.takers:
            app.takers.remove(deliver)
        running = [task for task, taker in app.running.items() if taker == deliver]
        if running:
            await asyncio.wait(running)

    def _app(self, app_id: str) -> _App:
        return self._apps.setdefault(app_id, _App())

    # ---- time -----------------------------------------------------------------------------------

    async def _open(self) -> None:
        for stored in await self._store.open():
            self._next_id = max(self._next_id, stored.id + 1)
            entry = _Entry(stored)
            self._entries[stored.app, stored.name] = entry
            entry.turn = next(self._turns)
            self._queue.append((stored.progress.due, entry.turn, entry))
        heapq.heapify(self._queue)
        self._arm()

    def _enqueue(self, entry: _Entry, due: float) -> None:
        entry.turn = next(self._turns)
        heapq.heappush(self._queue, (due, entry.turn, entry))
        if len(self._queue) > 2 * len(self._entries) + SLACK:
            self._queue = [item for item in self._queue if self._is_current(item)]
            heapq.heapify(self._queue)
        self._arm()

    def _is_current(self, item: tuple[float, int, _Entry]) -> bool:
        _, turn, entry = item
        return turn == entry.turn and self._is_alive(entry)

    def _is_alive(self, entry: _Entry) -> bool:
        return self._entries.get((entry.stored.app, entry.stored.name)) is entry

    def _arm(self) -> None:
        """Have the timer go off when the first tick is due."""
        while self._queue and not self._is_current(self._queue[0]):
            heapq.heappop(self._queue)
        if self._timer is not None:
            if self._queue and self._timer_due == self._queue[0][0]:
                return
            self._timer.cancel()
            self._timer = None
        if self._queue:
            self._timer_due = self._queue[0][0]
            self._timer = self._clock.call_at(self._timer_due, self._come_due)

    def _come_due(self) -> None:
        """Take up every tick that is due by now."""
        self._timer = None
        now = self._clock.now()
        apps: dict[str, _App] = {}
        while self._queue and self._queue[0][0] <= now:
            item = heapq.heappop(self._queue)
            if not self._is_current(item):
                continue
            entry = item[2]
            self._make_up(entry, now)
            app = apps[entry.stored.app] = self._app(entry.stored.app)
            app.waiting.append(entry)
        for app in apps.values():
            self._pump(app)
        self._arm()

    def _make_up(self, entry: _Entry, now: float) -> None:
        """Leave out all missed ticks but one."""
        progress = entry.stored.progress
        if now - progress.due > LATE and (plan := self._plan(entry)) is not None:
            entry.stored.progress = caught_up(plan, progress, now)

    def _plan(self, entry: _Entry) -> Plan | None:
        """Return a job's plan; None for one in the store that cannot be read, which is put by."""
        if entry.plan is None:
            stored = entry.stored
            try:
                entry.plan = plan_of(stored.job, stored.begin)
            except JobRefused as error:
                logger.error("%s is not run: %s", self._kind.describe(stored), error)  # noqa: TRY400 - the text says it all
                self._entries.pop((stored.app, stored.name), None)
        return entry.plan

    # ---- ticks ----------------------------------------------------------------------------------

    def _pump(self, app: _App) -> None:
        """Start as many of the waiting ticks as there is room for."""
        while app.waiting and app.takers and len(app.running) < self._kind.limit:
            entry = app.waiting.popleft()
            if not self._is_alive(entry) or (plan := self._plan(entry)) is None:
                continue
            app.turn += 1
            deliver = app.takers[app.turn % len(app.takers)]
            # Counted at once, not when the loop gets to it: a test must not see a gap.
            self._work.begin()
            task = asyncio.get_running_loop().create_task(self._run(app, entry, plan, deliver))
            app.running[task] = deliver
            task.add_done_callback(partial(self._ended, app))

    def _ended(self, app: _App, task: asyncio.Task[None]) -> None:
        app.running.pop(task, None)
        self._pump(app)
        self._work.end()

    async def _run(self, app: _App, entry: _Entry, plan: Plan, deliver: Deliver) -> None:
        """Make one call and note what follows from it."""
        stored, started = entry.stored, self._clock.now()
        try:
            outcome = await deliver(stored)
        except Exception:
            logger.exception("handing over a tick of %s failed", self._kind.describe(stored))
            outcome = Outcome.FAILED
        if not self._is_alive(entry):
            return  # replaced or deleted meanwhile
        if outcome is Outcome.AWAY:
            entry.away += 1
            if deliver in app.takers and entry.away >= len(app.takers):
                entry.away = 0
                self._enqueue(entry, self._clock.now() + AWAY_PAUSE)
            else:
                app.waiting.append(entry)
            return
        entry.away = 0
        self._go_on(app, entry, self._after(entry.stored, plan, outcome, started))

    def _go_on(self, app: _App, entry: _Entry, progress: Progress | None) -> None:
        stored = entry.stored
        if progress is None:
            del self._entries[stored.app, stored.name]
            self._store.finish(stored)
            return
        stored.progress = progress
        self._store.note(stored)
        if progress.due > self._clock.now():
            self._enqueue(entry, progress.due)
        else:  # the call took longer than the pause to the next, which was not missed for that
            app.waiting.append(entry)

    def _after(
        self, stored: StoredJob, plan: Plan, outcome: Outcome, started: float
    ) -> Progress | None:
        """Return what follows a call that began at ``started``; None where it is over."""
        if outcome is Outcome.DONE:
            return succeeded(plan, stored.progress)
        progress = failed(plan, stored.progress, started)
        if progress is None or not progress.attempts:
            logger.warning(
                "a tick of %s is given up after %d failed calls",
                self._kind.describe(stored),
                stored.progress.attempts + 1,
            )
        return progress
