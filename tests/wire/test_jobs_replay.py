"""The recorded steps about jobs against the embedded sidecar, on a clock that the test moves.

The recording waits for ticks, and so would a replay in real time. Here each step's wait passes at
once, which also shows that no more calls come in it than were recorded.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest
from daprflow.testing.settling import Settling
from tests.helpers.recording import RecordingApp
from tests.helpers.sidecar import in_process_sidecar
from tests.wire.normal import Normaliser
from tests.wire.replay import LEFT_OUT, answer_of
from tests.wire.transcript import JOBS, Step, read_steps, require_recordings

STEPS = [step for step in read_steps("http.jsonl") if step.step.startswith(JOBS)]
TRACED = [step for step in read_steps("http-resiliency.jsonl") if step.step == "job traced"]

pytestmark = pytest.mark.wire


@dataclass(frozen=True, slots=True)
class Observed:
    """What came of a step: status, facts of the headers, body; and the calls on the app."""

    answer: tuple[int, Any, Any]
    calls: list[tuple[str, str, Any, Any]]


async def play(root: Path, steps: Sequence[Step]) -> list[Observed]:
    """Play ``steps`` in order, each with the time that it waited."""
    app = RecordingApp()
    observed = []
    async with in_process_sidecar(root, {}, app, data_dir=root) as sidecar:
        settling = Settling(sidecar.clock, sidecar.engine.work)
        for step in steps:
            assert step.request is not None
            for before in step.before:
                app.answers |= {
                    path: answer_of(answer)
                    for path, answer in before.app_answers.items()
                    if not isinstance(answer, str)
                }
            seen = len(app.calls)
            body = step.request.body if isinstance(step.request.body, str) else ""
            headers = tuple(step.request.headers.items())
            response = await sidecar.exchange.send(
                HttpRequest(step.request.method, step.request.path, headers, body.encode())
            )
            await settling.advance(timedelta(seconds=step.wait_s))
            observed.append(
                Observed(
                    comparable_answer(response.status, response.headers, response.body.decode()),
                    [
                        comparable_call(call.method, call.target, call.headers, call.body)
                        for call in app.calls[seen:]
                    ],
                )
            )
    return observed


def comparable_answer(status: int, headers: Any, body: str) -> tuple[int, Any, Any]:
    """Bring an answer into the form in which it is compared."""
    normal = Normaliser({})
    return status, normal.answer_headers(headers), normal.body(body)


def comparable_call(
    method: str, target: str, headers: Any, body: bytes
) -> tuple[str, str, Any, Any]:
    """Bring a call into that form; the spaces that protobuf's JSON has are no fact."""
    call = Normaliser({}).call(method, target, headers, "")
    return method, target, call.headers, msgspec.json.decode(body) if body else None


def recorded(step: Step) -> Observed:
    """What the real runtime did."""
    assert step.response is not None
    return Observed(
        comparable_answer(step.response.status, step.response.headers, step.response.body),
        [
            comparable_call(call.method, call.path, call.headers, call.body.encode())
            for call in step.app_calls
            if call.path != LEFT_OUT and not call.path.startswith("/actors/")
        ],
    )


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> list[Observed]:
    """Play everything once."""
    require_recordings()
    return asyncio.run(play(tmp_path_factory.mktemp("jobs"), STEPS))


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[step.step for step in STEPS])
def test_step(number: int, session: list[Observed]) -> None:
    """The embedded sidecar answers this step, and calls the app, as the real runtime did."""
    assert session[number] == recorded(STEPS[number])


async def test_traced_job(tmp_path: Path) -> None:
    """The trace of the call that schedules a job goes into its answer, and not to the app."""
    require_recordings()
    [observed] = await play(tmp_path, TRACED)
    expected = recorded(TRACED[0])
    assert observed.calls == expected.calls
    assert observed.answer[0] == expected.answer[0]
    trace = {name: value[:36] for name, value in observed.answer[1]}
    assert trace == {name: value[:36] for name, value in expected.answer[1]}


def test_recordings_are_present() -> None:
    """The recordings hold the steps that this module replays."""
    require_recordings()
    assert (len(STEPS), len(TRACED)) == (30, 1)
