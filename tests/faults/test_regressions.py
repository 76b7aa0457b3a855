"""Faults that reached users of a real runtime (R- rows) and have no test beside the part itself."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from daprflow.protocol.documents import Subscription
from daprflow.protocol.subscription_resource import SubscriptionResource
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.http import HttpChannel
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import SystemClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from daprflow.sidecar.workflows import events
from daprflow.sidecar.workflows.execution import Execution
from tests.helpers.recording import Answer, Call, RecordingApp, serve
from tests.helpers.scripted_worker import again, end, task
from tests.helpers.sidecar import Components, in_process_sidecar, resources
from tests.helpers.subscribers import DURABLE, subscribed
from tests.helpers.workflow_rows import (
    history,
    new_kinds,
    opened,
    raise_event,
    start,
    status,
    waiting_for,
)

MANY = 1_000
FLAPS = 50
MIB = 1 << 20
STREAMED = 64 * MIB


# ---- workflows ----------------------------------------------------------------------------------


@pytest.mark.row("R-13")
def test_a_thousand_waits_leave_no_timer() -> None:
    """Each wait's timer goes with its event, however often one name is awaited again."""
    execution = Execution()
    for number in range(MANY):
        made = events.bare(1.0)
        made.eventId = number
        made.timerCreated.fireAt.seconds = 2_000_000_000
        made.timerCreated.externalEvent.name = "go"
        execution.apply(made)
        execution.apply(events.raised("go", None, 1.0))
    assert execution.timers == {}


@pytest.mark.row("R-16")
async def test_one_completion_a_thousand_times(tmp_path: Path) -> None:
    """An answer that is given again and again is in the history once, and keeps nobody busy."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        await start(stage)
        await worker.answer(await worker.turn(), task(1), task(2))
        first, second = await worker.task(), await worker.task()
        for _ in range(MANY):
            await worker.done(first)
        turn = await worker.turn()
        assert new_kinds(turn) == ["taskCompleted"]
        await worker.answer(turn)
        assert await worker.nothing()
        assert (await history(stage)).count("taskCompleted") == 1
        await worker.done(second)
        await worker.answer(await worker.turn(), end(3))
        assert await status(stage) == "COMPLETED"


@pytest.mark.row("R-23")
@pytest.mark.parametrize("burst", [100, 1_000])
async def test_bursts_over_rounds(tmp_path: Path, burst: int) -> None:
    """Of a burst each round takes ten and hands the others on: all are seen once, in order."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        await start(stage)
        await worker.answer(await worker.turn(), waiting_for(1, "go"))
        for number in range(burst):
            await raise_event(stage, "i1", "go", str(number))
        seen: list[str] = []
        while len(seen) < burst:
            turn = await worker.turn()
            raised = [e for e in turn.workflowRequest.newEvents if e.HasField("eventRaised")]
            seen += [event.eventRaised.input.value for event in raised[:10]]
            following = again(2) if len(seen) < burst else end(2)
            following.completeWorkflow.carryoverEvents.extend(raised[10:])
            await worker.answer(turn, following)
        assert seen == [str(number) for number in range(burst)]
        assert await status(stage) == "COMPLETED"


# ---- events -------------------------------------------------------------------------------------


def declared(*topics: str) -> Resources:
    """Return a broker's file with a subscription to each of ``topics``."""
    return Resources(
        resources(DURABLE).components,
        subscriptions=tuple(
            SubscriptionResource(
                f"of-{topic}", Subscription("pubsub", topic, route=f"/{topic}"), source="s.yaml:1"
            )
            for topic in topics
        ),
    )


@pytest.mark.row("R-19")
async def test_a_subscription_that_comes_and_goes_harms_no_other(tmp_path: Path) -> None:
    """A sibling gets each event once, in order, while another subscription flaps 50 times."""
    async with subscribed(tmp_path, [], files=declared("stays")) as found:
        for number in range(FLAPS):
            topics = ("stays", "flaps") if number % 2 else ("stays",)
            await found.publish("stays", number)
            assert await found.sidecar.runtime.reload(declared(*topics)) == ()
        calls = await found.arrived("/stays", FLAPS)
        await found.sidecar.engine.work.idle()
        assert [call.json()["data"] for call in calls] == list(range(FLAPS))
        await found.publish("flaps", "last")
        assert (await found.arrived("/flaps"))[-1].json()["data"] == "last"


BULK = {
    "topic": "bulk",
    "route": "/bulk",
    "bulkSubscribe": {"enabled": True, "maxMessagesCount": 3, "maxAwaitDurationMs": 500},
}


def done_with(call: Call) -> Answer:
    """Acknowledge each entry of a batch."""
    entries = [{"entryId": e["entryId"], "status": "SUCCESS"} for e in call.json()["entries"]]
    return Answer.of({"statuses": entries})


@pytest.mark.row("I-PS", "R-24")
async def test_a_full_batch_begins_the_wait_anew(tmp_path: Path) -> None:
    """What comes after a batch that was full early waits its whole time, not the old batch's."""
    async with subscribed(tmp_path, [BULK], DURABLE) as found:
        found.app.computed["/bulk"] = done_with
        clock, began = found.sidecar.clock, found.sidecar.clock.now()
        for at, numbers in ((0.0, [0]), (0.4, [1, 2, 3])):
            clock.move_to(began + at)
            for number in numbers:
                await found.publish("bulk", number)
            await found.sidecar.engine.work.idle()
        assert [len(call.json()["entries"]) for call in found.app.to("/bulk")] == [3]
        for at, batches in ((0.5, 1), (0.89, 1), (0.91, 2)):
            clock.move_to(began + at)
            await found.sidecar.engine.work.idle()
            await asyncio.sleep(0)
            await found.sidecar.engine.work.idle()
            assert len(found.app.to("/bulk")) == batches, at


# ---- bodies -------------------------------------------------------------------------------------


async def counting(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back each piece of a body as it comes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        event = await receive()
        more = event.get("more_body", False)
        await send(
            {"type": "http.response.body", "body": event.get("body", b""), "more_body": more}
        )


def resident() -> int:
    """Return how many bytes of memory this process has."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.row("R-20", "I-IN")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures through /proc")
async def test_a_streamed_body_is_never_held_whole(tmp_path: Path) -> None:
    """64 MiB go to an app and back through a sidecar without a third of that in memory."""
    engine = Engine(SystemClock(), None, tmp_path)
    async with serve(counting) as app_port:
        channel = HttpChannel("127.0.0.1", app_port)
        options = replace(RuntimeOptions("one", app_port=app_port), max_body_size=2 * STREAMED)
        runtime = Runtime(engine, options, Resources(), HttpApp(channel))
        await runtime.open()
        async with serve(HttpApi(runtime)) as port, asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /v1.0/invoke/one/method/x HTTP/1.1\r\nhost: localhost\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            before = peak = resident()

            async def upload() -> None:
                piece = b"%x\r\n%s\r\n" % (MIB, b"x" * MIB)
                for _ in range(STREAMED // MIB):
                    writer.write(piece)
                    await writer.drain()
                writer.write(b"0\r\n\r\n")

            sending = asyncio.create_task(upload())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            got = 0
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
                got += size
                peak = max(peak, resident())
            await sending
            writer.close()
            await writer.wait_closed()
        await runtime.close(0.0)
        await channel.close()
        await engine.close()
    assert got == STREAMED
    assert peak - before < STREAMED / 3


# ---- bindings -----------------------------------------------------------------------------------


class LateApp(AsgiChannel):
    """A channel whose app does not listen at first."""

    listens = False

    async def probe(self) -> bool:
        """Tell whether the app listens."""
        return self.listens


@pytest.mark.row("R-28")
@pytest.mark.parametrize("listens_after", [0, 5, 30])
async def test_bindings_of_an_app_that_is_slow_to_start(tmp_path: Path, listens_after: int) -> None:
    """However late an app listens, its bindings begin then, those with a direction as well."""
    components: Components = {
        "asked": ("bindings.cron", {"schedule": "@every 1s"}),
        "told": ("bindings.cron", {"schedule": "@every 1s", "direction": "input"}),
    }
    app = RecordingApp()
    late = LateApp(app)
    async with in_process_sidecar(tmp_path, components, channel=late, connect=False) as sidecar:
        connecting = asyncio.create_task(sidecar.runtime.connect())
        opens = sidecar.clock.now() + listens_after
        await sidecar.until(lambda: sidecar.clock.now() >= opens)
        assert app.calls == []
        late.listens = True
        await sidecar.until(connecting.done)
        await sidecar.until(lambda: all(posted(app, path) for path in ("/asked", "/told")))


def posted(app: RecordingApp, path: str) -> list[Call]:
    """Return the events that came to ``path``."""
    return [call for call in app.to(path) if call.method == "POST"]
