"""The engine: what all apps of one run share, namely components, time and a count of open work."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daprflow.sidecar.actors.placement import Placement
from daprflow.sidecar.actors.reminders import REMINDERS, TABLE, Reminders
from daprflow.sidecar.arrivals import Arrivals
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.components.base import Component, ComponentContext, OnePerName
from daprflow.sidecar.components.registry import COMPONENTS
from daprflow.sidecar.engine_file import FILE, EngineDatabase, EngineFile
from daprflow.sidecar.job_scheduler import JobScheduler
from daprflow.sidecar.job_store import JobStore, MemoryJobStore, SqliteJobStore
from daprflow.sidecar.runtimes import Runtimes
from daprflow.sidecar.workflows.opening import open_hub

if TYPE_CHECKING:
    from daprflow.sidecar.workflows.hub import WorkflowHub

SHARED_KINDS = frozenset({"state", "pubsub", "lock", "configuration", "crypto"})
"""Kinds whose instances hold data that several apps see; the others belong to one sidecar."""
PATHS = {"state.sqlite": "connectionstring", "crypto.dapr.localstorage": "path"}
"""Where shared components name a path, which means another one in another working folder."""


class Work:
    """Counts work in flight, so that a test can wait until nothing is left to do now."""

    __slots__ = ("_count", "_resting", "_waiters")

    def __init__(self) -> None:
        self._count = 0
        self._resting = 0
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def count(self) -> int:
        """How much is in flight; what rests is not."""
        return max(0, self._count - self._resting)

    def begin(self) -> None:
        """Note that a piece of work started."""
        self._count += 1

    def end(self) -> None:
        """Note that a piece of work ended, whatever came of it."""
        self._count -= 1
        self._tell()

    def rest(self, share: int = 1) -> None:
        """Note that so much in flight waits for the engine's clock and for nothing else."""
        self._resting += share
        self._tell()

    def resume(self, share: int = 1) -> None:
        """Note that what rested goes on."""
        self._resting -= share

    def _tell(self) -> None:
        if not self.count and self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while self.count:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter


@dataclass(frozen=True, slots=True)
class _Identity:
    """What makes two component definitions the same component."""

    name: str
    type: str
    version: str
    metadata: tuple[tuple[str, str], ...]
    owner: str
    place: str


@dataclass(slots=True)
class _Shared:
    """One component instance and how many apps use it."""

    component: Component
    opened: asyncio.Task[None]
    users: int = 0


class Engine:
    """One engine for each data folder.

    Args:
        clock: the only source of time of everything below.
        data_dir: where durable parts keep their files; None keeps everything in memory.
        base_dir: the folder relative paths in components are resolved against.

    Attributes:
        runtimes: the sidecars of this run; invocation between apps looks here.
        arrivals: the apps that are on their way up; calls on them wait.
        work: deliveries, binding events and ticks of jobs in flight.
        jobs: the jobs of all apps.
        reminders: those of all actors.
        placement: which app hosts which actors.
        database: the file of all that is durable and no component's own; None without a folder.
    """

    def __init__(self, clock: Clock, data_dir: Path | None, base_dir: Path) -> None:
        self.clock = clock
        self.data_dir = data_dir
        self.base_dir = base_dir
        self.runtimes = Runtimes()
        self.arrivals = Arrivals(clock)
        self.work = Work()
        self.database = None if data_dir is None else EngineDatabase(data_dir / FILE)
        store: JobStore = MemoryJobStore()
        if self.database is not None:
            store = SqliteJobStore(EngineFile(self.database))
        self.jobs = JobScheduler(clock, self.work, store)
        store = MemoryJobStore()
        if self.database is not None:
            store = SqliteJobStore(EngineFile(self.database), TABLE)
        scheduler = JobScheduler(clock, self.work, store, REMINDERS)
        self.reminders = Reminders(scheduler, self._remind)
        self.placement = Placement(clock, self.reminders.hosted, self.reminders.gone)
        self._workflows: asyncio.Task[WorkflowHub] | None = None
        self._shared: dict[_Identity, _Shared] = {}
        self._said: set[str] = set()

    def first_time(self, line: str) -> bool:
        """Whether a line was not said before: what concerns all apps of a run is said once."""
        known = line in self._said
        self._said.add(line)
        return not known

    async def workflows(self) -> "WorkflowHub":
        """Return the workflows of all apps, which are loaded with the first call.

        Raises:
            ComponentError: what is kept of them cannot be read.
        """
        if self._workflows is None:
            self._workflows = asyncio.get_running_loop().create_task(open_hub(self))
        opening = self._workflows
        try:
            return await asyncio.shield(opening)
        except BaseException:
            if opening.done() and self._workflows is opening:
                self._workflows = None
            raise

    @property
    def hub(self) -> "WorkflowHub | None":
        """The workflows of all apps, once they are loaded."""
        opening = self._workflows
        if opening is None or not opening.done():
            return None
        failed = opening.cancelled() or opening.exception() is not None
        return None if failed else opening.result()

    async def acquire(
        self, context: ComponentContext, factory: Callable[[ComponentContext], Component], /
    ) -> Component:
        """Return the opened component that ``context`` describes, made by ``factory`` if it is new.

        Raises:
            ComponentError: the component could not be opened; the next call tries again.
        """
        identity = _identity(context)
        shared = self._shared.get(identity)
        if shared is None:
            component = factory(context)
            if isinstance(component, OnePerName):
                component.configure(context.metadata)  # refuses what makes no sense
                identity = replace(identity, metadata=())
                self._configure(identity, context.metadata)
            shared = self._shared.get(identity) or self._opening(identity, component)
        shared.users += 1
        try:
            await asyncio.shield(shared.opened)
        except BaseException:
            shared.users -= 1
            if not shared.users:
                self._give_up(identity, shared)
            raise
        return shared.component

    def _configure(self, identity: _Identity, metadata: Mapping[str, str]) -> None:
        shared = self._shared.get(identity)
        if shared is not None and isinstance(shared.component, OnePerName):
            shared.component.configure(metadata)

    def _opening(self, identity: _Identity, component: Component) -> _Shared:
        opened = asyncio.get_running_loop().create_task(component.open())
        shared = self._shared[identity] = _Shared(component, opened)
        return shared

    def _give_up(self, identity: _Identity, shared: _Shared) -> None:
        """Forget a component that did not open and that nobody waits for any more."""
        opened = shared.opened
        if opened.done() and not opened.cancelled() and opened.exception() is None:
            return  # it is open after all; `close` will find it
        opened.cancel()
        self._shared.pop(identity, None)

    async def borrow(self, type_name: str, name: str, /) -> Component:
        """Return a component that others stand on, made without metadata; give it back once.

        Raises:
            ComponentError: it cannot be opened.
        """
        context = ComponentContext(
            name=name,
            type=type_name,
            version="v1",
            metadata={},
            app_id="",
            clock=self.clock,
            data_dir=self.data_dir,
            base_dir=self.base_dir,
            siblings=self,
        )
        return await self.acquire(context, COMPONENTS[type_name])

    async def release(self, component: Component, /) -> None:
        """Give a component back; the last user's call closes it."""
        for identity, shared in self._shared.items():
            if shared.component is component:
                shared.users -= 1
                if not shared.users:
                    del self._shared[identity]
                    await component.close()
                return

    async def _remind(
        self, kind: str, actor_id: str, name: str, data: msgspec.Raw | msgspec.UnsetType
    ) -> None:
        await self.placement.call(kind, actor_id, lambda host: host.remind(actor_id, name, data))

    async def close(self) -> None:
        """Close every runtime that is still open, then every component."""
        for runtime in self.runtimes:
            await runtime.close(0.0)
        if self._workflows is not None:
            await asyncio.wait({self._workflows})
            if not self._workflows.cancelled() and self._workflows.exception() is None:
                await self._workflows.result().close()
        await self.jobs.close()
        await self.reminders.close()
        remaining, self._shared = list(self._shared.values()), {}
        for shared in remaining:
            await shared.component.close()


def _identity(context: ComponentContext) -> _Identity:
    kind = context.type.partition(".")[0]
    type_, version = context.type, context.version
    metadata = tuple(sorted(context.metadata.items()))
    if context.stands_in and kind in SHARED_KINDS:
        built_in = f"{kind}.daprflow"
        if built_in in COMPONENTS:  # also for those who name that one
            type_, version = built_in, "v1"
        if kind != "pubsub":  # whose metadata `OnePerName` looks at
            metadata = ()
    owner = "" if kind in SHARED_KINDS else f"{context.app_id}/{context.replica}"
    return _Identity(context.name, type_, version, metadata, owner, _place(context))


def _place(context: ComponentContext) -> str:
    """Return the folder that tells components of equal definitions apart: paths start there."""
    name = PATHS.get(context.type)
    if name is None:
        return ""
    path = Path(context.metadata.get(name, "").strip().removeprefix("file:"))
    return "" if path.is_absolute() else str(context.base_dir)
