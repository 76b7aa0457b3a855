"""The recorded steps about actors against the embedded sidecar, on a clock that the test moves."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.protocol.http import HttpResponse
from daprflow.sidecar.clock import VirtualClock
from tests.helpers.recording import RecordingApp
from tests.helpers.sidecar import in_process_sidecar
from tests.wire.driver import Driver, Observed, TimedApp
from tests.wire.normal import Normal, Normaliser
from tests.wire.replay import LEFT_OUT, RecordedApp
from tests.wire.transcript import ACTORS, AppCall, Step, read_steps, require_recordings

ALL = read_steps("http.jsonl")
STEPS = [step for step in ALL if step.step.startswith(ACTORS)]
COMPONENTS = {"statestore": ("state.in-memory", {"actorStateStore": "true"})}
OF_ACTORS = ("actors", "actorRuntime")
"""What of the metadata document is compared; other tests look at the rest."""

pytestmark = pytest.mark.wire


async def play_all(root: Path) -> list[Observed]:
    """Play the steps in order."""
    clock = VirtualClock(1_700_000_000.0)
    app = TimedApp(clock, RecordingApp(RecordedApp(ALL[0])))
    async with in_process_sidecar(root, COMPONENTS, app, clock=clock) as sidecar:
        driver = Driver(sidecar, app, root)
        return [await driver.play(step) for step in STEPS]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> list[Observed]:
    """Play everything once."""
    require_recordings()
    return asyncio.run(play_all(tmp_path_factory.mktemp("actors")))


def outcome(status: int, headers: Any, body: str, calls: Sequence[Any]) -> Normal:
    """Bring what happened into the form in which it is compared."""
    normal = Normaliser({})
    found = normal.body(body)
    if isinstance(found, dict) and "runtimeVersion" in found:
        found = {key: found[key] for key in OF_ACTORS}
    made = [normal.call(*call) for call in calls]
    return Normal(status, normal.answer_headers(headers), found, tuple(made))


def recorded_calls(step: Step) -> list[AppCall]:
    """Return the calls of a step, without those of the binding that ticks all the time."""
    return [call for call in step.app_calls if call.path != LEFT_OUT]


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[step.step for step in STEPS])
def test_step(number: int, session: list[Observed]) -> None:
    """The embedded sidecar answers this step, and calls the app, as the real runtime did."""
    step, observed = STEPS[number], session[number]
    answer = step.response or HttpResponse(0)
    recorded = answer.body if isinstance(answer.body, str) else answer.body.decode()
    assert outcome(
        observed.response.status,
        observed.response.headers,
        observed.response.body.decode(),
        [(call.method, call.target, call.headers, call.body.decode()) for call in observed.calls],
    ) == outcome(
        answer.status,
        answer.headers,
        recorded,
        [(call.method, call.path, call.headers, call.body) for call in recorded_calls(step)],
    )


def test_ticks_have_no_spaces_more_than_recorded(session: list[Observed]) -> None:
    """The bodies of ticks are those of the real runtime, byte by byte."""
    ours = [call.body for each in session for call in each.calls if b'"dueTime"' in call.body]
    theirs = [
        call.body.encode()
        for step in STEPS
        for call in recorded_calls(step)
        if '"dueTime"' in call.body
    ]
    assert ours == theirs
    assert msgspec.json.decode(ours[0])["callback"] == "tick"


def test_recordings_are_present() -> None:
    """The recording holds the steps that this module replays."""
    require_recordings()
    assert len(STEPS) == 28
