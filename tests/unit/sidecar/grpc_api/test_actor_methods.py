"""Actors over gRPC: calls, state, timers, reminders, and apps that host them through a stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from daprflow.protocol import messages as m
from daprflow.protocol.documents import AppConfig
from daprflow.sidecar.grpc_api.actor_line import ActorLine
from daprflow.testing.settling import Settling
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.recording import Answer, Call, RecordingApp

STORE = {"store": ("state.in-memory", {"actorStateStore": "true"})}
CONFIG = msgspec.json.encode({"entities": ["Counter"], "reentrancy": {"enabled": True}})


def answered(call: Call) -> Answer:
    """Answer as an app that hosts counters."""
    if call.path == "/dapr/config":
        return Answer(200, CONFIG, "application/json")
    if call.path.endswith("/bad"):
        return Answer(500, b"boom")
    if call.path.endswith("/raised"):
        return Answer(200, b"sorry", headers={"X-DaprErrorResponseHeader": "true"})
    return Answer(200, b"done")


@pytest.fixture
def app() -> RecordingApp:
    """An app that hosts counters."""
    return RecordingApp(answered)


@pytest.fixture
async def sidecar(tmp_path: Path, app: RecordingApp) -> AsyncIterator[GrpcSidecar]:
    """A sidecar for it."""
    async with grpc_sidecar(tmp_path, STORE, app) as running:
        running.inner.engine.placement.patience = 0.0
        yield running


def invoke(sidecar: GrpcSidecar, method: str = "inc", **more: Any) -> Any:
    """Call a method of one counter."""
    asked = {"actor_type": "Counter", "actor_id": "1", "method": method, **more}
    return sidecar.stub.InvokeActor(m.InvokeActorRequest(**asked))


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    """Return how a call failed."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details() or ""


@pytest.mark.row("I-AC")
async def test_a_call_reaches_an_http_app(sidecar: GrpcSidecar, app: RecordingApp) -> None:
    """Data and metadata become the body and the headers of a PUT."""
    answer = await invoke(sidecar, data=b"by", metadata={"X-Foo": "1", "Dapr-Reentrancy-Id": "r"})
    assert answer.data == b"done"
    made = app.calls[-1]
    assert (made.method, made.target, made.body) == ("PUT", "/actors/Counter/1/method/inc", b"by")
    sent = {name: made.header(name) for name in ("x-foo", "dapr-reentrancy-id", "dapr-api-call")}
    assert sent == {"x-foo": "1", "dapr-reentrancy-id": "r", "dapr-api-call": "true"}


@pytest.mark.row("I-AC")
async def test_errors_of_calls(sidecar: GrpcSidecar) -> None:
    """Each failure has the code and the text of the real runtime."""
    assert await refused(invoke(sidecar, "bad")) == (
        grpc.StatusCode.INTERNAL,
        "error invoke actor method: error from actor service: (500) boom",
    )
    text = "did not find address for actor 'Ghost/1'"
    assert await refused(invoke(sidecar, actor_type="Ghost")) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        f"failed to lookup actor: api error: code = FailedPrecondition desc = {text}",
    )
    code, text = await refused(invoke(sidecar, actor_id="a/b"))
    assert (code, text) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        'invalid actorId: name contains forbidden character: "a/b"',
    )
    assert (await invoke(sidecar, "raised")).data == b"sorry"


@pytest.mark.row("I-AL")
async def test_state_is_kept_as_bytes(sidecar: GrpcSidecar) -> None:
    """An active actor's state is read as it was written; another one's is not written at all."""
    value = m.AnyMessage(value=b"\x00raw")
    upsert = m.TransactionalActorStateOperation(operationType="upsert", key="k", value=value)
    asked = m.ExecuteActorStateTransactionRequest(
        actor_type="Counter", actor_id="1", operations=[upsert]
    )
    assert (await refused(sidecar.stub.ExecuteActorStateTransaction(asked)))[1] == (
        "actor instance is missing"
    )
    await invoke(sidecar)
    await sidecar.stub.ExecuteActorStateTransaction(asked)
    read = m.GetActorStateRequest(actor_type="Counter", actor_id="1", key="k")
    assert (await sidecar.stub.GetActorState(read)).data == b"\x00raw"


async def test_reminders_are_kept_told_listed_and_deleted(sidecar: GrpcSidecar) -> None:
    """What was registered is told as it was, and its data as JSON of base64."""
    for name in ("one", "two"):
        await sidecar.stub.RegisterActorReminder(
            m.RegisterActorReminderRequest(
                actor_type="Counter", actor_id="1", name=name, due_time="1h", period="1m", data=b"x"
            )
        )
    key = {"actor_type": "Counter", "actor_id": "1"}
    found = await sidecar.stub.GetActorReminder(m.GetActorReminderRequest(**key, name="one"))
    data = m.BytesValue()
    assert found.data.Unpack(data)
    assert (found.due_time, found.period, data.value) == ("1h", "@every 1m0s", b'"eA=="')
    listed = await sidecar.stub.ListActorReminders(
        m.ListActorRemindersRequest(actor_type="Counter")
    )
    assert [each.name for each in listed.reminders] == ["one", "two"]
    await sidecar.stub.UnregisterActorReminder(m.UnregisterActorReminderRequest(**key, name="one"))
    await sidecar.stub.UnregisterActorRemindersByType(
        m.UnregisterActorRemindersByTypeRequest(actor_type="Counter")
    )
    assert (
        await refused(sidecar.stub.GetActorReminder(m.GetActorReminderRequest(**key, name="two")))
    )[0] is grpc.StatusCode.NOT_FOUND


async def test_a_dropping_policy_gives_a_tick_up(sidecar: GrpcSidecar, app: RecordingApp) -> None:
    """With the policy to drop, a failed tick is not tried again."""
    app.answers["/actors/Counter/1/method/remind/r"] = Answer(500)
    await sidecar.stub.RegisterActorReminder(
        m.RegisterActorReminderRequest(
            actor_type="Counter",
            actor_id="1",
            name="r",
            due_time="1s",
            failure_policy=m.JobFailurePolicy(drop=m.JobFailurePolicyDrop()),
        )
    )
    settling = Settling(sidecar.inner.clock, sidecar.inner.engine.work)
    await settling.advance(timedelta(minutes=1))
    assert len([call for call in app.calls if "/remind/" in call.target]) == 1


@pytest.mark.row("I-AL")
async def test_a_stream_beside_an_http_app_is_refused(sidecar: GrpcSidecar) -> None:
    """An app that is called over HTTP hosts its actors there."""
    stream = sidecar.stub.SubscribeActorEventsAlpha1(iter(()))
    assert await refused(stream.read()) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "actor callback streaming requires a gRPC app channel",
    )


# ---- streams ------------------------------------------------------------------------------------


class Host:
    """An app that holds a stream open."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    async def next(self, kind: str) -> Any:
        """Return the next request, which is of a kind."""
        message = await asyncio.wait_for(self.stream.read(), 5)
        assert message.WhichOneof("response_type") == kind
        return getattr(message, kind)

    async def say(self, **answer: Any) -> None:
        """Answer."""
        await self.stream.write(m.SubscribeActorEventsRequestAlpha1(**answer))


@asynccontextmanager
async def host(sidecar: GrpcSidecar, *types: str, **more: Any) -> AsyncIterator[Host]:
    """Host types through a stream."""
    stream = sidecar.stub.SubscribeActorEventsAlpha1()
    hosting = Host(stream)
    initial = m.SubscribeActorEventsRequestInitialAlpha1(entities=types, **more)
    await hosting.say(initial_request=initial)
    await hosting.next("initial_response")
    try:
        yield hosting
    finally:
        stream.cancel()


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar without an app to call."""
    async with grpc_sidecar(tmp_path, STORE) as running:
        running.inner.engine.placement.patience = 0.0
        yield running


@pytest.mark.row("I-AL")
async def test_a_call_through_a_stream(bare: GrpcSidecar) -> None:
    """A call goes out with canonical metadata, and its answer comes back to the caller."""
    async with host(bare, "Counter") as app:
        call = asyncio.create_task(_data(invoke(bare, data=b"1", metadata={"x-foo": "y"})))
        request = await app.next("invoke_request")
        assert (request.id, request.actor_type, request.actor_id) == ("1", "Counter", "1")
        assert (request.method, request.data) == ("inc", b"1")
        assert request.metadata["X-Foo"] == "y"
        await app.say(
            invoke_response=m.SubscribeActorEventsRequestInvokeResponseAlpha1(id="1", data=b"2")
        )
        assert await call == b"2"


async def test_failures_through_a_stream(bare: GrpcSidecar) -> None:
    """A failed request is the caller's error; a missing method is told apart."""
    async with host(bare, "Counter") as app:
        for code, text in (
            (5, "actor method not found: inc"),
            (13, "error from actor service: no"),
        ):
            call = asyncio.create_task(refused(invoke(bare)))
            request = await app.next("invoke_request")
            await app.say(
                request_failed=m.SubscribeActorEventsRequestFailedAlpha1(
                    id=request.id, code=code, message="no"
                )
            )
            expected = f"error invoke actor method: {text}"
            assert await call == (grpc.StatusCode.INTERNAL, expected)


@pytest.mark.row("I-AL")
async def test_a_lost_stream_fails_its_calls_and_takes_its_types(bare: GrpcSidecar) -> None:
    """When the stream of an app breaks off, nobody waits for it, and its types are gone."""
    async with host(bare, "Counter") as app:
        call = asyncio.create_task(refused(invoke(bare)))
        await app.next("invoke_request")
    code, text = await asyncio.wait_for(call, 5)
    assert code is grpc.StatusCode.INTERNAL
    assert "actor" in text
    await bare.inner.until(lambda: not bare.inner.engine.placement.types)
    assert (await refused(invoke(bare)))[0] is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_stream_leaves_though_its_end_is_cut_short(bare: GrpcSidecar) -> None:
    """Who is cancelled while a stream ends does not keep its types hosted."""
    hosts = bare.inner.runtime.actors.hosting
    line = ActorLine()
    hosting = await hosts.join(line, AppConfig(entities=("Counter",)))
    leaving = asyncio.create_task(hosts.leave(line, hosting))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    await bare.inner.until(lambda: not bare.inner.engine.placement.types)


async def test_ticks_and_the_end_of_an_actor_through_a_stream(bare: GrpcSidecar) -> None:
    """Reminders, timers and deactivations go through the stream as calls do."""
    settling = Settling(bare.inner.clock, bare.inner.engine.work)
    idle = {"actor_idle_timeout": timedelta(seconds=30)}
    async with host(bare, "Counter", **idle) as app:
        key: dict[str, Any] = {
            "actor_type": "Counter", "actor_id": "1", "due_time": "1s", "data": b"x",
        }  # fmt: skip
        await bare.stub.RegisterActorReminder(m.RegisterActorReminderRequest(**key, name="r"))
        passing = asyncio.create_task(settling.advance(timedelta(seconds=1)))
        request = await app.next("reminder_request")
        assert (request.name, request.due_time, request.period) == ("r", "", "")
        done = m.SubscribeActorEventsRequestReminderResponseAlpha1(id=request.id)
        await app.say(reminder_response=done)
        await passing
        await bare.stub.RegisterActorTimer(
            m.RegisterActorTimerRequest(**key, name="t", callback="cb")
        )
        passing = asyncio.create_task(settling.advance(timedelta(seconds=1)))
        timer = await app.next("timer_request")
        assert (timer.name, timer.callback, timer.due_time) == ("t", "cb", "1s")
        answer = m.SubscribeActorEventsRequestReminderResponseAlpha1(id=timer.id)
        await app.say(timer_response=answer)
        await passing
        passing = asyncio.create_task(settling.advance(timedelta(seconds=31)))
        ended = await app.next("deactivate_request")
        assert (ended.actor_type, ended.actor_id) == ("Counter", "1")
        await app.say(
            deactivate_response=m.SubscribeActorEventsRequestDeactivateResponseAlpha1(id=ended.id)
        )
        await passing


@pytest.mark.row("I-AL")
async def test_the_newest_stream_gets_the_calls(bare: GrpcSidecar) -> None:
    """A second stream for a type takes its calls over, and gives them back when it ends."""
    async with host(bare, "Counter") as old:
        async with host(bare, "Counter") as new:
            call = asyncio.create_task(_data(invoke(bare)))
            request = await new.next("invoke_request")
            await _answer(new, request.id)
            assert await call == b"ok"
        placement = bare.inner.engine.placement
        await bare.inner.until(lambda: "Counter" in placement.types)
        call = asyncio.create_task(_data(invoke(bare)))
        await _answer(old, (await _invoked(old)).id)
        assert await call == b"ok"


async def test_the_end_of_the_sidecar_is_told(bare: GrpcSidecar) -> None:
    """An app that hosts through a stream is told of the end of its actors."""
    async with host(bare, "Counter") as app:
        call = asyncio.create_task(_data(invoke(bare)))
        await _answer(app, (await app.next("invoke_request")).id)
        await call
        closing = asyncio.create_task(bare.inner.runtime.close(1.0))
        ended = await app.next("deactivate_request")
        await app.say(
            deactivate_response=m.SubscribeActorEventsRequestDeactivateResponseAlpha1(id=ended.id)
        )
        await closing


@pytest.mark.row("I-AL")
async def test_the_first_message_must_be_the_initial_one(bare: GrpcSidecar) -> None:
    """A stream that begins otherwise is refused."""
    stream = bare.stub.SubscribeActorEventsAlpha1()
    await stream.write(m.SubscribeActorEventsRequestAlpha1())
    code, _ = await refused(stream.read())
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def _data(call: Any) -> bytes:
    data: bytes = (await call).data
    return data


async def _answer(app: Host, number: str) -> None:
    made = m.SubscribeActorEventsRequestInvokeResponseAlpha1(id=number, data=b"ok")
    await app.say(invoke_response=made)


async def _invoked(app: Host) -> Any:
    """Return the next call, after the end of the actor that the other stream had."""
    while True:
        message = await asyncio.wait_for(app.stream.read(), 5)
        kind = message.WhichOneof("response_type")
        if kind == "invoke_request":
            return message.invoke_request
        assert kind == "deactivate_request"
        done = m.SubscribeActorEventsRequestDeactivateResponseAlpha1(
            id=message.deactivate_request.id
        )
        await app.say(deactivate_response=done)
