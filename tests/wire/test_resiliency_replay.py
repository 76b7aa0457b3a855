"""The steps of ``http-resiliency.jsonl`` against the embedded sidecar, on a clock of the test.

Attempts are compared with the times between them, which the recording spent in real time. Spans
are not made here, so of a ``traceparent`` only what the caller sent of it is compared.
"""

import asyncio
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.resources import load_resources
from tests.helpers.recording import Call, RecordingApp
from tests.helpers.sidecar import InProcessSidecar, in_process_sidecar
from tests.wire.normal import Normal, Normaliser
from tests.wire.replay import RecordedApp, answer_of
from tests.wire.transcript import FOLDER, AppCall, Before, Step, read_steps, require_recordings

STEPS = read_steps("http-resiliency.jsonl")
INPUTS = FOLDER / "inputs" / "http-resiliency"
CONFIGURATION = ConfigurationResource(features=(("ActorStateTTL", True),))
"""What the recording's Configuration says beside tracing."""

LEFT_OUT = ("startup", "actor ")
"""Actors are not offered yet, and the start has a test of its own."""

OF_ACTORS = "/actors/"
NOT_OFFERED_METADATA = ("actors", "actorRuntime", "scheduler")
"""Parts of the metadata document about actors, and the address of a service that is not there."""

OF_WORKFLOWS = "WorkflowsRemoteActivityReminder"
"""A feature of a building block not offered yet."""

REPLAYED = [number for number, step in enumerate(STEPS) if not step.step.startswith(LEFT_OUT)]
CALLERS = "0af7651916cd43dd8448eb211c80319c"
"""The trace that the recording's driver sent with some requests."""

PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
EVENT_PARENT = re.compile(r'"(traceid|traceparent)":"(?:<trace>)?"')
QUIET = 60
"""Turns of the loop without a call on the app after which only time can bring one."""

TOLERANCE = 0.06
"""Seconds by which the recording's attempts may be late."""

pytestmark = pytest.mark.wire


@dataclass(slots=True)
class TimedApp:
    """The recording's app, with the time of each call."""

    clock: VirtualClock
    recording: RecordingApp
    times: list[float] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        self.times.append(self.clock.now())
        await self.recording(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Observed:
    """What came of a step."""

    response: HttpResponse
    calls: tuple[Call, ...]
    times: tuple[float, ...]


class Driver:
    """Plays steps: time moves when nothing else does."""

    def __init__(self, sidecar: InProcessSidecar, app: TimedApp, folder: Path) -> None:
        self._sidecar = sidecar
        self._app = app
        self._folder = folder

    async def play(self, step: Step) -> Observed:
        """Play one step with the time that it took."""
        seen = len(self._app.recording.calls)
        await self.prepare(step)
        assert step.request is not None
        body = step.request.body if isinstance(step.request.body, str) else ""
        request = HttpRequest(
            step.request.method,
            step.request.path,
            tuple(step.request.headers.items()),
            body.encode(),
        )
        task = asyncio.create_task(self._sidecar.exchange.send(request))
        await self._quiet()
        while not task.done():
            await self._step(self._sidecar.clock.due())
        await self._pass(step.wait_s)
        return Observed(
            task.result(),
            tuple(self._app.recording.calls[seen:]),
            tuple(self._app.times[seen:]),
        )

    async def prepare(self, step: Step) -> None:
        """Do what the recording did before the step."""
        for before in step.before:
            await self._do(before)

    async def _do(self, before: Before) -> None:
        for path, answer in before.app_answers.items():
            if isinstance(answer, str):
                self._app.recording.answers.pop(path, None)
            else:
                self._app.recording.answers[path] = answer_of(answer)
        if before.file_written:
            (self._folder / before.file_written).write_text(before.content, encoding="utf-8")
        if before.file_removed:
            (self._folder / before.file_removed).unlink()
        if before.sleep_s:
            found = replace(load_resources([self._folder], "app1"), configuration=CONFIGURATION)
            reload = asyncio.create_task(self._sidecar.runtime.reload(found))
            await self._pass(before.sleep_s)
            assert await reload == ()

    async def _pass(self, seconds: float) -> None:
        clock = self._sidecar.clock
        end = clock.now() + seconds
        await self._quiet()
        while (due := clock.due()) is not None and due <= end:
            await self._step(due)
        clock.move_to(end)
        await self._quiet()

    async def _step(self, due: float | None) -> None:
        assert due is not None, "nothing is going to happen any more"
        self._sidecar.clock.move_to(due)
        await self._quiet()

    async def _quiet(self) -> None:
        quiet, seen = 0, -1
        while quiet < QUIET:
            await asyncio.sleep(0)
            calls = len(self._app.recording.calls)
            quiet, seen = (quiet + 1 if calls == seen else 0), calls


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
        for number, step in enumerate(STEPS):
            if number in REPLAYED:
                played[number] = await driver.play(step)
            else:
                await driver.prepare(step)  # later steps find the files that it changed
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
        decoded["enabledFeatures"] = [
            name for name in decoded["enabledFeatures"] if name != OF_WORKFLOWS
        ]
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


def recorded_calls(step: Step) -> list[AppCall]:
    """Return the calls of a step that are no actors'."""
    return [call for call in step.app_calls if not call.path.startswith(OF_ACTORS)]


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
        [(call.method, call.target, call.headers, call.body.decode()) for call in observed.calls],
    ) == outcome(
        recorded.status,
        recorded.headers,
        recorded.body,
        [(call.method, call.path, call.headers, call.body) for call in recorded_calls(step)],
    )


@pytest.mark.parametrize(
    "number",
    [n for n in REPLAYED if len(recorded_calls(STEPS[n])) > 1 and not STEPS[n].before[-1].sleep_s]
    if STEPS
    else [],
    ids=lambda number: STEPS[number].step,
)
def test_pauses_between_attempts(number: int, session: dict[int, Observed]) -> None:
    """Attempts come as far apart as those of the real runtime."""
    times = [call.t for call in recorded_calls(STEPS[number])]
    theirs = [later - earlier for earlier, later in pairwise(times)]
    ours = [later - earlier for earlier, later in pairwise(session[number].times)]
    assert ours == pytest.approx(theirs, abs=TOLERANCE)


def test_what_is_replayed() -> None:
    """The recording holds the steps that this module replays."""
    require_recordings()
    assert len(STEPS) == 44
    assert len(REPLAYED) == 21
    left_out = [step for number, step in enumerate(STEPS) if number not in REPLAYED]
    requests = [step.request for step in left_out if step.request is not None]
    assert len(requests) == 22
    assert {request.path.split("/")[2] for request in requests} == {"actors"}


def test_startup(session: dict[int, Observed]) -> None:
    """Before the first request the app is asked what the real runtime asks."""
    asked = [(call.method, call.target, sorted(call.headers), "") for call in session[0].calls]
    recorded = [(c.method, c.path, sorted(c.headers), "") for c in STEPS[0].app_calls]
    assert outcome(200, (), "", asked) == outcome(200, (), "", recorded)
