"""Programs of the official SDK's worker on the engine, over a socket, with a clock tests move."""

from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import grpc
import pytest
from dapr.ext.workflow import RetryPolicy, when_all, when_any
from dapr.ext.workflow.aio import DaprWorkflowClient

from daprflow.sidecar.clock import VirtualClock
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.official_workflows import Context, new_client, working
from tests.helpers.timing import eventually
from tests.helpers.workflow_homes import workflow_components

Steps = Generator[Any, Any, Any]


@dataclass(slots=True)
class Bench:
    """A sidecar, a worker and a client.

    Attributes:
        notes: what activities were given.
    """

    sidecar: GrpcSidecar
    client: DaprWorkflowClient
    notes: list[Any] = field(default_factory=list)

    @property
    def clock(self) -> VirtualClock:
        """The engine's clock."""
        return self.sidecar.inner.clock

    async def start(self, name: str, data: Any = None, **options: Any) -> str:
        """Start a workflow."""

        def program() -> None:
            """Carry a name, which is all that the client looks at."""

        program.__name__ = name
        found: str = await self.client.schedule_new_workflow(program, input=data, **options)
        return found

    async def status(self, instance_id: str) -> str:
        """Return the status of an instance."""
        state = await self.client.get_workflow_state(instance_id)
        return "" if state is None else state.runtime_status.name

    async def end(self, instance_id: str) -> tuple[str, Any]:
        """Wait for the end of an instance and return how it ended."""
        state = await self.client.wait_for_workflow_completion(instance_id, timeout_in_seconds=20)
        assert state is not None
        return state.runtime_status.name, state.serialized_output

    async def advance(self, seconds: float) -> None:
        """Let time pass, once a timer is set."""
        await eventually(lambda: self.clock.due() is not None)
        self.clock.move_to(self.clock.now() + seconds)


def chain(context: Context, count: int) -> Steps:
    """Call one activity after the other."""
    value = 0
    for _ in range(count):
        value = yield context.call_activity("note", input=value + 1)
    return value


def fan(context: Context, count: int) -> Steps:
    """Call many at once, and add up."""
    tasks: list[Any] = [context.call_activity("note", input=number) for number in range(count)]
    return sum((yield when_all(tasks)))


def sleeper(context: Context, seconds: float) -> Steps:
    """Wait for a timer."""
    yield context.create_timer(timedelta(seconds=seconds))
    return "awake"


def waiter(context: Context, seconds: float) -> Steps:
    """Wait for an event, but not for ever."""
    event = context.wait_for_external_event("Go")
    late = context.create_timer(timedelta(seconds=seconds))
    first = yield when_any([event, late])
    return "late" if first is late else event.get_result()


def retries(context: Context, _value: Any) -> Steps:
    """Call what fails twice."""
    policy = RetryPolicy(first_retry_interval=timedelta(seconds=5), max_number_of_attempts=4)
    return (yield context.call_activity("third_time", retry_policy=policy))


def counter(context: Context, count: int) -> Steps:
    """Continue as new until it was 30 times."""
    yield context.call_activity("note", input=count)
    if count < 30:
        context.continue_as_new(count + 1, save_events=True)
        return None
    return (yield context.wait_for_external_event("Go"))


def child(context: Context, value: Any) -> Steps:
    """Do as the parent says."""
    if value == "fail":
        raise RuntimeError("as asked")
    if value == "wait":
        yield context.wait_for_external_event("Go")
    return (yield context.call_activity("note", input=value))


def parent(context: Context, value: Any) -> Steps:
    """Start a child, and tell what came of it."""
    instance_id = f"{context.instance_id}-child"
    try:
        return (yield context.call_child_workflow("child", input=value, instance_id=instance_id))
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is the outcome
        return type(error).__name__


def two(context: Context, _value: Any) -> Steps:
    """Say where it is."""
    context.set_custom_status("one")
    first = yield context.call_activity("note", input="a")
    context.set_custom_status("two")
    second = yield context.call_activity("note", input="b")
    return [first, second]


def add_programs(worker: Any, notes: list[Any]) -> None:
    """Teach a worker the programs of these tests."""

    def note(_context: Any, value: Any) -> Any:
        notes.append(value)
        return value

    def third_time(_context: Any, _value: Any) -> str:
        notes.append("try")
        if len(notes) < 3:
            raise ValueError("not yet")
        return "ok"

    for activity in (note, third_time):
        worker.register_activity(activity)
    for program in (chain, fan, sleeper, waiter, retries, counter, child, parent, two):
        # The SDK marks what it registers, and takes nothing that another worker has.
        fresh = FunctionType(program.__code__, program.__globals__, program.__name__)
        worker.register_workflow(fresh)


FULL, STATEFUL = False, True
HOMES = [
    ("engine", FULL),
    ("engine", STATEFUL),
    ("sqlite", STATEFUL),
    ("redis", FULL),
    ("postgresql", STATEFUL),
]
"""Where workflows are kept, and whether the worker keeps histories between turns."""


@pytest.fixture(params=HOMES, ids=lambda home: f"{home[0]}-{'stateful' if home[1] else 'full'}")
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench whose worker keeps histories between turns, or is sent all of them each time."""
    kind, stateful = request.param
    async with (
        workflow_components(kind, tmp_path) as components,
        grpc_sidecar(tmp_path, components, data_dir=tmp_path / "data") as sidecar,
    ):
        made = Bench(sidecar, new_client(sidecar.port))
        teach = partial(add_programs, notes=made.notes)
        async with working(sidecar.port, teach, disable_stateful_history=not stateful):
            yield made


@pytest.mark.parametrize(
    ("name", "data", "output"), [("chain", 12, "12"), ("fan", 20, "190"), ("parent", 7, "7")]
)
async def test_programs_finish(bench: Bench, name: str, data: Any, output: str) -> None:
    """Chains, fans and child workflows end with their results."""
    assert await bench.end(await bench.start(name, data)) == ("COMPLETED", output)


async def test_a_timer_is_never_early(bench: Bench) -> None:
    """A timer fires when its time has come, and not before."""
    instance = await bench.start("sleeper", 30)
    await bench.advance(29.9)
    assert await bench.status(instance) == "RUNNING"
    await bench.advance(0.2)
    assert await bench.end(instance) == ("COMPLETED", '"awake"')


async def test_events_come_in_any_case(bench: Bench) -> None:
    """An event reaches its wait though its name is written otherwise, and ends it."""
    instance = await bench.start("waiter", 60)
    await bench.client.raise_workflow_event(instance, "gO", data=4)
    assert await bench.end(instance) == ("COMPLETED", "4")


async def test_a_wait_ends_without_its_event(bench: Bench) -> None:
    """A wait that has a timer beside it ends with that."""
    instance = await bench.start("waiter", 60)
    await bench.advance(61)
    assert await bench.end(instance) == ("COMPLETED", '"late"')


def _is_due_within(clock: VirtualClock, seconds: float) -> bool:
    due = clock.due()
    return due is not None and due <= clock.now() + seconds


def _has(found: list[Any], count: int) -> bool:
    return len(found) == count


async def test_retries_of_the_worker(bench: Bench) -> None:
    """An activity that fails is tried again after the pauses its worker sets."""
    instance = await bench.start("retries")
    for attempt in (1, 2):
        await eventually(partial(_has, bench.notes, attempt))
        await eventually(partial(_is_due_within, bench.clock, 5.1))
        await bench.advance(5.1)
    assert await bench.end(instance) == ("COMPLETED", '"ok"')
    assert bench.notes == ["try"] * 3


async def test_continuing_as_new_keeps_events(bench: Bench) -> None:
    """An execution that begins again and again keeps the events that nobody took."""
    instance = await bench.start("counter", 1)
    await bench.client.raise_workflow_event(instance, "go", data="x")
    assert await bench.end(instance) == ("COMPLETED", '"x"')
    assert bench.notes == list(range(1, 31))
    history = await bench.client.get_workflow_history(instance)
    assert len(history) < 12


async def test_a_child_that_fails(bench: Bench) -> None:
    """A parent hears that its child workflow failed."""
    instance = await bench.start("parent", "fail")
    assert await bench.end(instance) == ("COMPLETED", '"TaskFailedError"')


async def test_suspension(bench: Bench) -> None:
    """A suspended instance takes its event when it is resumed, and resuming twice harms nothing."""
    instance = await bench.start("waiter", 600)
    await bench.client.resume_workflow(instance)
    await bench.client.pause_workflow(instance)
    await bench.client.raise_workflow_event(instance, "go", data=1)
    assert await bench.status(instance) == "SUSPENDED"
    await bench.client.resume_workflow(instance)
    await bench.client.resume_workflow(instance)
    assert await bench.end(instance) == ("COMPLETED", "1")


async def test_termination_and_purge_reach_children(bench: Bench) -> None:
    """Terminating and purging an instance does the same to its child workflows, where wanted."""
    instance = await bench.start("parent", "wait")
    child = f"{instance}-child"
    await bench.client.wait_for_workflow_start(child)
    await bench.client.terminate_workflow(instance, output="bye", recursive=True)
    assert await bench.end(instance) == ("TERMINATED", '"bye"')
    assert (await bench.end(child))[0] == "TERMINATED"
    await bench.client.purge_workflow(instance, recursive=True)
    assert await bench.client.get_workflow_state(instance) is None
    assert await bench.client.get_workflow_state(child) is None


async def test_ids_in_use(bench: Bench) -> None:
    """An id belongs to one active instance; when that is over it may be used again."""
    await bench.start("waiter", 60, instance_id="one")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await bench.start("waiter", 60, instance_id="one")
    assert raised.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert raised.value.details() == (
        "failed to create workflow instance: rpc error: code = AlreadyExists desc = "
        "an active workflow with ID 'one' already exists"
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await bench.client.purge_workflow("one")
    assert raised.value.details() == (
        "failed to purge workflow state: orchestration has not yet completed"
    )
    await bench.client.terminate_workflow("one")
    await bench.start("chain", 1, instance_id="one")
    assert await bench.end("one") == ("COMPLETED", "1")


async def test_a_start_in_the_future(bench: Bench) -> None:
    """An instance that is to begin later waits for its time, and is there meanwhile."""
    start = bench.clock.now() + 60
    at = datetime.fromtimestamp(start, UTC)
    instance = await bench.start("chain", 1, start_at=at)
    assert await bench.status(instance) == "PENDING"
    await bench.advance(61)
    assert await bench.end(instance) == ("COMPLETED", "1")


async def test_running_again_from_an_event(bench: Bench) -> None:
    """An instance that is over runs again from an activity, with another input for it."""
    instance = await bench.start("two")
    assert await bench.end(instance) == ("COMPLETED", '["a", "b"]')
    state = await bench.client.get_workflow_state(instance)
    assert state is not None
    assert state.serialized_custom_status == "two"
    again = await bench.client.rerun_workflow_from_event(instance, 2, input="z")
    assert await bench.end(again) == ("COMPLETED", '["a", "z"]')
    assert bench.notes == ["a", "b", "z"]


async def test_instances_are_listed_in_pages(bench: Bench) -> None:
    """All ids of an app come, a page at a time."""
    made = [await bench.start("chain", 1) for _ in range(5)]
    found = [each async for each in bench.client.iter_workflow_instance_ids(page_size=2)]
    assert found == made


async def test_what_is_not_there(bench: Bench) -> None:
    """Calls about a missing instance fail in the words of the real runtime."""
    failures = {}
    for name, call in (
        ("raise", bench.client.raise_workflow_event("none", "e")),
        ("terminate", bench.client.terminate_workflow("none")),
        ("purge", bench.client.purge_workflow("none")),
        ("rerun", bench.client.rerun_workflow_from_event("none", 1)),
        ("history", bench.client.get_workflow_history("none")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        failures[name] = (raised.value.code().name, raised.value.details())
    missing = "no such instance exists"
    assert failures == {
        "raise": ("UNKNOWN", missing),
        "terminate": ("UNKNOWN", f"failed to submit termination request: {missing}"),
        "purge": (
            "UNKNOWN",
            f"failed to purge workflow state: failed to fetch workflow state: {missing}",
        ),
        "rerun": ("NOT_FOUND", "workflow instance does not exist with ID 'none'"),
        "history": ("NOT_FOUND", "workflow instance 'none' not found"),
    }
