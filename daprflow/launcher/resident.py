"""A resident: one of several apps that the run which has the engine brings along itself."""

from pathlib import Path
from typing import Protocol

from daprflow.launcher.doors import Doors
from daprflow.launcher.folder import RunningApp
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.sidecar import Sidecar


class House(Protocol):
    """What a resident needs of the host."""

    def furnish(self, resident: "Resident", tokens: Tokens, reason: str, /) -> Sidecar:
        """Make the sidecar of a resident's app, on the engine all apps share."""
        ...

    def settled(self, resident: "Resident", app: RunningApp | None, /) -> None:
        """Note that an app has its sidecar, or with None that it is gone."""
        ...


class Resident:
    """An app's part in the data folder; see `daprflow.launcher.membership.Membership`.

    Args:
        house: the host.
        options: of this app's sidecar.
        base: the app's working folder.
        doors: its ports, held from now on; closed here.
        replica: which one it is, from 1, of those of its app.
    """

    def __init__(
        self, house: House, options: SidecarOptions, base: Path, doors: Doors, replica: int = 1
    ) -> None:
        self.http_port = doors.http_port
        self.grpc_port = doors.grpc_port
        self.metrics_port = doors.metrics_port
        self.options = options
        self.base = base
        self.doors = doors
        self.replica = replica
        self._house = house

    def sidecar(self, tokens: Tokens, reason: str, /) -> Sidecar:
        """Make the sidecar of this app."""
        return self._house.furnish(self, tokens, reason)

    def announce(self, app: RunningApp, /) -> None:
        """List the app in ``run.json``."""
        self._house.settled(self, app)

    async def linger(self) -> None:
        """Have nothing to wait for: the host does."""

    async def close(self) -> None:
        """Give the ports back."""
        self._house.settled(self, None)
        self.doors.close()
