"""The supervisor of one app: owns its process and the order things end in."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from daprflow.launcher.app_process import AppProcess, AppStopped, Surroundings
from daprflow.launcher.exits import Exit, ForcedEnd, LaunchError
from daprflow.launcher.logs import name_process
from daprflow.launcher.options import RunOptions
from daprflow.launcher.report import AppFrozen
from daprflow.launcher.sidecar import AppSpec, Sidecar, SidecarInfo
from daprflow.launcher.stopping import STOP_SIGNALS, Stop
from daprflow.launcher.succession import Succession

HEAD_START = 0.5
"""Seconds at most that the sidecar gets to end calls of the app before that is told to end."""
KILL_GRACE = 1.0
"""What an app is given beyond the grace period, to leave by itself."""


SIGNALLED = 128
"""Shells add a signal's number to this."""


class Voice(Protocol):
    """How a run speaks to its user."""

    def ready(self, app: AppSpec, info: SidecarInfo, seconds: float) -> None:
        """Print the banner: the app is connected."""
        ...

    def say(self, line: str) -> None:
        """Print one line about the run."""
        ...

    def log(self, line: str) -> None:
        """Print a log line of another program."""
        ...

    def warn(self, line: str) -> None:
        """Print one line the user should act upon."""
        ...


@dataclass(frozen=True, slots=True)
class Ears:
    """Who hears more of a run than its `Voice` says.

    Attributes:
        output: takes each line that the app prints; None leaves the app our own streams.
        sidecar_up: told once the sidecar answers calls; the app may not yet.
        app_up: told the app's process id, before the banner.
        described: told what the app says of itself, before its sidecar is.
        app_down: told the app's exit status, where nobody asked it to end.
        stopping: told that a signal ends the run.
        logs: the files that the lines which `output` takes come to.
    """

    output: Callable[[str], None] | None = None
    sidecar_up: Callable[[AppSpec, SidecarInfo], None] = lambda _app, _info: None
    app_up: Callable[[int], None] = lambda _pid: None
    described: Callable[[AppFrozen], None] = lambda _description: None
    app_down: Callable[[int], None] = lambda _status: None
    stopping: Callable[[], None] = lambda: None
    logs: tuple[str, ...] = ()


class _Next(Enum):
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run whose ports are taken and whose pieces are chosen.

    Attributes:
        around: the app's environment.
        listener: the app's listening socket, kept over reloads, so that callers wait for the next
            process and are not refused; None for a command, which opens its own port.
        make_sidecar: called once the app's process was started, so that both start in parallel.
        started: when the user pressed return, on `time.monotonic`.
        announce: told what the app is, once its sidecar answers; its process is 0 until it serves.
        sidecar_first: the app listens nowhere, so that it may find its sidecar up from the start.
        alone: nobody else's sidecar is in this process.
        parting: what becomes of the rest once the app has ended.
        concerns: tells whether a change of a file is one of this app.
    """

    options: RunOptions
    around: Surroundings
    listener: socket.socket | None
    make_sidecar: Callable[[], Sidecar]
    started: float
    announce: Callable[[AppSpec, int], None]
    sidecar_first: bool = False
    alone: bool = True
    parting: Callable[[], str] = lambda: "the sidecar is stopped"
    concerns: Callable[[Path], bool] = lambda _file: True
    ears: Ears = Ears()


@dataclass(slots=True)
class _Generation:
    """One process of the app and everything that may end it."""

    app: AppProcess
    exited: asyncio.Task[int]
    up: asyncio.Task[None]
    ended: asyncio.Task[LaunchError]
    stopping: asyncio.Task[bool]
    change: asyncio.Task[bool]
    pausing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Cancel what still waits."""
        every = (self.up, self.ended, self.stopping, self.change, self.pausing)
        tasks = [task for task in every if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Supervisor:
    """Carries out one plan."""

    def __init__(self, plan: Plan, voice: Voice, stop: Stop) -> None:
        self._plan = plan
        self._options = plan.options
        self._voice = voice
        self._stop = stop
        self._made: Sidecar | None = None
        self._sidecar_up = False
        self._introduced = False
        self._app_id: str | None = None
        ahead = self._options.reload and self._options.target is not None
        ahead = ahead and self._options.debug_port is None  # one process at a time can have it
        self._succession = Succession(self._process, ahead=ahead)

    @property
    def _sidecar(self) -> Sidecar:
        if self._made is None:
            self._made = self._plan.make_sidecar()
        return self._made

    async def run(self) -> int:
        """Run until the user, the app or the sidecar ends it; return the exit code."""
        if self._plan.sidecar_first and (code := await self._raise_sidecar()) is not None:
            return code
        async with self._changes() as changed, self._succession:
            while True:
                changed.clear()
                outcome = await self._run_once(changed)
                if outcome is not _Next.RELOAD:
                    return outcome

    # ---- one process of the app

    def _process(self, *, held: bool) -> AppProcess:
        plan = self._plan
        return AppProcess(self._options, plan.around, plan.listener, plan.ears.output, held=held)

    async def _run_once(self, changed: asyncio.Event) -> int | _Next:
        app, exited = self._succession.take()
        await asyncio.sleep(0)  # those of the other apps start before a sidecar is imported
        run = asyncio.create_task
        generation = _Generation(
            app,
            exited=exited,
            up=run(self._bring_up(app)),
            ended=run(self._sidecar.ended()),
            stopping=run(self._stop.asked.wait()),
            change=run(changed.wait()),
        )
        try:
            return await self._watch(generation)
        finally:
            await generation.close()

    async def _watch(self, run: _Generation) -> int | _Next:
        waiting: set[asyncio.Task[Any]] = {run.exited, run.up, run.ended, run.stopping, run.change}
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if run.stopping in done:
                return await self._end(run)
            if run.exited in done and run.change not in done:
                self._plan.ears.app_down(run.exited.result())
            if run.exited in done and not self._comes_again(run):
                return await self._app_ended(run)
            if run.exited in done and run.change not in done:
                self._voice.warn(f"{_ended(run.exited.result())}; waiting for a change")
                if run.up.done():  # its port stays open: nobody would see that it is away
                    run.pausing = asyncio.create_task(self._pause())
            if run.up in done and (problem := self._problem(run.up)) is not None:
                self._voice.warn(str(problem))
                await self._end(run)
                return problem.code
            if run.ended in done:
                end = run.ended.result()
                self._voice.warn(str(end))
                await self._end(run, at_once=isinstance(end, ForcedEnd))
                return end.code
            if run.change in done:
                self._succession.prepare()
                await self._leave(run)
                return _Next.RELOAD

    def _comes_again(self, run: _Generation) -> bool:
        """Tell whether a change may bring a next process: not to an app that was told to end."""
        status = run.exited.result()
        ended_well = status == 0 and self._options.target is not None  # as ours do when told
        told = ended_well or status - SIGNALLED in STOP_SIGNALS
        return self._options.reload and (run.change.done() or not told)

    async def _bring_up(self, app: AppProcess) -> None:
        started = time.monotonic()
        description = await self._describe(app)
        self._plan.ears.described(description)
        spec = self._spec(description)
        self._settle_id(spec.app_id)
        if not self._introduced:
            await self._start_sidecar(spec)
            self._introduced = True
            await self._within(self._sidecar.connect(), spec)
            if self._options.target is not None:
                await app.serving()
            if not self._options.reload:
                self._let_go()  # no other process of the app follows
            self._plan.ears.app_up(await self._announced(spec, app))
            info = self._sidecar.info()
            seconds = time.monotonic() - self._plan.started
            self._voice.ready(spec, info, seconds)
        else:
            await self._within(self._sidecar.reconnect(spec), spec)
            await self._announced(spec, app)
            self._voice.say(f"reloaded in {time.monotonic() - started:.1f} s")
            self._succession.prepare()  # who edits once edits again

    async def _announced(self, spec: AppSpec, app: AppProcess) -> int:
        """Tell which process serves now; return its id."""
        pid = await app.app_pid()
        self._plan.announce(spec, pid)
        return pid

    async def _start_sidecar(self, spec: AppSpec) -> None:
        if self._sidecar_up:
            return
        await self._sidecar.start(spec)
        self._sidecar_up = True
        self._plan.announce(spec, 0)
        self._plan.ears.sidecar_up(spec, self._sidecar.info())

    async def _raise_sidecar(self) -> int | None:
        """Start the sidecar before the app's first process; return an exit code if that fails."""
        spec = self._spec(AppFrozen(app_id="", folder=str(self._options.resource_home)))
        starting = asyncio.create_task(self._start_sidecar(spec))
        stopping = asyncio.create_task(self._stop.asked.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (starting, stopping):
            task.cancel()
        result, _ = await asyncio.gather(starting, stopping, return_exceptions=True)
        if result is None:
            return None
        await self._sidecar.close(0.0)
        if isinstance(result, asyncio.CancelledError):
            return SIGNALLED + self._stop.number
        if isinstance(result, LaunchError):
            self._voice.warn(str(result))
            return result.code
        raise result

    async def _within(self, connecting: Coroutine[Any, Any, None], spec: AppSpec) -> None:
        seconds = self._options.start_timeout if self._options.debug_port is None else None
        try:
            async with asyncio.timeout(seconds):
                await connecting
        except TimeoutError:
            raise LaunchError(
                f"app '{spec.app_id}' did not answer on port {spec.app_port} within {seconds:g} s; "
                "check that it listens there, or give its port with --app-port",
                Exit.APP_SILENT,
            ) from None

    async def _describe(self, app: AppProcess) -> AppFrozen:
        if self._options.target is None:
            return AppFrozen(app_id="", folder=str(self._options.resource_home))
        return await app.frozen()

    def _settle_id(self, app_id: str) -> None:
        """Hold a run to one id: its state, its queued events and its ports go by it."""
        if self._app_id not in {None, app_id}:
            raise LaunchError(
                f"the app's id changed from '{self._app_id}' to '{app_id}', which takes a new run; "
                "start it again, or keep the id with --app-id"
            )
        self._app_id = app_id
        if self._plan.alone:
            name_process(app_id)

    def _spec(self, description: AppFrozen) -> AppSpec:
        app_id = self._options.sidecar.app_id or description.app_id
        return AppSpec(
            app_id,
            self._plan.around.app_port,
            description.folder,
            description.crons,
            description.handlers,
            description.features,
            description.declared,
        )

    # ---- endings

    async def _app_ended(self, run: _Generation) -> int:
        """End the sidecar after its app; the app's status is the run's."""
        status = run.exited.result()
        explained = self._explained(run.up)
        run.up.cancel()
        if not explained:
            self._voice.warn(f"{_ended(status)}; {self._plan.parting()}")
        self._let_go()
        await self._sidecar.close(KILL_GRACE)
        return status

    async def _end(self, run: _Generation, *, at_once: bool = False) -> int:
        """End the app, then the sidecar, within the grace period; at once on a second signal."""
        run.up.cancel()
        self._let_go()
        deadline = time.monotonic() + self._options.sidecar.grace
        draining = asyncio.create_task(self._drain(run))
        hurry = asyncio.create_task(self._stop.hurry.wait())
        limit = 0.0 if at_once else None
        await asyncio.wait({draining, hurry}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        at_once = at_once or self._stop.hurry.is_set()
        if at_once:
            run.app.kill()
        hurry.cancel()
        await draining
        left = 0.0 if at_once else max(KILL_GRACE, deadline - time.monotonic())
        await self._sidecar.close(left)
        return await run.exited

    def _let_go(self) -> None:
        """Keep the app's port no longer open for it: who calls an app that is gone is refused."""
        self._succession.drop()
        if self._plan.listener is not None:
            self._plan.listener.close()

    async def _leave(self, run: _Generation) -> None:
        """End this process of the app before its next one; the sidecar stays."""
        run.up.cancel()
        await asyncio.gather(run.up, return_exceptions=True)
        await self._drain(run)
        await run.exited

    async def _drain(self, run: _Generation) -> None:
        pausing = asyncio.create_task(self._pause())
        # Deliveries stop and actors hear of their end before the app, which then takes no calls.
        first = {pausing, run.exited}
        await asyncio.wait(first, timeout=HEAD_START, return_when=asyncio.FIRST_COMPLETED)
        if not run.exited.done():
            await self._stop_app(run.app)
        if not self._stop.hurry.is_set():
            await asyncio.wait({pausing}, timeout=KILL_GRACE)
        pausing.cancel()
        await asyncio.gather(pausing, return_exceptions=True)

    async def _stop_app(self, app: AppProcess) -> None:
        allowed = self._options.sidecar.grace + KILL_GRACE
        began = time.monotonic()
        status = await app.stop(self._stop.number, allowed)
        too_long = time.monotonic() - began >= allowed and status == SIGNALLED + signal.SIGKILL
        if too_long and not self._stop.hurry.is_set():
            self._voice.warn(
                f"the app was killed: it did not end within {allowed:g} s; "
                "give it longer with --dapr-graceful-shutdown-seconds"
            )

    async def _pause(self) -> None:
        if self._sidecar_up:
            await self._sidecar.pause()

    def _problem(self, up: asyncio.Task[None]) -> LaunchError | None:
        error = up.exception()
        if error is None or isinstance(error, AppStopped):
            return None  # the app's own exit says it
        if isinstance(error, LaunchError):
            return error
        raise error

    @staticmethod
    def _explained(up: asyncio.Task[None]) -> bool:
        """Tell whether the app explained its end itself, as it does for a failed definition."""
        if not up.done() or up.cancelled():
            return False
        error = up.exception()
        return isinstance(error, AppStopped) and "exit code" not in str(error)

    # ---- changes

    @contextlib.asynccontextmanager
    async def _changes(self) -> AsyncIterator[asyncio.Event]:
        changed = asyncio.Event()
        if not self._options.reload:
            yield changed
            return
        from daprflow.launcher.reload import watch  # noqa: PLC0415 - only with --reload

        target = self._options.target
        root = self._options.base if target is None else target.root
        watching = asyncio.create_task(watch(root, changed, self._plan.concerns))
        await asyncio.sleep(0)  # its first step looks at the folder; what is edited then counts
        try:
            yield changed
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def _ended(status: int) -> str:
    if status > SIGNALLED:
        with contextlib.suppress(ValueError):
            return f"the app was ended by {signal.Signals(status - SIGNALLED).name}"
    return f"the app ended with exit code {status}"
