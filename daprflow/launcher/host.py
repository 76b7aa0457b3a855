"""The host of a data folder: the run that has its engine, and a control port for runs that join."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daprflow.launcher import ports
from daprflow.launcher.doors import Doors, metrics_door, take_doors
from daprflow.launcher.folder import DataFolder, RunningApp, record
from daprflow.launcher.guest import Guest
from daprflow.launcher.joining import LINE_LIMIT, Start
from daprflow.launcher.logs import name_process
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.resident import Resident
from daprflow.launcher.sidecar import Sidecar

if TYPE_CHECKING:
    from daprflow.launcher.embedded import SharedEngine

logger = logging.getLogger(__name__)

FAREWELL = 1.0
"""Seconds that the sidecars of those who joined get to close when everything ends."""


class EngineHost:
    """This run holds the data folder; its engine serves every app that runs there.

    Args:
        folder: locked by this process; `close` gives it back.
        options: of this run's own sidecar; its ``ephemeral`` counts for all.
        base: the working folder.
        say: prints one line about the run.

    Attributes:
        http_port: of this run's own HTTP API.
        grpc_port: of its gRPC API.
        metrics_port: of its metrics; None where it has none.
        token: what a joining run proves itself with.
    """

    def __init__(
        self, folder: DataFolder, options: SidecarOptions, base: Path, say: Callable[[str], None]
    ) -> None:
        self.http_port = 0
        self.grpc_port = 0
        self.metrics_port: int | None = None
        self.token = secrets.token_urlsafe()
        self.ephemeral = options.ephemeral
        self._folder = folder
        self._options = options
        self._base = base
        self._say = say
        self._doors: Doors | None = None
        self._server: asyncio.Server | None = None
        self._engine: SharedEngine | None = None
        self._own: RunningApp | None = None
        self._residents: dict[Resident, RunningApp] = {}
        self._expected: tuple[str, ...] = ()
        self._guests: dict[Guest, asyncio.Task[None]] = {}
        self._apps: dict[Guest, RunningApp] = {}
        self._left = asyncio.Event()

    async def open(self) -> None:
        """Take the ports of this run's APIs, and open the control port.

        Raises:
            LaunchError: the port is taken.
        """
        options = self._options
        wanted = (options.dapr_http_port, options.dapr_grpc_port, options.app_port)
        self._doors = take_doors(*wanted, metrics_door(options))
        self.http_port, self.grpc_port = self._doors.http_port, self._doors.grpc_port
        self.metrics_port = self._doors.metrics_port
        await self.serve()

    async def serve(self) -> None:
        """Open the control port alone: no app of this run needs a sidecar."""
        self._server = await asyncio.start_server(self._accept, ports.LOOPBACK, 0, limit=LINE_LIMIT)
        self._publish()

    # ---- this run's own app

    def sidecar(self, tokens: Tokens, reason: str, /) -> Sidecar:
        """Make the sidecar of this run's app."""
        if self._doors is None:
            raise RuntimeError("the host was not opened")
        return self._embedded(self._options, self._doors, tokens, reason, None)

    def announce(self, app: RunningApp, /) -> None:
        """List this run's app in ``run.json``."""
        self._own = app
        self._serves(app)
        self._publish()

    async def linger(self) -> None:
        """Wait until everybody who joined is gone; say who that is."""
        self._own = None
        self._publish()
        if self._guests:
            self._tell(f"{self._users()} the sidecar; Ctrl-C ends it all the same")
        while self._guests:
            self._left.clear()
            await self._left.wait()

    async def close(self) -> None:
        """End what is left at once: those who joined notice that their sidecar is gone."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for guest in self._guests:
            guest.hang_up()
        if left := set(self._guests.values()):
            _, late = await asyncio.wait(left, timeout=FAREWELL)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._engine is not None:
            await self._engine.close()
        if self._doors is not None:
            self._doors.close()
        self._folder.release()

    # ---- several apps of this run

    def expect(self, app_ids: tuple[str, ...]) -> None:
        """Have calls on apps wait that this run is about to bring up."""
        self._expected = app_ids

    def lodge(self, options: SidecarOptions, base: Path, replica: int = 1) -> Resident:
        """Take the ports of one of several apps of this run.

        Raises:
            LaunchError: one is taken.
        """
        wanted = (options.dapr_http_port, options.dapr_grpc_port, options.app_port)
        doors = take_doors(*wanted, metrics_door(options))
        return Resident(self, options, base, doors, replica)

    def furnish(self, resident: Resident, tokens: Tokens, reason: str, /) -> Sidecar:
        """Make the sidecar of such an app."""
        return self._embedded(
            resident.options,
            resident.doors,
            tokens,
            reason,
            resident.base,
            replica=resident.replica,
        )

    def settled(self, resident: Resident, app: RunningApp | None, /) -> None:
        """List such an app in ``run.json``; None takes it off."""
        if app is not None:
            self._residents[resident] = app
            self._serves(app, resident.replica)
        else:
            self._residents.pop(resident, None)
        self._publish()

    def absent(self, app_id: str, /) -> None:
        """Have calls wait no longer for an app that is not going to come up."""
        self._expected = tuple(each for each in self._expected if each != app_id)
        if self._engine is not None:
            self._engine.engine.arrivals.give_up(app_id)

    # ---- those who join

    @property
    def visited(self) -> bool:
        """Whether anybody uses what is in this process."""
        return bool(self._guests)

    async def left(self) -> None:
        """Wait until somebody leaves."""
        self._left.clear()
        await self._left.wait()

    def broadcast(self, line: str) -> None:
        """Give a log line to the runs whose app it names, else to every run."""
        named = [guest for guest, app in self._apps.items() if f"'{app.app_id}'" in line]
        for guest in named or self._guests:
            guest.tell(line)

    def make(self, request: Start, doors: Doors, /) -> Sidecar:
        """Make the sidecar of an app of another run."""
        own = f" of app '{self._own.app_id}'" if self._own else ""
        base = Path(request.base) if request.base else None
        reason = f"it joined the run{own}" if self._doors else "shared by all apps"
        options, tokens, replica = request.options, request.tokens, request.replica
        return self._embedded(options, doors, tokens, reason, base, replica=replica)

    def coming(self, app_id: str, /) -> None:
        """Have calls wait for an app that a run is about to bring up, unless it is up already."""
        if any(app.app_id == app_id for app in self._running()):
            return
        self._expected = (*self._expected, app_id)
        if self._engine is not None:
            self._engine.engine.arrivals.expect((app_id,))

    def serves(self, guest: Guest, pid: int, /) -> None:
        """List which process an app that joined is."""
        app = self._apps.get(guest)
        if app is not None:
            self._apps[guest] = app = msgspec.structs.replace(app, app_pid=pid)
            self._serves(app, guest.replica)
            self._publish()

    def arrived(self, guest: Guest, app: RunningApp, /) -> None:
        """List an app that joined."""
        self._apps[guest] = app
        name_process("")
        self._publish()
        self._tell(f"app '{app.app_id}' joined, Dapr HTTP {app.http_port}")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guest = Guest(self, reader, writer)
        task = asyncio.create_task(guest.attend())
        self._guests[guest] = task
        task.add_done_callback(lambda _: self._forget(guest))

    def _forget(self, guest: Guest) -> None:
        del self._guests[guest]
        self._left.set()
        app = self._apps.pop(guest, None)
        if app is not None and self._server is not None:
            self._publish()
            self._tell(f"app '{app.app_id}' left")

    def _users(self) -> str:
        names = [f"'{app.app_id}'" for app in self._apps.values()]
        if not names:
            return "a run that is still starting uses"
        return f"app {names[0]} uses" if len(names) == 1 else f"apps {', '.join(names)} use"

    # ---- parts

    def _embedded(
        self,
        options: SidecarOptions,
        doors: Doors,
        tokens: Tokens,
        reason: str,
        base: Path | None,
        *,
        replica: int = 1,
    ) -> Sidecar:
        # Imported while the app's process imports the app.
        from daprflow.launcher.embedded import Embedded, SharedEngine  # noqa: PLC0415

        if self._engine is None:
            home = None if self.ephemeral else self._folder.path.resolve()
            self._engine = SharedEngine(home, self._base)
            self._engine.engine.arrivals.expect(self._expected)
        return Embedded(
            options, self._engine, doors, tokens, reason=reason, base=base, replica=replica
        )

    def _serves(self, app: RunningApp, replica: int = 1) -> None:
        if self._engine is not None:
            self._engine.serves(app.app_id, replica, app.app_pid)

    def _running(self) -> tuple[RunningApp, ...]:
        """Return every app that has its sidecar here."""
        own = (self._own,) if self._own else ()
        return (*own, *self._residents.values(), *self._apps.values())

    def _publish(self) -> None:
        if self._server is None:
            return
        made = record(*self._running(), control_port=_port(self._server), token=self.token)
        try:
            self._folder.publish(made)
        except OSError as error:
            logger.warning(
                "cannot write run.json in '%s': %s; other runs do not find this one",
                self._folder.path,
                error.strerror,
            )

    def _tell(self, line: str) -> None:
        """Say something to a terminal that others may need less long than this process."""
        with contextlib.suppress(OSError):
            self._say(line)


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
