"""What the official worker was given in the recordings: our engine gives it the same.

The worker's answers and its client's calls are those of the recording. An item is taken when the
recording has it, and results arrive just before the turn that had them there: how many of those
that come together a turn takes is a matter of speed.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.grpc_api import task_hub
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.workflows.execution import NEVER
from daprflow.sidecar.workflows.host import Host, WorkStream
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.wire.grpc_session import Event, read_events
from tests.wire.transcript import require_recordings

PROGRAMS = (
    "async-activities",
    "child-workflow",
    "fan-out-fan-in",
    "human-approval",
    "monitor",
    "simple",
    "task-chaining",
)
WORKER = ("CompleteOrchestratorTask", "CompleteActivityTask")
STREAM = "GetWorkItems"
NO_TURN: Mapping[str, Any] = {"instanceId": "", "newEvents": []}
QUIET = 0.05
"""Seconds of real time without an item after which virtual time passes."""
PATIENCE = 10.0

_time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_execution = re.compile(r'"executionId": ?"[0-9a-f-]{36}"')

pytestmark = pytest.mark.wire


def app_of(events: list[Event]) -> str:
    """Return the id of the app that was recorded."""
    found = re.search(r'"sourceAppID": ?"([^"]+)"', msgspec.json.encode(events).decode())
    assert found is not None
    return found[1]


def began(events: list[Event]) -> int:
    """Return when the recording began, in seconds since the epoch."""
    found = _time.search(msgspec.json.encode(events).decode())
    assert found is not None
    return int(datetime.fromisoformat(found[0][:19] + "Z").timestamp())


def shape(value: Any) -> Any:
    """Replace times and random ids, which differ from run to run."""
    text = msgspec.json.encode(value).decode()
    text = _time.sub(lambda found: found[0] if found[0].startswith("9999") else "<time>", text)
    return msgspec.json.decode(_execution.sub('"executionId":"<id>"', text))


def key_of(item: Mapping[str, Any]) -> tuple[str, str, int]:
    """Name an item by what it is about."""
    if "workflowRequest" in item:
        return "turn", item["workflowRequest"]["instanceId"], 0
    request = item["activityRequest"]
    return "task", request["workflowInstance"]["instanceId"], request["taskId"]


def results_in(turn: Mapping[str, Any]) -> set[int]:
    """Return which activities a turn has results of."""
    results = [
        event.get("taskCompleted") or event.get("taskFailed") or {} for event in turn["newEvents"]
    ]
    return {result["taskScheduledId"] for result in results if result}


class Replay:
    """Plays one recording."""

    def __init__(self, sidecar: GrpcSidecar, host: Host, began: int) -> None:
        self._sidecar = sidecar
        self._began = began
        self._host = host
        self._stream = WorkStream(stateful=False, limit=-1)
        self._early: dict[tuple[str, str, int], dict[str, Any]] = {}
        self._calls: dict[int, asyncio.Task[Any]] = {}
        self._results: list[Event] = []
        self.items: list[tuple[Any, Any]] = []
        self.answers: list[tuple[Any, Any]] = []

    async def play(self, event: Event) -> None:
        """Play one event."""
        method = event.method.rpartition("/")[2]
        match method, event.event:
            case "GetWorkItems", "request":
                self._host.attach(self._stream)
            case "CompleteActivityTask", "request":
                self._results.append(event)
            case "GetWorkItems", "response":
                await self._arrive(event.value.get("workflowRequest") or NO_TURN)
                self.items.append(
                    (shape(await self._item(key_of(event.value))), shape(event.value))
                )
            case "GetWorkItems", "end":
                self._host.detach(self._stream)
            case _, "request":
                self._calls[event.call] = asyncio.create_task(self._call(method, event.value))
                if method in WORKER:
                    await self._calls[event.call]
            case _, "response" if method not in WORKER:
                answer = await asyncio.wait_for(self._calls[event.call], PATIENCE)
                self.answers.append((shape(MessageToDict(answer)), shape(event.value)))
            case _, "end" if event.value["code"] == "CANCELLED_BY_CLIENT":
                self._calls[event.call].cancel()

    async def _arrive(self, turn: Mapping[str, Any]) -> None:
        """Give the engine the results that a turn has, and no others."""
        wanted = results_in(turn)
        for event in tuple(self._results):
            about = event.value
            if about["instanceId"] == turn["instanceId"] and about["taskId"] in wanted:
                self._results.remove(event)
                await self._call("CompleteActivityTask", about)

    async def _call(self, method: str, value: Any) -> Any:
        request = ParseDict(value, task_hub.METHODS[method].request())
        for action in getattr(request, "actions", ()):
            self._shift(action.createTimer.fireAt)
        known = wf.DESCRIPTOR.services_by_name["TaskHubSidecarService"].methods_by_name[method]
        answer = getattr(wf, known.output_type.name, wf.Empty)
        call = self._sidecar.channel.unary_unary(
            f"/TaskHubSidecarService/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return await call(request)

    def _shift(self, due: wf.Timestamp) -> None:
        """Bring a recorded time to the clock of this run; one that never comes stays."""
        if self._began < due.seconds < NEVER:
            due.seconds += int(self._sidecar.inner.clock.now()) - self._began

    async def _item(self, key: tuple[str, str, int]) -> dict[str, Any]:
        """Take items until the one comes that the recording has now."""
        while key not in self._early:
            item = await self._next()
            self._early[key_of(item)] = item
        return self._early.pop(key)

    async def _next(self) -> dict[str, Any]:
        taking = asyncio.create_task(self._host.next(self._stream))
        clock = self._sidecar.inner.clock
        for _ in range(int(PATIENCE / QUIET)):
            await asyncio.wait({taking}, timeout=QUIET)
            if taking.done():
                item: dict[str, Any] = MessageToDict(wf.WorkItem.FromString(taking.result()))
                del item["completionToken"]
                return item
            due = clock.due()
            if due is not None:
                clock.move_to(due)
        taking.cancel()
        raise AssertionError("the recording has an item that does not come")


async def replayed(root: Path, events: list[Event]) -> Replay:
    """Play a recording on a sidecar of its own."""
    async with grpc_sidecar(root, {}, options=RuntimeOptions(app_of(events))) as sidecar:
        workflows = await sidecar.inner.runtime.workflows.api()
        replay = Replay(sidecar, workflows.host, began(events))
        for event in events:
            await replay.play(event)
        return replay


@pytest.mark.parametrize("program", PROGRAMS)
async def test_work_items(program: str, tmp_path: Path) -> None:
    """The worker and the client are told what they were told by the real runtime."""
    require_recordings()
    events = read_events(f"workflow-{program}.jsonl")
    replay = await replayed(tmp_path, events)
    assert [observed for observed, _ in replay.items] == [recorded for _, recorded in replay.items]
    assert [answer for answer, _ in replay.answers] == [answer for _, answer in replay.answers]
    given = [each for each in events if each.method.endswith(STREAM) and each.event == "response"]
    assert len(replay.items) == len(given) > 0
