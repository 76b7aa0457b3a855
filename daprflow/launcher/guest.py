"""A guest: the app of another run, whose sidecar lives in this process."""

import asyncio
import logging
import os
import secrets
from typing import Protocol

import msgspec

from daprflow.launcher.doors import Doors, MetricsDoor, take_doors
from daprflow.launcher.exits import Exit, ForcedEnd, LaunchError
from daprflow.launcher.folder import RunningApp
from daprflow.launcher.joining import (
    Close,
    Connect,
    Done,
    Ended,
    Join,
    Line,
    Pause,
    Reconnect,
    Refused,
    Request,
    Said,
    Serving,
    Start,
    Welcome,
    joins,
    requests,
)
from daprflow.launcher.sidecar import Sidecar, SidecarInfo

logger = logging.getLogger(__name__)

FIRST_LINE_SECONDS = 5.0
"""What a stranger is given to prove itself."""
OTHER_VERSION = (
    "the run in this data folder has another version of daprflow; use the same one for both, "
    "or name another folder with --data-dir"
)


class Host(Protocol):
    """What a guest needs of the run it came to."""

    token: str
    ephemeral: bool

    def make(self, request: Start, doors: Doors, /) -> Sidecar:
        """Make the sidecar of a guest's app, on the engine all apps share."""
        ...

    def coming(self, app_id: str, /) -> None:
        """Have calls on an app wait that is about to come up."""
        ...

    def absent(self, app_id: str, /) -> None:
        """Have calls wait for it no longer."""
        ...

    def arrived(self, guest: "Guest", app: RunningApp, /) -> None:
        """Note that an app has its sidecar."""
        ...

    def serves(self, guest: "Guest", pid: int, /) -> None:
        """Note which process an app is."""
        ...


class Guest:
    """One connection to the control port, from its first line to its end.

    Attributes:
        replica: which one it is of those of its app, once it has said so.
    """

    def __init__(
        self, host: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.replica = 1
        self._host = host
        self._reader = reader
        self._writer = writer
        self._line = Line(reader, writer, requests)
        self._doors: Doors | None = None
        self._expected = ""
        self._sidecar: Sidecar | None = None
        self._watch: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None
        self._closing: Sidecar | None = None

    async def attend(self) -> None:
        """Do what the guest asks until it is gone; then nothing of it is left here.

        What its app did not get yet stays queued.
        """
        try:
            try:
                self._doors = await self._admit()
            except LaunchError as error:
                await self._line.send(Refused(0, str(error), error.code))
                return
            doors = self._doors
            await self._line.send(Welcome(doors.http_port, doors.grpc_port, doors.metrics_port))
            while (request := await self._line.receive()) is not None:
                if isinstance(request, Serving):
                    self._host.serves(self, request.pid)
                    continue
                await self._stop_working()
                self._work = asyncio.create_task(self._answer(request))
        except (msgspec.DecodeError, UnicodeDecodeError):
            await self._line.send(Refused(0, OTHER_VERSION, Exit.DATA_FOLDER))
        finally:
            await self._leave()

    def tell(self, text: str) -> None:
        """Pass a log line on, without waiting for it to arrive; `Welcome` goes before."""
        if self._doors is not None:
            self._line.put(Said(text))

    def hang_up(self) -> None:
        """End the connection; `attend` sees to the rest."""
        self._writer.close()

    async def _admit(self) -> Doors:
        """Hear the first line; return the ports of the guest's APIs."""
        line = Line(self._reader, self._writer, joins)
        try:
            async with asyncio.timeout(FIRST_LINE_SECONDS):
                join = await line.receive()
        except TimeoutError:
            join = None
        if join is None or not _same(join, self._host.token):
            raise LaunchError(
                "the run in this data folder does not know this one; try again", Exit.DATA_FOLDER
            )
        if join.ephemeral is not self._host.ephemeral:
            kept = "in memory" if self._host.ephemeral else "on disk"
            raise LaunchError(
                f"the run in this data folder (process {os.getpid()}) keeps data {kept}; start "
                "both with or both without --ephemeral, or name another folder with --data-dir",
                Exit.DATA_FOLDER,
            )
        metrics = MetricsDoor(join.metrics_port) if join.enable_metrics else None
        doors = take_doors(join.dapr_http_port, join.dapr_grpc_port, join.app_port, metrics)
        if join.app_id:
            self._expected = join.app_id
            self._host.coming(join.app_id)
        return doors

    async def _answer(self, request: Request) -> None:
        try:
            info = await self._do(request)
        except LaunchError as error:
            await self._line.send(Refused(request.number, str(error), error.code))
        except Exception:
            logger.exception("serving an app that joined failed")
            text = "the sidecar failed; the run that hosts it shows the traceback"
            await self._line.send(Refused(request.number, text, Exit.SIDECAR_FAILED))
        else:
            await self._line.send(Done(request.number, info))

    async def _do(self, request: Request) -> SidecarInfo | None:
        if isinstance(request, Start):
            return await self._start(request)
        sidecar = self._sidecar
        if sidecar is None:
            return None
        match request:
            case Connect():
                await sidecar.connect()
            case Pause():
                await sidecar.pause()
            case Reconnect():
                await sidecar.reconnect(request.app)
            case Close():
                await self._end_sidecar(request.grace)
                return None
        return sidecar.info()

    async def _start(self, request: Start) -> SidecarInfo:
        doors = self._doors
        if doors is None or self._sidecar is not None:
            raise LaunchError("this run has its sidecar already", Exit.SIDECAR_FAILED)
        self.replica = request.replica
        self._sidecar = self._host.make(request, doors)
        await self._sidecar.start(request.app)
        info = self._sidecar.info()
        self._watch = asyncio.create_task(self._tell_the_end(self._sidecar))
        app = RunningApp(
            request.app.app_id,
            doors.http_port,
            request.app.app_port,
            request.tokens.api,
            doors.grpc_port,
            pid=request.pid,
            logs=request.logs,
        )
        self._host.arrived(self, app)
        return info

    async def _tell_the_end(self, sidecar: Sidecar) -> None:
        end = await sidecar.ended()
        await self._line.send(Ended(str(end), forced=isinstance(end, ForcedEnd)))

    async def _stop_working(self) -> None:
        """End what is asked no longer; closing alone goes on, to an end that comes at once."""
        work, self._work = self._work, None
        if work is None:
            return
        if self._closing is None:
            work.cancel()
        elif not work.done():
            await self._closing.close(0.0)
        await asyncio.wait({work})

    async def _end_sidecar(self, grace: float) -> None:
        sidecar, self._sidecar = self._sidecar, None
        if self._watch is not None:
            self._watch.cancel()
        if sidecar is not None:
            self._closing = sidecar
            await sidecar.close(grace)

    async def _leave(self) -> None:
        await self._stop_working()
        await self._end_sidecar(0.0)
        if self._expected:
            self._host.absent(self._expected)
        if self._doors is not None:
            self._doors.close()
        await self._line.close()


def _same(join: Join, token: str) -> bool:
    return secrets.compare_digest(join.token.encode(), token.encode())
