"""One process of the app: its command line, its environment, and what it reports."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from daprflow.launcher.app_output import AppOutput
from daprflow.launcher.debugging import FROM_FILES
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.hold import GO
from daprflow.launcher.options import RunOptions, Tokens
from daprflow.launcher.process import GuardedProcess
from daprflow.launcher.report import AppFailed, AppFrozen, AppServing, Report, decode

T = TypeVar("T")

LONGEST_REPORT = 16 * 1024 * 1024
"""Bytes of a line in which an app describes itself."""

START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "from daprflow.launcher.child import main; sys.exit(main(sys.argv[1:]))"
)
"""The app's process. Ctrl-C during the imports ends it as a signal does, without a traceback."""

ELSEWHERE = frozenset(
    {
        "DAPR_HTTP_ENDPOINT", "DAPR_GRPC_ENDPOINT", "DAPR_RUNTIME_HOST",
        "DAPR_GRPC_PORT", "DAPR_METRICS_PORT",
    }
)  # fmt: skip
"""Variables that would lead the app to another sidecar than its own."""


class AppStopped(LaunchError):  # noqa: N818 - named for what happened
    """The app's process ended before it told what was waited for."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an app must find in its environment.

    Attributes:
        foreign: the sidecar is not of this run: what the environment says of it counts.
    """

    app_id: str | None
    app_port: int | None
    app_protocol: str
    app_channel_address: str
    http_port: int | None
    tokens: Tokens
    grpc_port: int | None = None
    metrics_port: int | None = None
    foreign: bool = False


def environment(base: Mapping[str, str], around: Surroundings) -> dict[str, str]:
    """Return the environment an app has under ``dapr run``; what is unknown is left out."""
    given = {
        "APP_ID": around.app_id,
        "APP_PORT": around.app_port,
        "APP_PROTOCOL": around.app_protocol,
        "APP_CHANNEL_ADDRESS": around.app_channel_address,
        "DAPR_HTTP_PORT": around.http_port,
        "DAPR_GRPC_PORT": around.grpc_port,
        "DAPR_METRICS_PORT": around.metrics_port,
        "DAPR_API_TOKEN": around.tokens.api,
        "APP_API_TOKEN": around.tokens.app,
    }
    dropped = frozenset() if around.foreign else ELSEWHERE
    inherited = {name: value for name, value in base.items() if name not in dropped}
    return inherited | {name: str(value) for name, value in given.items() if value is not None}


class AppProcess:
    """The app, running under the guard.

    Args:
        listener: the app's listening socket, for a target of ours; the caller keeps its own copy.
        put: takes each line that the app prints; None leaves it our own streams.
        held: the process gets ready and waits for `release` before it imports the target.
    """

    def __init__(
        self,
        options: RunOptions,
        around: Surroundings,
        listener: socket.socket | None,
        put: Callable[[str], None] | None = None,
        *,
        held: bool = False,
    ) -> None:
        self._output = AppOutput(put) if put is not None else None
        self._reading, writing = os.pipe()
        holding, self._hold = os.pipe() if held else (-1, -1)
        keep = [writing, *((holding,) if held else ())]
        command = list(options.command)
        if options.target is not None and listener is not None:
            keep.append(listener.fileno())
            # Compiled files are told apart by size and second only: two saves may look like one.
            uncompiled = ("-B",) if options.reload else ()
            debugged = options.debug_port is not None
            unfrozen = FROM_FILES if debugged else ()
            command = [
                *(sys.executable, *uncompiled, *unfrozen, "-c", START, options.target.text),
                *("--fd", str(listener.fileno()), "--report", str(writing)),
                *("--grace", str(options.sidecar.grace), "--log-level", options.sidecar.log_level),
                *(("--debug", str(options.debug_port)) if debugged else ()),
                *(("--hold", str(holding)) if held else ()),
            ]
        try:
            self._process = GuardedProcess(
                command,
                environment=environment(os.environ, around)
                | {"DAPRFLOW_ENV": options.env}
                | dict(options.variables),
                grace=options.sidecar.grace,
                keep=keep if options.target is not None else (),
                output=self._output.writing if self._output is not None else None,
                folder=options.base,
            )
        finally:
            os.close(writing)
            if held:
                os.close(holding)
            if self._output is not None:
                self._output.handed_over()
        self._frozen: asyncio.Future[AppFrozen] | None = None
        self._serving: asyncio.Future[None] | None = None

    @property
    def pid(self) -> int:
        """The process id of the app's guard."""
        return self._process.pid

    def release(self) -> None:
        """Let a process that is held begin."""
        if self._hold >= 0:
            with contextlib.suppress(BrokenPipeError):  # its exit status tells
                os.write(self._hold, GO)
            self._let_go()

    async def follow(self) -> int:
        """Read what the app reports until it ends; return its exit status.

        Must run for `frozen` and `serving` to come.
        """
        loop = asyncio.get_running_loop()
        relaying = loop.create_task(self._output.relay()) if self._output is not None else None
        frozen, serving = self._futures()
        reader = asyncio.StreamReader(limit=LONGEST_REPORT)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._reading, "rb")
        )
        try:
            async for line in reader:
                self._take(decode(line))
            status = await self._process.wait()
            if relaying is not None:
                await relaying
        finally:
            transport.close()
            self._let_go()
            if relaying is not None:
                relaying.cancel()
        for waiting in (frozen, serving):
            if not waiting.done():
                waiting.set_exception(AppStopped(f"the app ended with exit code {status}"))
                waiting.exception()  # nobody may be waiting for it
        return status

    async def frozen(self) -> AppFrozen:
        """Wait for the app's description; `AppStopped` when it ends before."""
        return await asyncio.shield(self._futures()[0])

    async def serving(self) -> None:
        """Wait until the app serves; `AppStopped` when it ends before."""
        await asyncio.shield(self._futures()[1])

    async def app_pid(self) -> int:
        """Return the process id of the app itself, where the system tells; else the guard's."""
        return await self._process.command_pid()

    def signal(self, number: int) -> None:
        """Pass a signal on to the app."""
        self._process.signal(number)

    def kill(self) -> None:
        """Kill the app and everything it started."""
        self._process.kill()

    async def stop(self, number: int, grace: float) -> int:
        """Ask the app to end, kill it after ``grace`` seconds; return its exit status."""
        return await self._process.stop(number, grace)

    def _let_go(self) -> None:
        if self._hold >= 0:
            os.close(self._hold)
            self._hold = -1

    def _futures(self) -> tuple[asyncio.Future[AppFrozen], asyncio.Future[None]]:
        loop = asyncio.get_running_loop()
        self._frozen = self._frozen or loop.create_future()
        self._serving = self._serving or loop.create_future()
        return self._frozen, self._serving

    def _take(self, report: Report) -> None:
        frozen, serving = self._futures()
        match report:
            case AppFrozen():
                _settle(frozen, report)
            case AppServing():
                _settle(serving, None)
            case AppFailed(problem):
                for waiting in (frozen, serving):
                    if not waiting.done():
                        waiting.set_exception(AppStopped(problem, Exit.FAILED))
                        waiting.exception()


def _settle(waiting: asyncio.Future[T], value: T) -> None:
    if not waiting.done():
        waiting.set_result(value)
