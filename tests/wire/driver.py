"""Plays recorded steps on a clock of the test: time moves when nothing else does."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.resources import load_resources
from tests.helpers.recording import Call, RecordingApp
from tests.helpers.sidecar import InProcessSidecar
from tests.wire.replay import answer_of
from tests.wire.transcript import Before, Step

CONFIGURATION = ConfigurationResource(features=(("ActorStateTTL", True),))
"""What the Configuration of ``http-resiliency.jsonl`` says beside tracing."""

QUIET = 60
"""Turns of the loop without a call on the app after which only time can bring one."""

STEP_TIME = 0.001
"""Seconds that a request itself takes at least."""


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
        await self._pass(step.wait_s + STEP_TIME)
        return Observed(
            task.result(),
            tuple(self._app.recording.calls[seen:]),
            tuple(self._app.times[seen:]),
        )

    async def end(self, last: Observed) -> Observed:
        """Close the sidecar, as whoever started it does; what the app is told is ``last``'s."""
        seen = len(self._app.recording.calls)
        await self._sidecar.runtime.close(1.0)
        return replace(
            last,
            calls=(*last.calls, *self._app.recording.calls[seen:]),
            times=(*last.times, *self._app.times[seen:]),
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
