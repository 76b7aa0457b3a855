"""A run that joined another one in its data folder: its sidecar lives in that run's process."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from daprflow.launcher.exits import Exit, ForcedEnd, LaunchError
from daprflow.launcher.folder import RunningApp, RunRecord
from daprflow.launcher.joining import (
    LINE_LIMIT,
    Close,
    Connect,
    Done,
    Ended,
    Join,
    Line,
    Notice,
    Pause,
    Reconnect,
    Refused,
    Request,
    Said,
    Serving,
    Start,
    Welcome,
    notices,
)
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.ports import LOOPBACK
from daprflow.launcher.sidecar import AppSpec, Sidecar, SidecarInfo

WELCOME_SECONDS = 10.0
CLOSE_SECONDS = 2.0
"""What the host is given beyond the grace period, to say that it closed a sidecar."""


async def join(
    host: RunRecord,
    options: SidecarOptions,
    base: Path,
    say: Callable[[str], None] = lambda _: None,
) -> "JoinedRun | None":
    """Join the run that ``run.json`` names; None when it is not there any more.

    Args:
        host: the record.
        options: of the sidecar this run wants.
        base: the working folder.
        say: prints a log line of a host that has no terminal.

    Raises:
        LaunchError: it does not take this run in.
    """
    try:
        reader, writer = await asyncio.open_connection(
            LOOPBACK, host.control_port, limit=LINE_LIMIT
        )
    except OSError:
        return None
    line = Line(reader, writer, notices)
    wanted = (options.dapr_http_port, options.dapr_grpc_port, options.app_port)
    metrics = (options.enable_metrics, options.metrics_port)
    await line.send(Join(host.token, options.ephemeral, *wanted, *metrics, options.app_id))
    try:
        async with asyncio.timeout(WELCOME_SECONDS):
            answer = await line.receive()
    except (TimeoutError, msgspec.DecodeError):
        answer = None
    match answer:
        case Welcome():
            place = Place(host.pid, base, say)
            return JoinedRun(line, place, answer, _absolute(options, base))
        case Refused(_, text, code):
            await line.close()
            raise LaunchError(text, Exit(code))
    await line.close()
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run that joined is: the host's process, its own folder, its way to the user.

    Attributes:
        base: absolute.
        replica: which one it is of those of its app.
        logs: the files that the app's lines come to.
    """

    pid: int
    base: Path
    say: Callable[[str], None]
    replica: int = 1
    logs: tuple[str, ...] = ()


class JoinedRun:
    """The connection to the host, for as long as this run lasts.

    Attributes:
        http_port: of this run's HTTP API, held by the host.
        grpc_port: of its gRPC API, likewise.
        metrics_port: of its metrics, likewise; None where it has none.
    """

    def __init__(
        self, line: Line[Notice], place: Place, ports: Welcome, options: SidecarOptions
    ) -> None:
        self.http_port = ports.http_port
        self.grpc_port = ports.grpc_port
        self.metrics_port = ports.metrics_port
        self._line = line
        self._place = place
        self._options = options

    def introduce(self, replica: int, logs: tuple[str, ...]) -> None:
        """Say which one it is of those of its app, and where its lines come to."""
        self._place = replace(self._place, replica=replica, logs=logs)

    def sidecar(self, tokens: Tokens, reason: str, /) -> Sidecar:  # noqa: ARG002 - the host's counts
        """Make the sidecar of this run's app."""
        return Joined(self._line, self._place, self._options, tokens)

    def announce(self, app: RunningApp, /) -> None:
        """Tell the host what it cannot know: which process the app is."""
        if app.app_pid:
            self._line.put(Serving(app.app_pid))

    async def linger(self) -> None:
        """Have nothing to wait for."""

    async def close(self) -> None:
        """Hang up: the host closes what it has of this run."""
        await self._line.close()


class Joined:
    """The sidecar of one app in another run's process; see `daprflow.launcher.sidecar.Sidecar`.

    Args:
        line: the connection on which the host said `Welcome`.
        options: with absolute paths.
    """

    def __init__(
        self, line: Line[Notice], place: Place, options: SidecarOptions, tokens: Tokens
    ) -> None:
        self._line = line
        self._place = place
        self._options = options
        self._tokens = tokens
        self._info: SidecarInfo | None = None
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Done]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._lost: LaunchError | None = None
        self._end: LaunchError | None = None
        self._over = asyncio.Event()

    async def start(self, app: AppSpec, /) -> None:
        """Have the host load the resources and answer API calls.

        Raises:
            LaunchError: a component cannot be loaded, or the host is gone.
        """
        self._listening = asyncio.create_task(self._listen())
        place, options, tokens, sent = self._place, self._options, self._tokens, _sent(app)
        base, pid = str(place.base), os.getpid()
        await self._ask(
            lambda n: Start(n, sent, options, tokens, base, pid, place.replica, place.logs)
        )

    async def connect(self) -> None:
        """Have the host wait for the app and begin to deliver.

        Raises:
            LaunchError: the host is gone.
        """
        await self._ask(Connect)

    async def pause(self) -> None:
        """Have the host stop delivering; a host that is gone delivers nothing."""
        if self._lost is None:
            await self._ask(Pause)

    async def reconnect(self, app: AppSpec, /) -> None:
        """Have the host connect to the app's next process.

        Raises:
            LaunchError: a component cannot be loaded, or the host is gone.
        """
        await self._ask(lambda n: Reconnect(n, _sent(app)))

    def info(self) -> SidecarInfo:
        """Describe it."""
        if self._info is None:
            raise LaunchError("the sidecar was not started", Exit.SIDECAR_FAILED)
        return self._info

    async def ended(self) -> LaunchError:
        """Wait until the host is gone or says that this sidecar ended."""
        await self._over.wait()
        return self._end or self._gone()

    async def close(self, grace: float, /) -> None:
        """Have the host close it; one that is gone has."""
        if self._listening is None:
            return
        if self._lost is None:
            with contextlib.suppress(LaunchError, TimeoutError):
                async with asyncio.timeout(grace + CLOSE_SECONDS):
                    await self._ask(lambda n: Close(n, grace))
        self._listening.cancel()
        await asyncio.wait({self._listening})

    async def _ask(self, make: Callable[[int], Request]) -> None:
        """Say something and wait for the answer."""
        if self._lost is not None:
            raise self._lost
        self._number += 1
        number = self._number
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._line.send(make(number))
            done = await waiting
        finally:
            del self._waiting[number]
        self._info = done.info or self._info

    async def _listen(self) -> None:
        try:
            while (notice := await self._line.receive()) is not None:
                self._take(notice)
        except msgspec.DecodeError:
            pass  # another version, or not what it was: as good as gone
        finally:
            self._lose(self._gone())

    def _take(self, notice: Notice) -> None:
        match notice:
            case Done(number):
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(notice)
            case Refused(number, text, code):
                error = LaunchError(text, Exit(code))
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_exception(error)
                elif number == 0:
                    self._lose(error)
            case Said(text):
                self._place.say(text)
            case Ended(text, forced=True):
                self._finish(ForcedEnd(text))
            case Ended(text):
                self._finish(LaunchError(text, Exit.SIDECAR_FAILED))

    def _lose(self, why: LaunchError) -> None:
        """Expect nothing more from the host."""
        self._lost = self._lost or why
        self._finish(self._lost)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(self._lost)

    def _finish(self, end: LaunchError) -> None:
        self._end = self._end or end
        self._over.set()

    def _gone(self) -> LaunchError:
        return LaunchError(
            f"the run that had the sidecar (process {self._place.pid}) is gone; "
            "start this one again",
            Exit.HOST_LOST,
        )


def _absolute(options: SidecarOptions, base: Path) -> SidecarOptions:
    """Return options that mean the same in another working folder."""
    return replace(
        options,
        resources_path=tuple((base / path).resolve() for path in options.resources_path),
        config=tuple((base / file).resolve() for file in options.config),
        data_dir=(base / options.data_dir).resolve(),
    )


def _sent(app: AppSpec) -> AppSpec:
    """Return what the host needs of an app; its handlers are for the banner."""
    return replace(app, folder=str(Path(app.folder).resolve()), handlers=())
