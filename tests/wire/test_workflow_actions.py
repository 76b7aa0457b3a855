"""Our worker, fed the work items of a real runtime, asks for what the official worker asked for."""

import re
from typing import Any

import msgspec
import pytest

from daprflow.protocol import messages
from daprflow.protocol import workflow_messages as pb
from daprflow.protocol.history_codec import read_events, write_turn
from daprflow.workflows.replay import Replay
from tests.wire.transcript import FOLDER, require_recordings
from tests.wire.workflow_programs import program

NAMES = (
    "async-activities",
    "child-workflow",
    "fan-out-fan-in",
    "human-approval",
    "monitor",
    "simple",
    "task-chaining",
)
pytestmark = pytest.mark.wire

MARKER = "__durabletask_autoobject__"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def recorded(name: str) -> list[tuple[Any, dict[str, Any]]]:
    """The work items of a recording, each with what the official worker answered.

    Those of the two recordings that were cut have no answer at their end.
    """
    require_recordings()
    items: list[Any] = []
    answers: dict[str, list[dict[str, Any]]] = {}
    for line in (FOLDER / f"workflow-{name}.jsonl").read_bytes().splitlines():
        step = msgspec.json.decode(line, type=dict[str, Any])
        method, event, value = step["method"].rpartition("/")[2], step["event"], step["value"]
        if method == "GetWorkItems" and event == "response" and "workflowRequest" in value:
            items.append(messages.ParseDict(value["workflowRequest"], pb.WorkflowRequest()))
        elif method == "CompleteOrchestratorTask" and event == "request":
            answers.setdefault(value["instanceId"], []).append(value)
    return [
        (item, answers[item.instanceId].pop(0)) for item in items if answers.get(item.instanceId)
    ]


def comparable(value: Any) -> Any:
    """Actions without what may differ: ids by shape, failures by their place, JSON as its value."""
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if not isinstance(value, dict):
        return "<uuid>" if isinstance(value, str) and UUID.fullmatch(value) else value
    found = {key: comparable(each) for key, each in value.items() if key != "failureDetails"}
    if "failureDetails" in value:
        found["failed"] = value["failureDetails"]["errorType"]
    for key in ("input", "result"):
        if isinstance(found.get(key), str):
            found[key] = without_marker(msgspec.json.decode(found[key]))
    return found


def without_marker(value: Any) -> Any:
    """A JSON value without what the official SDK adds to objects."""
    if isinstance(value, dict):
        return {key: without_marker(each) for key, each in value.items() if key != MARKER}
    return value


def answered(instance: str, turn: Any) -> dict[str, Any]:
    """What our worker sends, as the recordings write it."""
    return messages.MessageToDict(write_turn(instance, turn, ""))


@pytest.mark.parametrize("name", NAMES)
def test_each_item_from_scratch(name: str) -> None:
    """Every work item, replayed from its whole history, gives the recorded actions."""
    app = program()
    app.freeze()
    pairs = recorded(name)
    assert pairs
    for item, expected in pairs:
        replay = Replay(app.work().workflows, item.instanceId)
        turn = replay.turn(read_events(item.pastEvents), read_events(item.newEvents))
        assert replay.problem is None
        assert comparable(answered(item.instanceId, turn)) == comparable(expected)


@pytest.mark.parametrize("name", NAMES)
def test_kept_between_items(name: str) -> None:
    """A workflow that is kept alive, and given only what it has not seen, asks for the same."""
    app = program()
    app.freeze()
    kept: dict[str, Replay] = {}
    for item, expected in recorded(name):
        if not item.pastEvents:
            kept[item.instanceId] = Replay(app.work().workflows, item.instanceId)
        replay = kept[item.instanceId]
        past = read_events(item.pastEvents)[replay.seen :]
        turn = replay.turn(past, read_events(item.newEvents))
        assert comparable(answered(item.instanceId, turn)) == comparable(expected)
