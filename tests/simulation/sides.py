"""One life of a sidecar, and one life of a worker: the real parts, put together without sockets."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from daprflow.handlers.handler import Delivery
from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.fault import Fault
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine import Work
from daprflow.sidecar.grpc_api.call import GrpcCall
from daprflow.sidecar.grpc_api.task_hub import METHODS
from daprflow.sidecar.workflows.hub import WorkflowHub
from daprflow.sidecar.workflows.management import Workflows
from daprflow.sidecar.workflows.store import WorkflowStore
from daprflow.transports.grpc import AioRpcError
from daprflow.workflows.activities import Activities
from daprflow.workflows.instances import Instances
from daprflow.workflows.options import WorkflowSettings
from daprflow.workflows.plan import Workflows as Code
from daprflow.workflows.replay import Rules
from daprflow.workflows.worker import Worker
from daprflow.workflows.working import Working
from tests.simulation.code import ACTIVITY
from tests.simulation.disk import SimulatedWriter, file_of
from tests.simulation.wire import Answering, Channel, Channels, StreamCall, refusal

BODY_LIMIT = 4 << 20
_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class _Options:
    """Those of a sidecar's options that its task hub looks at."""

    max_body_size: int = BODY_LIMIT


class _Block:
    """An app's workflows, as the task hub gets at them; they are in the engine's own tables."""

    def __init__(self, app_id: str, sidecar: "Sidecar") -> None:
        self._app_id = app_id
        self._sidecar = sidecar

    async def api(self, app_id: str = "") -> Workflows:
        """Return what clients can do."""
        hub = await self._sidecar.workflows()
        return hub.of_app(app_id or self._app_id, "default")

    async def complete_turn(self, response: wf.WorkflowResponse) -> None:
        """Take what a worker answered to a turn."""
        hub = await self._sidecar.workflows()
        await hub.steps.complete_turn(self._app_id, response)

    async def complete_task(self, response: wf.ActivityResponse) -> None:
        """Take what a worker answered to an activity."""
        hub = await self._sidecar.workflows()
        await hub.steps.complete_task(self._app_id, response)


class _Context:
    """What the task hub asks the library for: metadata, which nobody sends here."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what came before the message."""
        return ()


class _Runtime:
    """An app's sidecar, as the task hub sees it."""

    def __init__(self, app_id: str, sidecar: "Sidecar") -> None:
        self.app_id = app_id
        self.replica = 1
        self.options = _Options()
        self.workflows = _Block(app_id, sidecar)


@dataclass(slots=True, eq=False)
class Link:
    """A stream between a worker and a sidecar, and what travels on it."""

    app: str
    call: StreamCall
    task: "asyncio.Task[None] | None" = None
    items: deque[bytes | AioRpcError] = field(default_factory=deque)
    broken: bool = False


class Sidecar:
    """The engine from one start to its end, and its service.

    Args:
        image: what is on the disk.
        now: the time of the start.
        reply: called with who asked, and the answer or an error, when there is one.
    """

    def __init__(
        self, image: bytes, now: float, reply: Callable[[Answering, bytes | AioRpcError], None]
    ) -> None:
        self.clock = VirtualClock(now)
        self.work = Work()
        self.writer = SimulatedWriter(image)
        self.hub = WorkflowHub(self.clock, self.work, WorkflowStore(file_of(self.writer)))
        self.alive = True
        self.problem: BaseException | None = None
        self.asking: dict[Answering, None] = {}
        self._reply = reply
        self._runtimes: dict[str, _Runtime] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}

    async def workflows(self) -> WorkflowHub:
        """Return the hub, once it is open."""
        await self.hub.open()
        return self.hub

    def serve(self, app: str, method: str, data: bytes, caller: Answering) -> None:
        """Take a request."""
        _ = self._begin(self._serve(app, method, data, caller))

    def stream(self, link: Link, data: bytes, sent: Callable[[Link, bytes], None]) -> None:
        """Take a request for work."""
        link.task = self._begin(self._stream(link, data, sent))

    def crash(self) -> bytes:
        """Be gone; return what is on the disk."""
        self.alive = False
        image = self.writer.crash()
        self.hub.alarms.close()
        for task in list(self._tasks):
            task.cancel()
        if (opening := self.hub._opening._task) is not None:
            opening.cancel()
        return image

    async def close(self) -> bytes:
        """End as a sidecar does that is stopped; return what is on the disk."""
        await self.hub.close()
        return self.crash() if self.alive else b""

    def _begin(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(task, None)
        if self.alive and not task.cancelled():
            self.problem = self.problem or task.exception()

    def _runtime(self, app: str) -> _Runtime:
        if app not in self._runtimes:
            self._runtimes[app] = _Runtime(app, self)
        return self._runtimes[app]

    async def _serve(self, app: str, name: str, data: bytes, caller: Answering) -> None:
        method = METHODS[name]
        handler: Any = method.handler
        call = GrpcCall(self._runtime(app), _Context())  # type: ignore[arg-type]  # all that is used
        self.asking[caller] = None
        try:
            answer = await handler(call, method.request.FromString(data))
        except (Fault, ComponentError) as error:
            self._answer(caller, _error(error))
        else:
            self._answer(caller, answer.SerializeToString())

    def _answer(self, caller: Answering, answer: bytes | AioRpcError) -> None:
        if self.alive and caller in self.asking:
            self._reply(caller, answer)

    async def _stream(self, link: Link, data: bytes, sent: Callable[[Link, bytes], None]) -> None:
        method = METHODS["GetWorkItems"]
        handler: Any = method.handler
        call = GrpcCall(self._runtime(link.app), _Context())  # type: ignore[arg-type]  # as above
        items = handler(call, method.request.FromString(data))
        try:
            async for item in items:
                sent(link, item.SerializeToString())
        except (Fault, ComponentError) as error:
            link.items.append(_error(error))
        finally:
            await items.aclose()


def _error(error: Fault | ComponentError) -> AioRpcError:
    code = error.grpc if isinstance(error, Fault) else grpc.StatusCode.INTERNAL.value[0]
    return refusal(_CODES[int(code)], str(error))


class Failing(Exception):  # noqa: N818 - the name of a failure
    """What activities raise."""


class Final(Exception):  # noqa: N818 - likewise
    """What activities raise when nobody shall try again."""


@dataclass(frozen=True, slots=True)
class _Activity:
    """An activity that a function of the world does."""

    call: Callable[[Delivery], Any]


class WorkerLife:
    """A worker from one start to its end.

    Args:
        app: whose it is.
        channel: the way to the sidecar.
        workflows: the code.
        act: does the activities.
        kept: how many suspended workflows it keeps; with none it asks for whole histories.
    """

    def __init__(self, app: str, channel: Channel, workflows: Code, act: Any, kept: int) -> None:
        self.app = app
        settings = WorkflowSettings(kept=kept, replay=kept == 0)
        self.instances = Instances(workflows, Rules(inputs=True), kept)
        activities = Activities({ACTIVITY: _Activity(act)})
        self.working = Working(self.instances, activities, settings)
        self.worker = Worker(Channels(channel), self.working, settings)
        self.alive = True
        self.worker.start()

    def crash(self) -> None:
        """Be gone."""
        self.alive = False
        if self.worker._task is not None:
            self.worker._task.cancel()
        for task in self.working._tasks:
            task.cancel()
        self.instances.close()

    async def stop(self) -> None:
        """End as a worker does whose app is stopped."""
        await self.worker.stop()
        self.alive = False
