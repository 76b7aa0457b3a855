"""Row I-WF1 of the regression pack: what is started is recorded once, on time, and found again.

A start before there is a worker is in `test_hub.py`, programs of the official worker are in
`test_official_worker.py`.
"""

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.workflows.problems import WorkflowProblem
from tests.helpers.chain_worker import call
from tests.helpers.grpc_sidecar import grpc_sidecar
from tests.helpers.scripted_worker import ScriptedWorker, Stage, child, end, task, timer
from tests.helpers.workflow_rows import (
    START,
    begin,
    history,
    new_kinds,
    opened,
    raise_event,
    restart,
    start,
    state_of,
    status,
)

LARGE = "x" * (5 << 20)
VERSIONS = ("v1.0", "v1.0-beta1", "v1.0-alpha1")
IDS = {
    "pipe": ("a|b", "a%7Cb"),
    "pipes": ("a||b", "a%7C%7Cb"),
    "at": ("a@b", "a%40b"),
    "blank": ("a b", "a%20b"),
    "letter": ("ü", "%C3%BC"),
    "percent": ("50%_x", "50%25_x"),
    "braces": ("{a}", "%7Ba%7D"),
    "long": ("x" * 300, "x" * 300),
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine."""
    async with opened(tmp_path) as stage:
        yield stage


@pytest.mark.row("I-WF1")
async def test_every_event_is_recorded_once(stage: Stage, tmp_path: Path) -> None:
    """I-WF1: a history has each start, task, timer and child once, also after a restart."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1), timer(2, START + 1), child(3, "c1"))
    items = [await worker.take(), await worker.take()]
    for item in items:
        if item.HasField("activityRequest"):
            await worker.done(item)
        else:
            await worker.answer(item, end(1))
    await worker.answer(await worker.turn())
    stage.clock.move_to(START + 1)
    turn = await worker.turn()
    while "timerFired" not in new_kinds(turn):
        await worker.answer(turn)
        turn = await worker.turn()
    await worker.answer(turn, end(4))
    found = await history(stage)
    expected = {
        "executionStarted",
        "taskScheduled",
        "timerCreated",
        "childWorkflowInstanceCreated",
        "taskCompleted",
        "childWorkflowInstanceCompleted",
        "timerFired",
        "executionCompleted",
    }
    assert {name for name in found if found.count(name) == 1} == expected
    await restart(stage, tmp_path)
    assert await history(stage) == found
    assert await history(stage, "c1") == [
        "workflowStarted",
        "executionStarted",
        "executionCompleted",
    ]


@pytest.mark.row("I-WF1")
@pytest.mark.parametrize("what", ["event", "pause", "nothing"])
async def test_nothing_begins_before_its_time(stage: Stage, what: str) -> None:
    """I-WF1: an instance begins when it is to, whatever is sent to it before."""
    worker = stage.worker()
    request = wf.CreateInstanceRequest(instanceId="i1", name="w")
    request.scheduledStartTimestamp.FromNanoseconds(int((START + 10.5) * 1e9))
    await stage.workflows().start(request)
    if what == "event":
        await raise_event(stage, "i1", "early")
    elif what == "pause":
        await stage.workflows().suspend("i1", "", wait=True)
    assert (await state_of(stage)).workflowStatus == wf.ORCHESTRATION_STATUS_PENDING
    stage.clock.move_to(START + 10.49)
    assert await worker.nothing()
    stage.clock.move_to(START + 10.5)
    came = {"event": ["eventRaised"], "pause": ["executionSuspended"], "nothing": []}[what]
    assert new_kinds(await worker.turn()) == ["executionStarted", *came]


@pytest.mark.row("I-WF1", "R-27")
async def test_timers_below_a_second_are_never_early(stage: Stage) -> None:
    """I-WF1: no timer fires, or is said to have fired, before its time to the nanosecond."""
    chance = random.Random(7)  # noqa: S311 - a test's cases
    moments = sorted(int(START * 1e9) + chance.randrange(1, 2_000_000_000) for _ in range(40))
    worker = stage.worker()
    await start(stage)
    actions = []
    for number, moment in enumerate(moments, 1):
        action = timer(number, START)
        action.createTimer.fireAt.FromNanoseconds(moment)
        actions.append(action)
    await worker.answer(await worker.turn(), *actions)
    fired: dict[int, wf.HistoryEvent] = {}
    for moment in moments:
        stage.clock.move_to(moment / 1e9 - 1e-5)
        await _take_fired(worker, fired)
        assert all(moments[number - 1] <= int(stage.clock.now() * 1e9) for number in fired)
        stage.clock.move_to(moment / 1e9 + 1e-6)
    await _take_fired(worker, fired)
    assert sorted(fired) == list(range(1, 41))
    for number, event in fired.items():
        assert event.timestamp.ToNanoseconds() >= moments[number - 1]


async def _take_fired(worker: ScriptedWorker, fired: dict[int, wf.HistoryEvent]) -> None:
    while not await worker.nothing(rounds=3):
        turn = await worker.turn()
        for event in turn.workflowRequest.newEvents[1:]:
            assert event.timerFired.timerId not in fired
            fired[event.timerFired.timerId] = event
        await worker.answer(turn)


@pytest.mark.row("I-WF1")
@pytest.mark.parametrize("stateful", [False, True])
async def test_large_results(stage: Stage, tmp_path: Path, *, stateful: bool) -> None:
    """I-WF1: a result beyond 4 MB arrives where messages may be so large, and outlives restarts."""
    worker = stage.worker(stateful=stateful, limit=16 << 20)
    await start(stage)
    await worker.answer(await worker.turn(), task(1))
    await worker.done(await worker.task(), LARGE)
    turn = await worker.turn()
    assert turn.workflowRequest.newEvents[1].taskCompleted.result.value == LARGE
    await worker.answer(turn, end(2, LARGE))
    await restart(stage, tmp_path)
    assert (await state_of(stage)).output.value == LARGE


@pytest.mark.row("I-WF1", "R-10")
@pytest.mark.parametrize(("instance_id", "segment"), IDS.values(), ids=IDS)
async def test_any_id_is_found_by_http_and_grpc(
    tmp_path: Path, instance_id: str, segment: str
) -> None:
    """I-WF1: over gRPC an id may be nearly anything; each version of HTTP finds it alone."""
    async with grpc_sidecar(tmp_path, {}) as sidecar:
        hub = await sidecar.inner.engine.workflows()
        stage = Stage(sidecar.inner.engine, sidecar.inner.clock, hub)
        worker = stage.worker()
        await begin(stage, worker, instance_id)
        await begin(stage, worker, "other")
        seen: list[Any] = []
        for version in VERSIONS:
            request = HttpRequest("GET", f"/{version}/workflows/dapr/{segment}", (), b"")
            response = await sidecar.inner.exchange.send(request)
            seen.append((response.status, json.loads(response.body)["instanceID"]))
        assert seen == [(200, instance_id)] * 3
        wanted = wf.GetInstanceRequest(instanceId=instance_id)
        found = await call(sidecar.channel, "GetInstance", wanted)
        assert (found.exists, found.workflowState.instanceId) == (True, instance_id)
        asked = wf.GetInstanceHistoryRequest(instanceId=instance_id)
        events = (await call(sidecar.channel, "GetInstanceHistory", asked)).events
        assert [event.WhichOneof("eventType") for event in events] == await history(
            stage, instance_id
        )
        request = HttpRequest("POST", f"/v1.0/workflows/dapr/{segment}/terminate", (), b"")
        assert (await sidecar.inner.exchange.send(request)).status == 202
        assert new_kinds(await worker.turn()) == ["executionTerminated"]
        assert await worker.nothing()


@pytest.mark.row("I-WF1")
@pytest.mark.parametrize("instance_id", ["a/b", "a\\b", "a#b", "a?b"])
async def test_ids_that_no_job_can_have(stage: Stage, instance_id: str) -> None:
    """I-WF1: an id that the scheduler of a real runtime refuses is refused, and nothing kept."""
    stage.worker()
    quoted = instance_id.replace("\\", "\\\\")
    with pytest.raises(WorkflowProblem) as raised:
        await start(stage, instance_id)
    before, _, after = str(raised.value).partition("start-")
    assert before == (
        "rpc error: code = Unknown desc = job name is invalid "
        f'"actorreminder||default||dapr.internal.default.app1.workflow||{quoted}||'
    )
    assert after[8:] == "\": must not contain '/', '\\', '#' or '?'"
    assert stage.workflows().ids("", 0).instance_ids == []


@pytest.mark.row("I-WF1")
async def test_pages_hold_every_instance_once(stage: Stage, tmp_path: Path) -> None:
    """I-WF1: a listing has each id of its app once, though some are purged between its pages."""
    worker = stage.worker()
    ids = [f"{name}{number}" for number in range(3) for name in ("a|", "a||b", "%_", "a@")]
    for instance_id in ids:
        await start(stage, instance_id)
        await worker.answer(await worker.turn(), end(1))
    first = stage.workflows().ids("", 5)
    assert first.instance_ids == ids[:5]
    assert first.token is not None
    await stage.workflows().purge(ids[0], recursive=True, force=False)
    await stage.workflows().purge(ids[6], recursive=True, force=False)
    await restart(stage, tmp_path)
    second = stage.workflows().ids(first.token, 5)
    third = stage.workflows().ids(second.token or "", 5)
    assert [*second.instance_ids, *third.instance_ids] == [ids[5], *ids[7:]]
    assert third.token is None
    assert stage.workflows("app2").ids("", 0).instance_ids == []
    for token in ("x", "-1", "1.5"):
        with pytest.raises(WorkflowProblem) as raised:
            stage.workflows().ids(token, 5)
        text = f'invalid continue token: strconv.ParseUint: parsing "{token}": invalid syntax'
        assert str(raised.value) == text
    with pytest.raises(WorkflowProblem, match="value out of range"):
        stage.workflows().ids("9" * 40, 5)


@pytest.mark.row("I-WF1")
async def test_calls_that_wait_tell_the_parent(stage: Stage) -> None:
    """I-WF1: as in a real runtime, waiting for a child tells its parent, asking does not."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), child(1, "c1"))
    await worker.answer(await worker.turn(), end(1))
    asked = await state_of(stage, "c1")
    assert not asked.HasField("parentInstanceId")
    for waited in (
        await stage.workflows().started("c1", payloads=False),
        await stage.workflows().completed("c1", payloads=False),
    ):
        assert (waited.parentInstanceId.value, waited.parentAppId.value) == ("i1", "app1")
    assert not (await stage.workflows().started("i1", payloads=False)).HasField("parentInstanceId")


@pytest.mark.row("I-WF1")
async def test_what_is_not_there_is_not_found(stage: Stage) -> None:
    """I-WF1: an instance that was never started, and one that was purged, are not found."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), end(1))
    await stage.workflows().purge("i1", recursive=True, force=False)
    for instance_id in ("i1", "never"):
        assert await status(stage, instance_id) == ""
        with pytest.raises(WorkflowProblem, match=f"workflow instance '{instance_id}' not found"):
            await stage.workflows().history(instance_id)
        with pytest.raises(WorkflowProblem, match=r"^no such instance exists$"):
            await stage.workflows().purge(instance_id, recursive=False, force=True)
