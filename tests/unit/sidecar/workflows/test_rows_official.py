"""Rows I-WF4 and I-WF5 of the regression pack with the official SDK's worker and client."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from dapr.ext.workflow import WorkflowRuntime
from dapr.ext.workflow.aio import DaprWorkflowClient

from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.official_workflows import Context, new_client, working
from tests.helpers.timing import eventually

Steps = Generator[Any, Any, Any]
BURST = 25


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar."""
    async with grpc_sidecar(tmp_path, {}, data_dir=tmp_path / "data") as running:
        yield running


async def begin(client: DaprWorkflowClient, name: str, data: Any = None) -> str:
    """Start a workflow and wait until it runs."""

    def program() -> None:
        """Carry a name, which is all that the client looks at."""

    program.__name__ = name
    instance: str = await client.schedule_new_workflow(program, input=data)
    return instance


async def ended(client: DaprWorkflowClient, instance: str) -> tuple[str, Any]:
    """Wait for the end of an instance and return how it ended."""
    state = await client.wait_for_workflow_completion(instance, timeout_in_seconds=20)
    assert state is not None
    return state.runtime_status.name, state.serialized_output


async def stalled(client: DaprWorkflowClient, instance: str) -> None:
    """Wait until an instance stalled."""
    async with asyncio.timeout(10):
        while True:
            state = await client.get_workflow_state(instance)
            if state is not None and state.runtime_status.name == "STALLED":
                return
            await asyncio.sleep(0.01)


@pytest.mark.row("I-WF4", "R-23")
async def test_a_burst_of_events_is_seen_once_each(sidecar: GrpcSidecar) -> None:
    """I-WF4: 25 events at once, of which each execution takes one, are all taken, in order."""
    seen: list[int] = []

    def note(_context: Any, value: int) -> None:
        seen.append(value)

    def taker(context: Context, count: int) -> Steps:
        value = yield context.wait_for_external_event("go")
        yield context.call_activity("note", input=value)
        if count + 1 < BURST:
            context.continue_as_new(count + 1, save_events=True)

    def teach(worker: WorkflowRuntime) -> None:
        worker.register_activity(note)
        worker.register_workflow(taker)

    client = new_client(sidecar.port)
    async with working(sidecar.port, teach):
        instance = await begin(client, "taker", 0)
        for number in range(BURST):
            await client.raise_workflow_event(instance, "GO", data=number + 1)
        assert (await ended(client, instance))[0] == "COMPLETED"
    assert seen == list(range(1, BURST + 1))


@pytest.mark.row("I-WF5")
async def test_an_instance_waits_for_a_worker(sidecar: GrpcSidecar) -> None:
    """I-WF5: what runs when its worker ends goes on with the next one, from where it was."""
    seen: list[str] = []

    def teach(worker: WorkflowRuntime) -> None:  # the SDK takes a function once
        def note(_context: Any, value: str) -> str:
            seen.append(value)
            return value

        def program(context: Context, _value: Any) -> Steps:
            yield context.call_activity("note", input="before")
            yield context.wait_for_external_event("go")
            return (yield context.call_activity("note", input="after"))

        worker.register_activity(note)
        worker.register_workflow(program)

    client, block = new_client(sidecar.port), sidecar.inner.runtime.workflows
    async with working(sidecar.port, teach):
        instance = await begin(client, "program")
        await eventually(lambda: bool(seen))
    await eventually(lambda: block.connected_workers == 0)
    async with working(sidecar.port, teach):
        await client.raise_workflow_event(instance, "go")
        assert await ended(client, instance) == ("COMPLETED", '"after"')
    assert seen == ["before", "after"]


def _versions(*names: str) -> Callable[[WorkflowRuntime], None]:
    """Return what teaches a worker these versions of one program, the last as its newest."""

    def teach(worker: WorkflowRuntime) -> None:
        for name in names:

            def program(context: Context, _value: Any) -> Steps:
                return (yield context.wait_for_external_event("go"))

            worker.register_versioned_workflow(
                program, name="program", version_name=name, is_latest=name == names[-1]
            )

    return teach


def _patched(name: str) -> Callable[[WorkflowRuntime], None]:
    """Return what teaches a worker a program with a patch, or without one where it has no name."""

    def teach(worker: WorkflowRuntime) -> None:
        def program(context: Context, _value: Any) -> Steps:
            if name:
                context.is_patched(name)
            return (yield context.wait_for_external_event("go"))

        worker.register_workflow(program)

    return teach


@pytest.mark.row("I-WF5")
@pytest.mark.parametrize(
    ("able", "unable"),
    [(_versions("v1", "v2"), _versions("v1")), (_patched("p1"), _patched(""))],
    ids=["version", "patch"],
)
async def test_code_that_one_worker_lacks(
    sidecar: GrpcSidecar,
    able: Callable[[WorkflowRuntime], None],
    unable: Callable[[WorkflowRuntime], None],
) -> None:
    """I-WF5: an instance stalls with a worker without its code, and ends when another joins."""
    client, block = new_client(sidecar.port), sidecar.inner.runtime.workflows
    async with working(sidecar.port, able):
        instance = await begin(client, "program")
        await client.wait_for_workflow_start(instance)
    await eventually(lambda: block.connected_workers == 0)
    async with working(sidecar.port, unable):
        await client.raise_workflow_event(instance, "go", data=7)
        await stalled(client, instance)
        async with working(sidecar.port, able):
            assert await ended(client, instance) == ("COMPLETED", "7")
