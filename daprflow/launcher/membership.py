"""A run's part in its data folder: the first run hosts the engine, those after it join."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from daprflow.launcher.exits import LaunchError
from daprflow.launcher.folder import DataFolder, RunningApp, in_use
from daprflow.launcher.host import EngineHost
from daprflow.launcher.joined import JoinedRun, join
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.sidecar import Sidecar

JOIN_SECONDS = 10.0
"""How long a run that holds the folder may take to say where to join, or to end."""
PAUSE = 0.05


class Membership(Protocol):
    """What a run does with its data folder, as its host or as one who joined.

    Attributes:
        http_port: of this run's HTTP API; held from now on.
        grpc_port: of its gRPC API, likewise.
        metrics_port: of its metrics, likewise; None where it has none.
    """

    http_port: int
    grpc_port: int
    metrics_port: int | None

    def sidecar(self, tokens: Tokens, reason: str, /) -> Sidecar:
        """Make the sidecar of this run's app."""
        ...

    def announce(self, app: RunningApp, /) -> None:
        """Tell others that the app has its sidecar."""
        ...

    async def linger(self) -> None:
        """Return when nobody needs this process any more; this run's own app has ended."""
        ...

    async def close(self) -> None:
        """Give everything back, the lock as well."""
        ...


Enter = Callable[[DataFolder, SidecarOptions, Path, Callable[[str], None]], Awaitable[Membership]]
"""How a run comes to its part: `enter`, or `daprflow.launcher.hub.enter_hub`."""


async def enter(
    folder: DataFolder, options: SidecarOptions, base: Path, say: Callable[[str], None]
) -> EngineHost | JoinedRun:
    """Become the host of a data folder, or join the run that is.

    Args:
        folder: the data folder; prepared here.
        options: of the sidecar this run wants.
        base: the working folder.
        say: prints one line about the run.

    Raises:
        LaunchError: the folder cannot be used, its run takes nobody in, or a port is taken.
    """
    folder.prepare()
    clock = asyncio.get_running_loop()
    deadline = clock.time() + JOIN_SECONDS
    while True:
        if folder.lock():
            return await _host(folder, options, base, say)
        found = folder.running()
        if found is not None and found.apps and not found.control_port:
            raise in_use(folder.path)
        if found is not None and found.control_port:
            joined = await join(found, options, base)
            if joined is not None:
                return joined
        if clock.time() > deadline:
            raise in_use(folder.path)
        await asyncio.sleep(PAUSE)


async def _host(
    folder: DataFolder, options: SidecarOptions, base: Path, say: Callable[[str], None]
) -> EngineHost:
    host = EngineHost(folder, options, base, say)
    try:
        await host.open()
    except LaunchError:
        await host.close()
        raise
    return host
