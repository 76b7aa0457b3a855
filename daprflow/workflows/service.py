"""The worker of a running app, from its start to its end."""

import asyncio
import os
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from daprflow.workflows.options import WorkflowSettings
from daprflow.workflows.replay import Rules
from daprflow.workflows.worker import Channels, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daprflow.errors import NonDeterminismError
    from daprflow.workflows.activities import Activity
    from daprflow.workflows.instances import Instances
    from daprflow.workflows.plan import Workflows
    from daprflow.workflows.turns import TurnWatcher


class WorkPlan(Protocol):
    """What an app's worker runs."""

    @property
    def workflows(self) -> "Workflows":
        """Its workflows."""
        ...

    @property
    def activities(self) -> "Mapping[str, Activity]":
        """Its activities, by name."""
        ...


class WorkService:
    """Runs a worker inside ``async with``; gRPC and protobuf are loaded in a thread, meanwhile."""

    def __init__(
        self,
        plan: WorkPlan,
        channels: Channels,
        settings: WorkflowSettings,
        watchers: "Sequence[TurnWatcher]" = (),
    ) -> None:
        self._plan = plan
        self._watchers = watchers
        self._channels = channels
        self._settings = settings
        self._worker: Worker | None = None
        self._instances: Instances | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether work comes now."""
        return self._worker is not None and self._worker.connected.is_set()

    async def ready(self) -> None:
        """Return when work comes."""
        if self._starting is not None:
            await asyncio.wait({self._starting})
        worker = self._worker
        while worker is not None and not worker.connected.is_set():  # it may come and go at once
            await worker.connected.wait()

    def problem(self, instance: str) -> "NonDeterminismError | None":
        """Return why an instance could not go on here, the last time; None where it could."""
        return None if self._instances is None else self._instances.problem(instance)

    def stop_taking(self) -> None:
        """Take nothing more, and let what runs end, while other things still go on."""
        if self._worker is not None and self._stopping is None:
            stop = self._worker.stop()
            self._stopping = asyncio.create_task(stop, name="daprflow workflows stop")

    async def __aenter__(self) -> Self:
        self._starting = asyncio.create_task(self._start(), name="daprflow workflows start")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        starting, self._starting = self._starting, None
        if starting is not None:
            await asyncio.wait({starting})
        stopping, self._stopping = self._stopping, None
        if stopping is not None:
            await stopping
        if self._worker is not None:
            await self._worker.stop()
        if starting is not None:
            await starting

    async def _start(self) -> None:
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # before it is loaded
        working: Any = await asyncio.to_thread(import_module, "daprflow.workflows.working")
        plan, settings = self._plan, self._settings
        rules = Rules()
        if settings.watch:
            watching: Any = await asyncio.to_thread(import_module, "daprflow.workflows.watching")
            rules = Rules(watching.CallGuard(), inputs=True)
        kept = 0 if settings.replay else settings.kept
        instances = self._instances = working.Instances(plan.workflows, rules, kept)
        activities = working.Activities(plan.activities)
        work = working.Working(instances, activities, settings, self._watchers)
        self._worker = Worker(self._channels, work, settings)
        self._worker.start()
