"""Row S-32 of the regression pack: no actor API reaches the workflows of an app."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol import messages as m
from daprflow.protocol.http import HttpRequest
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.scripted_worker import Stage
from tests.helpers.sidecar import Components
from tests.helpers.workflow_rows import begin, history

ACTOR = "dapr.internal.default.app1.workflow"
RESERVED = (
    f'actor type "{ACTOR}" is reserved for the Dapr workflow runtime; '
    "direct actor API access is not permitted"
)
STATE = b'[{"operation":"delete","request":{"key":"metadata"}}]'
DUE = b'{"dueTime":"1s"}'
STORE: Components = {"s": ("state.in-memory", {"actorStateStore": "true"})}


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with an instance ``i1`` that waits."""
    async with grpc_sidecar(
        tmp_path, {"s": ("state.in-memory", {"actorStateStore": "true"})}
    ) as it:
        it.inner.engine.placement.patience = 0.0
        hub = await it.inner.engine.workflows()
        stage = Stage(it.inner.engine, it.inner.clock, hub)
        await begin(stage, stage.worker())
        before = await history(stage)
        yield it
        assert await history(stage) == before


@pytest.mark.row("I-WF7", "S-32")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "state/metadata", b""),
        ("POST", "state", STATE),
        ("POST", "reminders/start", DUE),
        ("GET", "reminders/start", b""),
        ("DELETE", "reminders/start", b""),
        ("POST", "timers/start", DUE),
        ("DELETE", "timers/start", b""),
    ],
)
async def test_http_refuses(sidecar: GrpcSidecar, method: str, path: str, body: bytes) -> None:
    """S-32: state, reminders and timers of a workflow's actor are nobody's over HTTP."""
    request = HttpRequest(method, f"/v1.0/actors/{ACTOR}/i1/{path}", (), body)
    response = await sidecar.inner.exchange.send(request)
    found = json.loads(response.body)
    assert (response.status, found["errorCode"], found["message"]) == (
        403,
        "ERR_ACTOR_TYPE_RESERVED",
        RESERVED,
    )


@pytest.mark.row("I-WF7")
async def test_grpc_refuses(sidecar: GrpcSidecar) -> None:
    """S-32: the same holds for every method of the gRPC API."""
    who: dict[str, Any] = {"actor_type": ACTOR, "actor_id": "i1"}
    for call in (
        sidecar.stub.GetActorState(m.GetActorStateRequest(**who, key="metadata")),
        sidecar.stub.ExecuteActorStateTransaction(m.ExecuteActorStateTransactionRequest(**who)),
        sidecar.stub.RegisterActorReminder(m.RegisterActorReminderRequest(**who, name="n")),
        sidecar.stub.UnregisterActorReminder(m.UnregisterActorReminderRequest(**who, name="n")),
        sidecar.stub.RegisterActorTimer(m.RegisterActorTimerRequest(**who, name="n")),
        sidecar.stub.UnregisterActorTimer(m.UnregisterActorTimerRequest(**who, name="n")),
    ):
        found = await refusal(call)
        assert (found.code, found.text) == ("PERMISSION_DENIED", RESERVED)


@pytest.mark.row("I-WF7")
@pytest.mark.parametrize("kind", ["workflow", "activity", "retentioner", "executor"])
async def test_nobody_is_there_to_be_invoked(sidecar: GrpcSidecar, kind: str) -> None:
    """S-32: no method of a workflow's actors can be invoked, with a worker or without one."""
    path = f"/v1.0/actors/dapr.internal.default.app1.{kind}/i1/method/AddWorkflowEvent"
    response = await sidecar.inner.exchange.send(HttpRequest("POST", path, (), b""))
    assert response.status == 500
    assert "did not find address for actor" in json.loads(response.body)["message"]
