"""What holds while writes are on their way, and when one fails: each case was found by a seed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.sidecar.workflows import events
from daprflow.sidecar.workflows.host import Host, WorkStream
from daprflow.sidecar.workflows.hub import WorkflowHub
from daprflow.sidecar.workflows.management import Workflows
from daprflow.sidecar.workflows.problems import WorkflowProblem
from daprflow.sidecar.workflows.store import WorkflowStore
from tests.helpers.scripted_worker import ScriptedWorker, again, end, task, timer
from tests.simulation.disk import SimulatedWriter, file_of, new_image

START = 1_700_000_000.0


@dataclass(slots=True)
class Held:
    """A hub whose writes wait until a test lets them happen.

    Attributes:
        clock: its time.
    """

    clock: VirtualClock
    writer: SimulatedWriter
    hub: WorkflowHub
    worker: ScriptedWorker

    @property
    def workflows(self) -> Workflows:
        """What clients can do."""
        return self.hub.of_app("app1", "default")

    async def settle(self) -> None:
        """Let everything happen that needs no disk."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def write(self) -> None:
        """Let writes happen, and what follows, until none is left."""
        await self.settle()
        while self.writer.jobs:
            self.writer.commit(len(self.writer.jobs), lambda _: None)
            self.writer.tell()
            await self.settle()

    async def refuse(self, count: int) -> None:
        """Have the first writes find the disk full, and let that be known."""
        await self.settle()
        self.writer.refuse(count)
        self.writer.tell()
        await self.settle()

    async def do(self, work: Any) -> Any:
        """Do something whose writes may happen."""
        doing = asyncio.ensure_future(work)
        while not doing.done():
            await self.write()
        return doing.result()

    async def begin(self) -> None:
        """Start the instance of most tests."""
        request = wf.CreateInstanceRequest(instanceId="i1", name="w")
        await self.do(self.workflows.start(request))

    async def status(self) -> str:
        """Return how the instance is."""
        state = await self.do(self.workflows.get("i1", payloads=False))
        name: str = wf.OrchestrationStatus.Name(state.workflowStatus)
        return name.removeprefix("ORCHESTRATION_STATUS_")


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    """A hub with a worker, and nothing in it."""
    clock, writer = VirtualClock(START), SimulatedWriter(new_image())
    hub = WorkflowHub(clock, Work(), WorkflowStore(file_of(writer)))
    opening = asyncio.ensure_future(hub.open())
    await asyncio.sleep(0)
    worker = ScriptedWorker(hub, "app1", WorkStream(stateful=False, limit=-1))
    made = Held(clock, writer, hub, worker)
    await made.do(opening)
    yield made
    closing = asyncio.ensure_future(hub.close())
    await made.do(closing)
    writer.end()


async def test_a_timer_that_rings_while_the_end_is_kept_forgets_nothing(held: Held) -> None:
    """An instance whose timer rings while its end is on its way stays, and is over then."""
    await held.begin()
    await held.do(held.worker.answer(await held.worker.turn(), timer(1, START + 5)))
    await held.do(held.workflows.raise_event("i1", "e", None))
    ending = asyncio.ensure_future(held.worker.answer(await held.worker.turn(), end(2)))
    await held.settle()
    held.clock.move_to(START + 5)
    await held.do(ending)
    assert await held.status() == "COMPLETED"


async def test_a_step_on_its_way_is_not_made_twice(held: Held) -> None:
    """When an event cannot be kept while a step is on its way, no turn begins before that step."""
    await held.begin()
    item = await held.worker.turn()
    raising = asyncio.ensure_future(held.workflows.raise_event("i1", "e", None))
    await held.settle()
    stepping = asyncio.ensure_future(held.worker.answer(item, again(1, "next")))
    await held.refuse(1)
    with pytest.raises(WorkflowProblem, match="full"):
        await raising
    assert await held.worker.nothing()
    await held.do(stepping)
    following = await held.worker.turn()
    kinds = [each.WhichOneof("eventType") for each in following.workflowRequest.newEvents]
    assert kinds.count("executionStarted") == 1


async def test_who_looks_at_a_failed_instance_does_not_stop_it(held: Held) -> None:
    """An instance that could not be written goes on though somebody looked at it meanwhile."""
    await held.begin()
    item = await held.worker.turn()
    stepping = asyncio.ensure_future(held.worker.answer(item, end(1)))
    await held.refuse(1)
    with pytest.raises(Exception, match="full"):
        await stepping
    assert await held.status() == "PENDING"
    await held.do(held.worker.answer(await held.worker.turn(), end(1)))
    assert await held.status() == "COMPLETED"


async def test_an_event_is_taken_once_the_end_is_kept(held: Held) -> None:
    """An event for an instance whose end then cannot be kept is not lost."""
    await held.begin()
    item = await held.worker.turn()
    stepping = asyncio.ensure_future(held.worker.answer(item, end(1)))
    await held.settle()
    raising = asyncio.ensure_future(held.workflows.raise_event("i1", "e", None))
    await held.settle()
    assert not raising.done()
    await held.refuse(1)
    with pytest.raises(Exception, match="full"):
        await stepping
    await held.do(raising)
    following = await held.worker.turn()
    kinds = [each.WhichOneof("eventType") for each in following.workflowRequest.newEvents]
    assert "eventRaised" in kinds


async def test_who_waits_for_an_end_hears_of_it_though_another_write_failed(held: Held) -> None:
    """A step that is kept is told to who waits, though an event before it could not be kept."""
    await held.begin()
    item = await held.worker.turn()
    waiting = asyncio.ensure_future(held.workflows.completed("i1", payloads=False))
    raising = asyncio.ensure_future(held.workflows.raise_event("i1", "e", None))
    await held.settle()
    stepping = asyncio.ensure_future(held.worker.answer(item, end(1)))
    await held.refuse(1)
    with pytest.raises(WorkflowProblem, match="full"):
        await raising
    await held.do(stepping)
    state = await held.do(waiting)
    assert state.workflowStatus == wf.ORCHESTRATION_STATUS_COMPLETED


async def test_a_result_that_cannot_be_kept_leaves_an_instance_that_is_over(held: Held) -> None:
    """An instance that is over is not forgotten when a late result cannot be kept."""
    await held.begin()
    await held.do(held.worker.answer(await held.worker.turn(), task(1), end(2)))
    item = await held.worker.task()
    answering = asyncio.ensure_future(held.worker.done(item))
    await held.refuse(1)
    with pytest.raises(Exception, match="full"):
        await answering
    held.clock.move_to(START + 10)
    await held.write()
    assert await held.status() == "COMPLETED"


async def test_those_who_wait_for_a_worker_go_on_in_their_order() -> None:
    """Who asked first for something that needs a worker gets it first."""
    order: list[int] = []
    clock, writer = VirtualClock(START), SimulatedWriter(new_image())
    hub = WorkflowHub(clock, Work(), WorkflowStore(file_of(writer)))
    host: Host = hub.host("app1")

    async def wait(number: int) -> None:
        await host.appears()
        order.append(number)

    waiting = [asyncio.ensure_future(wait(number)) for number in range(40)]
    await asyncio.sleep(0)
    host.attach(WorkStream(stateful=False, limit=-1))
    await asyncio.wait(waiting)
    assert order == list(range(40))
    writer.end()


@pytest.mark.parametrize("micros", [100_001, 180_119, 250_000, 700_003, 999_999])
def test_what_is_due_did_not_happen_before(micros: int) -> None:
    """The time of a timer's firing is never before the moment at which it was due."""
    due = wf.Timestamp()
    due.FromMicroseconds(int(START) * 1_000_000 + micros)
    fired = events.timer_fired(1, due, events.seconds(due))
    assert fired.timestamp.ToNanoseconds() >= due.ToNanoseconds()
