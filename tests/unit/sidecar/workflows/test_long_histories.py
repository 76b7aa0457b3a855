"""Histories that no message can hold, and workers that take them in pages."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.workflows.problems import WorkflowProblem
from tests.helpers.scripted_worker import ScriptedWorker, Stage, end, open_stage
from tests.helpers.workflow_rows import raise_event, start, status, waiting_for

LIMIT = 20_000
PIECE = "x" * 3000


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine with the workflows of two apps."""
    made = await open_stage(tmp_path)
    yield made
    await made.engine.close()


async def grown(stage: Stage, worker: ScriptedWorker, pieces: int = 10) -> None:
    """Let an instance have a history that is longer than a message."""
    await start(stage)
    await worker.answer(await worker.turn(), waiting_for(1, "go"))
    for _ in range(pieces):
        await raise_event(stage, "i1", "e", PIECE)
        await worker.answer(await worker.turn())


async def whole(stage: Stage, size: int) -> list[wf.HistoryEvent]:
    """Return a history, read in pages."""
    events: list[wf.HistoryEvent] = []
    at = ""
    while True:
        page = await stage.workflows().history_page("i1", at, size)
        assert len(page.events) == 1 or sum(each.ByteSize() for each in page.events) <= size
        events += page.events
        at = page.following
        if not at:
            return events


async def test_a_paged_worker_goes_on(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """A long history is left out for a worker that asks for it; the log warns of real runtimes."""
    caplog.set_level(logging.WARNING)
    worker = stage.worker(stateful=True, limit=LIMIT, paged=True)
    await grown(stage, worker)
    told = [each for each in caplog.messages if "a real runtime stalls it" in each]
    assert len(told) == 1
    worker.leave()
    fresh = stage.worker(stateful=True, limit=LIMIT, paged=True)
    await raise_event(stage, "i1", "go")
    turn = await fresh.turn()
    request = turn.workflowRequest
    history = await stage.workflows().history("i1")
    assert (len(request.pastEvents), request.cachedHistory.eventCount) == (0, len(history))
    assert turn.ByteSize() <= LIMIT
    assert await whole(stage, 5000) == await whole(stage, 1) == list(history)
    await fresh.answer(turn, end(2))
    assert await status(stage) == "COMPLETED"


async def test_a_long_history_stalls_with_others(stage: Stage) -> None:
    """An instance that a paged worker had stalls with one that is none, until the next comes."""
    worker = stage.worker(stateful=True, limit=LIMIT, paged=True)
    await grown(stage, worker)
    worker.leave()
    other = stage.worker(stateful=True, limit=LIMIT)
    await raise_event(stage, "i1", "go")
    assert await other.nothing()
    assert await status(stage) == "STALLED"
    fresh = stage.worker(stateful=True, limit=LIMIT, paged=True)
    await fresh.answer(await fresh.turn(), end(2))
    assert await status(stage) == "COMPLETED"


async def test_what_arrived_comes_in_parts(stage: Stage) -> None:
    """More events than a message holds come in several turns, in their order."""
    worker = stage.worker(stateful=True, limit=LIMIT, paged=True)
    await start(stage)
    turn = await worker.turn()
    for number in range(15):
        await raise_event(stage, "i1", f"e{number}", PIECE)
    await worker.answer(turn, waiting_for(1, "go"))
    names: list[str] = []
    turns = 0
    while len(names) < 15:
        turn = await worker.turn()
        assert turn.ByteSize() <= LIMIT
        names += [each.eventRaised.name for each in turn.workflowRequest.newEvents[1:]]
        turns += 1
        await worker.answer(turn)
    assert names == [f"e{number}" for number in range(15)]
    assert turns == 3
    assert await worker.nothing()


async def test_what_no_message_holds_stalls(stage: Stage) -> None:
    """One event that is as large as a message stalls its instance with every worker."""
    worker = stage.worker(stateful=True, limit=LIMIT, paged=True)
    await start(stage)
    await worker.answer(await worker.turn(), waiting_for(1, "go"))
    await raise_event(stage, "i1", "e", "x" * LIMIT)
    assert await worker.nothing()
    assert await status(stage) == "STALLED"


async def test_pages_are_of_one_execution(stage: Stage) -> None:
    """A page of an execution that is over by now, or of none, is refused."""
    worker = stage.worker(stateful=True, limit=LIMIT, paged=True)
    await grown(stage, worker, 3)
    page = await stage.workflows().history_page("i1", "", 1)
    for at in ("nonsense", page.following + "x", "9." + page.following):
        with pytest.raises(WorkflowProblem, match="began anew") as refused:
            await stage.workflows().history_page("i1", at, 1)
        assert refused.value.code is Code.ABORTED
    with pytest.raises(WorkflowProblem, match="not found"):
        await stage.workflows().history_page("other", "", 1)
