"""The steps of ``http-resiliency.jsonl`` against the embedded sidecar, on a clock of the test.

Attempts are compared with the times between them, which the recording spent in real time. Spans
are not made here, so of a ``traceparent`` only what the caller sent of it is compared.
"""

import asyncio
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol.http import HttpResponse
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.resources import load_resources
from tests.helpers.recording import Call, RecordingApp
from tests.helpers.sidecar import in_process_sidecar
from tests.wire.driver import CONFIGURATION, Driver, Observed, TimedApp
from tests.wire.normal import Normal, Normaliser
from tests.wire.replay import RecordedApp
from tests.wire.transcript import FOLDER, AppCall, Step, read_steps, require_recordings

STEPS = read_steps("http-resiliency.jsonl")
INPUTS = FOLDER / "inputs" / "http-resiliency"
NOT_OFFERED_METADATA = ("scheduler",)
"""The address of a service that is not there."""

REPLAYED = range(1, len(STEPS))
"""All but the start, which has a test of its own."""

LASTING = "/actors/Counter/c1/method/remind/rc"
"""A reminder that no step deletes."""

CALLERS = "0af7651916cd43dd8448eb211c80319c"
"""The trace that the recording's driver sent with some requests."""

PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
EVENT_PARENT = re.compile(r'"(traceid|traceparent)":"(?:<trace>)?"')
TOLERANCE = 0.06
"""Seconds by which the recording's attempts may be late."""

pytestmark = pytest.mark.wire


async def play_all(root: Path) -> dict[int, Observed]:
    """Play the steps in order, each behind those before it."""
    folder = root / "resources"
    shutil.copytree(INPUTS, folder)
    for file in folder.iterdir():
        file.chmod(0o600)
    (folder / "configuration.yaml").unlink()  # it is not read from here
    clock = VirtualClock(1_700_000_000.0)
    app = TimedApp(clock, RecordingApp(RecordedApp(STEPS[0])))
    resources = replace(load_resources([folder], "app1"), configuration=CONFIGURATION)
    assert resources.problems == resources.left_out == ()
    async with in_process_sidecar(root, {}, app, clock=clock, files=resources) as sidecar:
        driver = Driver(sidecar, app, folder)
        started = Observed(HttpResponse(0, (), b""), tuple(app.recording.calls), tuple(app.times))
        played = {0: started}
        for number in REPLAYED:
            played[number] = await driver.play(STEPS[number])
        assert sidecar.runtime.shutdown_requested.is_set()
        played[REPLAYED[-1]] = await driver.end(played[REPLAYED[-1]])
        return played


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Observed]:
    """Play everything once."""
    require_recordings()
    return asyncio.run(play_all(tmp_path_factory.mktemp("wire")))


def traced(text: str) -> str:
    """Leave of trace parents only whether they are of the caller's trace."""
    text = PARENT.sub(lambda found: "<the caller's>" if found[1] == CALLERS else "<trace>", text)
    return EVENT_PARENT.sub(r'"\1":"<trace>"', text)


def outcome(status: int, headers: Any, body: str, calls: Sequence[Any]) -> Normal:
    """Bring what happened into the form in which it is compared."""
    normal = Normaliser({"127.0.0.1:46100": "<app>", "46100": "1"})
    decoded = normal.body(traced(body))
    if isinstance(decoded, dict) and "runtimeVersion" in decoded:
        decoded = {key: decoded[key] for key in decoded if key not in NOT_OFFERED_METADATA}
        decoded["enabledFeatures"] = sorted(decoded["enabledFeatures"])  # in any order there
        decoded["components"] = sorted(c["name"] for c in decoded["components"])
        decoded["subscriptions"] = [
            item for item in decoded["subscriptions"] if item["pubsubname"] == "pubsub"
        ]
        decoded.pop("appConnectionProperties")
    answered = normal.answer_headers([(key, traced(value)) for key, value in headers])
    made = [
        normal.call(method, path, [(key, traced(value)) for key, value in pairs], traced(text))
        for method, path, pairs, text in calls
    ]
    return Normal(status, answered, decoded, tuple(made))


def is_left_over(step: Step, path: str) -> bool:
    """Whether a call is a tick of the one reminder that goes on after its step."""
    return path == LASTING and step.step != "actor reminder cancelled by header"


def recorded_calls(step: Step) -> list[AppCall]:
    """Return the calls of a step, without those that an earlier one goes on to bring about."""
    return [call for call in step.app_calls if not is_left_over(step, call.path)]


def observed_calls(step: Step, observed: Observed) -> list[tuple[Call, float]]:
    """Return the same of what was observed, with the time of each call."""
    calls = zip(observed.calls, observed.times, strict=True)
    return [(call, at) for call, at in calls if not is_left_over(step, call.path)]


@pytest.mark.parametrize("number", REPLAYED, ids=[STEPS[number].step for number in REPLAYED])
def test_step(number: int, session: dict[int, Observed]) -> None:
    """The embedded sidecar answers this step, and calls the app as often, as the real runtime."""
    step, observed = STEPS[number], session[number]
    assert step.response is not None
    recorded = step.response
    assert outcome(
        observed.response.status,
        observed.response.headers,
        observed.response.body.decode(),
        [
            (call.method, call.target, call.headers, call.body.decode())
            for call, _ in observed_calls(step, observed)
        ],
    ) == outcome(
        recorded.status,
        recorded.headers,
        recorded.body,
        [(call.method, call.path, call.headers, call.body) for call in recorded_calls(step)],
    )


@pytest.mark.parametrize(
    "number",
    [
        number
        for number in REPLAYED
        if len(recorded_calls(STEPS[number])) > 1
        and not any(before.sleep_s for before in STEPS[number].before)
    ],
    ids=lambda number: STEPS[number].step,
)
def test_pauses_between_attempts(number: int, session: dict[int, Observed]) -> None:
    """Attempts come as far apart as those of the real runtime."""
    times = [call.t for call in recorded_calls(STEPS[number])]
    theirs = [later - earlier for earlier, later in pairwise(times)]
    made = observed_calls(STEPS[number], session[number])
    ours = [later - earlier for (_, earlier), (_, later) in pairwise(made)]
    assert ours == pytest.approx(theirs, abs=TOLERANCE)


def test_what_is_replayed() -> None:
    """The recording holds the steps that this module replays."""
    require_recordings()
    assert len(STEPS) == 44
    assert len(REPLAYED) == 43


def test_startup(session: dict[int, Observed]) -> None:
    """Before the first request the app is asked what the real runtime asks."""
    asked = [(call.method, call.target, sorted(call.headers), "") for call in session[0].calls]
    recorded = [(c.method, c.path, sorted(c.headers), "") for c in STEPS[0].app_calls]
    assert outcome(200, (), "", asked) == outcome(200, (), "", recorded)
