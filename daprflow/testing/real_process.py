"""One app's real runtime under test: its process, its resource files, its health."""

import asyncio
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from daprflow.launcher.daprd import configuration_document, document
from daprflow.launcher.http_probe import probe
from daprflow.launcher.process import GuardedProcess
from daprflow.protocol.resources import ComponentResource
from daprflow.testing.real_services import HOST, Services, Spawned, free_port

NO_CONTENT = 204
START_SECONDS = 30.0
GRACE = 5.0
PAUSE = 0.02
LAST = 4000


class RealRuntime:
    """A ``daprd`` for an app that listens already.

    Attributes:
        http_port: of its HTTP API.
        grpc_port: of its gRPC API.
        resources: the folder that it follows: what is written there is loaded.
    """

    def __init__(self, services: Services, folder: Path) -> None:
        self.http_port: int = free_port()
        self.grpc_port: int = free_port()
        self.resources: Path = folder / "resources"
        self._services = services
        self._folder = folder
        self._spawned: Spawned | None = None

    def write(self, components: Iterable[ComponentResource]) -> None:
        """Put components into the folder that it follows."""
        self.resources.mkdir(exist_ok=True)
        for each in components:
            (self.resources / f"{each.name}.yaml").write_bytes(document(each))

    async def start(
        self, app_id: str, app_port: int, features: tuple[str, ...], more: Path | None
    ) -> None:
        """Start it and wait until outbound calls work.

        Args:
            app_id: whose it is.
            app_port: where the app listens.
            features: of its Configuration.
            more: a further folder of resources.

        Raises:
            RuntimeError: it ended, or did not become ready; the text has its last lines.
        """
        words = [
            f"--app-id={app_id}",
            f"--app-port={app_port}",
            f"--dapr-http-port={self.http_port}",
            f"--dapr-grpc-port={self.grpc_port}",
            f"--dapr-listen-addresses={HOST}",
            f"--dapr-internal-grpc-listen-address={HOST}",
            "--enable-metrics=false",
            f"--placement-host-address={self._services.placement}",
            f"--scheduler-host-address={self._services.scheduler}",
            f"--resources-path={self.resources}",
            *([] if more is None else [f"--resources-path={more}"]),
        ]
        if features:
            file = self._folder / "configuration.yaml"
            file.write_bytes(configuration_document(features))
            words.append(f"--config={file}")
        spawn = self._services.spawn or Programs(self._services.program).start
        self._spawned = spawn(tuple(words), self._folder)
        await self.until("/v1.0/healthz/outbound")

    async def until(self, path: str) -> None:
        """Wait for a health endpoint.

        Raises:
            RuntimeError: the process ended, or it was not healthy in time.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                while await probe(self.http_port, path, {}) != NO_CONTENT:
                    if self._spawned is None or self._spawned.ended:
                        raise RuntimeError(f"daprd ended while it started:\n{self._last_lines()}")
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            raise RuntimeError(
                f"daprd was not ready within {START_SECONDS:g} s:\n{self._last_lines()}"
            ) from None

    async def stop(self) -> None:
        """End it."""
        if self._spawned is not None:
            await self._spawned.stop()

    def _last_lines(self) -> str:
        return "" if self._spawned is None else self._spawned.log()[-LAST:]


class Programs:
    """Runs the program of a runtime, under the guard: it ends with the tests, however they end."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def start(self, words: tuple[str, ...], folder: Path) -> "SpawnedProgram":
        """Start it; what it prints goes into a file of the test's folder."""
        file = folder / "daprd.log"
        with file.open("wb") as log:
            process = GuardedProcess(
                [str(self._program), *words],
                environment={**os.environ, "DAPR_HOST_IP": HOST},
                grace=GRACE,
                quiet=True,
                output=log.fileno(),
            )
        return SpawnedProgram(process, file)


class SpawnedProgram:
    """A runtime that is a process of this machine."""

    def __init__(self, process: GuardedProcess, file: Path) -> None:
        self._process = process
        self._file = file

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.status is not None

    def log(self) -> str:
        """Return what it has printed."""
        return self._file.read_bytes().decode("utf-8", "replace")

    async def stop(self) -> None:
        """Ask it to end, and kill what does not."""
        await self._process.stop(signal.SIGTERM, GRACE)
