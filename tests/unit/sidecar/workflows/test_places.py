"""Where an app has its workflows: its files say it, and every call tells when there is no place."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.http import HttpRequest
from daprflow.protocol.resources import GENERATED
from daprflow.sidecar.components.base import ComponentError, StateStore
from daprflow.sidecar.components.state_in_memory import InMemoryState
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from daprflow.sidecar.workflows.host import WorkStream
from daprflow.sidecar.workflows.problems import NO_STORE
from tests.helpers.chain_worker import SERVICE, call
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.scripted_worker import ScriptedWorker, end, timer
from tests.helpers.sidecar import Components, in_process_sidecar, resources

STORE: Components = {"one": ("state.in-memory", {"actorStateStore": "true"})}
OTHER: Components = {"two": ("state.in-memory", {"actorStateStore": "true"})}
PLAIN: Components = {"one": ("state.in-memory", {})}
INNER = f"api error: code = Internal desc = {NO_STORE}"


async def start(runtime: Runtime, instance_id: str) -> ScriptedWorker:
    """Start an instance that waits for a timer; returns a worker."""
    hub = await runtime.engine.workflows()
    worker = ScriptedWorker(hub, "app1", WorkStream(stateful=False, limit=-1))
    api = await runtime.workflows.api()
    await api.start(wf.CreateInstanceRequest(instanceId=instance_id, name="w"))
    await worker.answer(await worker.turn(), timer(1, runtime.engine.clock.now() + 60))
    return worker


async def ids(runtime: Runtime) -> list[str]:
    """Return the ids of the app's instances."""
    return list((await runtime.workflows.api()).ids("", 0).instance_ids)


async def in_store(runtime: Runtime, name: str, instance_id: str) -> bool:
    """Tell whether a state store has an instance."""
    store: StateStore = next(
        each.instance for each in runtime.components if each.resource.name == name
    )  # type: ignore[assignment]
    key = f"app1||dapr.internal.default.app1.workflow||{instance_id}||metadata"
    return await store.get(key) is not None


async def test_the_store_of_the_files(tmp_path: Path) -> None:
    """Workflows are in the state store that is for actors."""
    async with in_process_sidecar(tmp_path, STORE) as sidecar:
        await start(sidecar.runtime, "i1")
        assert await in_store(sidecar.runtime, "one", "i1")


async def test_the_store_that_a_run_has_by_itself(tmp_path: Path) -> None:
    """Workflows are in the engine's tables where nobody named a store."""
    made = msgspec.structs.replace(resources(STORE).components[0], source=GENERATED)
    async with in_process_sidecar(tmp_path, {}, files=Resources((made,))) as sidecar:
        await start(sidecar.runtime, "i1")
        assert not await in_store(sidecar.runtime, "one", "i1")
        assert await ids(sidecar.runtime) == ["i1"]


@pytest.mark.row("I-HR")
async def test_another_store_after_a_reload(tmp_path: Path) -> None:
    """A reload that names another store shows its workflows; the former ones wait for theirs."""
    async with in_process_sidecar(tmp_path, STORE) as sidecar:
        runtime = sidecar.runtime
        worker = await start(runtime, "i1")
        assert not await runtime.reload(resources({**PLAIN, **OTHER}))
        assert await ids(runtime) == []
        worker.leave()
        worker = await start(runtime, "i2")
        assert await in_store(runtime, "two", "i2")
        sidecar.clock.move_to(sidecar.clock.now() + 61)
        turn = await worker.turn()
        assert turn.workflowRequest.instanceId == "i2"
        assert await worker.nothing()
        await worker.answer(turn, end(2))


async def test_a_store_that_comes_with_a_reload(tmp_path: Path) -> None:
    """Without a store for actors calls fail, until a reload brings one; and again without it."""
    async with in_process_sidecar(tmp_path, PLAIN) as sidecar:
        runtime = sidecar.runtime
        with pytest.raises(Exception, match="not configured to use the actor runtime"):
            await (await runtime.workflows.api()).get("i1", payloads=False)
        assert not await runtime.reload(resources({**PLAIN, **OTHER}))
        await start(runtime, "i1")
        assert await ids(runtime) == ["i1"]
        assert not await runtime.reload(resources(PLAIN))
        with pytest.raises(Exception, match="no state store with actor support found"):
            await ids(runtime)


async def test_an_app_that_leaves_and_comes_back(tmp_path: Path) -> None:
    """What an app has in its store goes on when it is back, in the same run."""
    components: Components = {
        "one": ("state.sqlite", {"connectionString": "user.db", "actorStateStore": "true"})
    }
    async with in_process_sidecar(tmp_path, components) as sidecar:
        first = sidecar.runtime
        await start(first, "i1")
        await first.close(0)
        sidecar.clock.move_to(sidecar.clock.now() + 61)
        second = Runtime(sidecar.engine, first.options, first.resources, None)
        await second.open()
        hub = await sidecar.engine.workflows()
        worker = ScriptedWorker(hub, "app1", WorkStream(stateful=False, limit=-1))
        turn = await worker.turn()
        assert turn.workflowRequest.newEvents[1].timerFired.timerId == 1
        await second.close(0)


# ---- no store -----------------------------------------------------------------------------------


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar whose files name no state store for actors."""
    async with grpc_sidecar(tmp_path, PLAIN) as running:
        yield running


LOADING = f"failed to load workflow metadata: {INNER}"
REFUSED: list[tuple[str, Any, str, str]] = [
    (
        "StartInstance",
        wf.CreateInstanceRequest(instanceId="a", name="x"),
        "INTERNAL",
        f"failed to create workflow instance: {INNER}",
    ),
    ("GetInstance", wf.GetInstanceRequest(instanceId="a"), "INTERNAL", LOADING),
    ("RaiseEvent", wf.RaiseEventRequest(instanceId="a", name="x"), "INTERNAL", NO_STORE),
    ("SuspendInstance", wf.SuspendRequest(instanceId="a"), "INTERNAL", NO_STORE),
    ("ResumeInstance", wf.ResumeRequest(instanceId="a"), "INTERNAL", NO_STORE),
    (
        "TerminateInstance",
        wf.TerminateRequest(instanceId="a"),
        "INTERNAL",
        f"failed to submit termination request: {INNER}",
    ),
    (
        "PurgeInstances",
        wf.PurgeInstancesRequest(instanceId="a"),
        "INTERNAL",
        f"failed to purge workflow state: {INNER}",
    ),
    (
        "ListInstanceIDs",
        wf.ListInstanceIDsRequest(),
        "UNKNOWN",
        "no state store with actor support found",
    ),
    ("GetInstanceHistory", wf.GetInstanceHistoryRequest(instanceId="a"), "INTERNAL", LOADING),
    (
        "RerunWorkflowFromEvent",
        wf.RerunWorkflowFromEventRequest(sourceInstanceID="a", eventID=1),
        "INTERNAL",
        NO_STORE,
    ),
]
"""What a real runtime 1.18.3 answered without such a store, placement and scheduler running."""


async def test_no_store_is_told_once(bare: GrpcSidecar, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what to do, with the first call alone; workers may connect all the same."""
    for _ in range(2):
        await call(bare.channel, "Hello", wf.Empty())
    told = [line for line in caplog.messages if "cannot use workflows" in line]
    assert len(told) == 1
    assert 'actorStateStore: "true"' in told[0]


async def test_a_store_that_fails_is_told_to_workers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker hears that its workflows cannot be read, on its stream as on every call."""

    async def keys(*_: str) -> list[str]:
        raise ComponentError("the disk is gone")

    monkeypatch.setattr(InMemoryState, "keys", keys)
    async with grpc_sidecar(tmp_path, STORE) as failing:
        stream = failing.channel.unary_stream(
            f"{SERVICE}GetWorkItems",
            request_serializer=wf.GetWorkItemsRequest.SerializeToString,
            response_deserializer=wf.WorkItem.FromString,
        )(wf.GetWorkItemsRequest())
        assert (await stream.code()).name == "UNKNOWN"
        assert await stream.details() == "the disk is gone"
        refused = await refusal(call(failing.channel, "Hello", wf.Empty()))
        assert (refused.code, refused.text) == ("UNKNOWN", "the disk is gone")
    assert "failed on" not in caplog.text


@pytest.mark.row("I-WF6")
@pytest.mark.parametrize(("method", "request_", "code", "text"), REFUSED)
async def test_calls_of_workers_without_a_store(
    bare: GrpcSidecar, method: str, request_: Any, code: str, text: str
) -> None:
    """I-WF6: every call is an error with the real runtime's text."""
    refused = await refusal(call(bare.channel, method, request_))
    assert (refused.code, refused.text) == (code, text)


READING = (
    "error while getting workflow info on instance 'a': failed to get workflow metadata for 'a':"
)
RAISING = (
    "error raising event on workflow 'a': failed to raise event e on workflow a: failed to raise"
)
PAUSING = "error pausing workflow a: failed to pause workflow a:"
RESUMING = "error resuming workflow a: failed to resume workflow a:"
ENDING = "error terminating workflow 'a': failed to terminate workflow a: failed to submit"
PURGING = (
    "error purging workflow a: failed to Purge workflow a: failed to purge workflow state: "
    "failed to"
)
ANSWERS = [
    ("GET", "a", "ERR_GET_WORKFLOW", f"{READING} failed to fetch workflow metadata: {LOADING}"),
    ("POST", "a/raiseEvent/e", "ERR_RAISE_EVENT_WORKFLOW", f"{RAISING} event: {INNER}"),
    ("POST", "a/pause", "ERR_PAUSE_WORKFLOW", f"{PAUSING} failed to suspend workflow: {INNER}"),
    ("POST", "a/resume", "ERR_RESUME_WORKFLOW", f"{RESUMING} failed to resume workflow: {INNER}"),
    ("POST", "a/terminate", "ERR_TERMINATE_WORKFLOW", f"{ENDING} termination request:: {INNER}"),
    ("POST", "a/purge", "ERR_PURGE_WORKFLOW", f"{PURGING} fetch workflow state: {LOADING}"),
]
"""The same over HTTP."""


@pytest.mark.row("I-WF6")
@pytest.mark.parametrize(("method", "path", "code", "text"), ANSWERS)
async def test_http_calls_without_a_store(
    bare: GrpcSidecar, method: str, path: str, code: str, text: str
) -> None:
    """I-WF6: every call over HTTP is an error with the real runtime's text, too."""
    request = HttpRequest(method, f"/v1.0/workflows/dapr/{path}", (), b"")
    answer = await bare.inner.exchange.send(request)
    assert answer.status == 500
    assert msgspec.json.decode(answer.body) == {"errorCode": code, "message": text}
