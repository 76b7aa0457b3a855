"""The sidecar and the app that are killed, stopped and begun again, as processes of their own."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from daprflow import Client, DaprFlowError
from daprflow.settings import Settings
from tests.faults.harness import failing, proof_app
from tests.faults.harness.steps import PLAN, SEEN, Plan
from tests.helpers.killed_process import HOST, KilledProcess, Ports, plain_environment
from tests.helpers.own_ports import free_port

GRACE = 5.0
WITHIN = 30.0


class Victim(KilledProcess):
    """A process that is ended in more ways than by a kill from outside."""

    @property
    def pid(self) -> int:
        """Its number, while it runs."""
        assert self._process is not None
        return self._process.pid

    async def died(self, within: float) -> bool:
        """Wait for its end at a fail-point, and say whether it came; kill it if not."""
        process = self._process
        assert process is not None
        ending = asyncio.ensure_future(process.wait())
        await asyncio.wait({ending}, timeout=within)
        if not ending.done() and process.returncode is None:
            ending.cancel()
            await self.kill()
            return False
        await ending  # it may have come there in the very last moment
        self._process = None
        assert process.returncode == -signal.SIGKILL, self.last_words
        return True

    async def stop(self) -> tuple[int, float]:
        """Ask it to end; return its exit code, and the seconds that it took."""
        process, self._process = self._process, None
        assert process is not None
        assert process.returncode is None, self.last_words
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(process.wait(), WITHIN)
        except TimeoutError:
            process.kill()
            code = await process.wait()
        return code, time.monotonic() - begun


@dataclass(frozen=True, slots=True)
class Pair:
    """A sidecar and the app beside it.

    Attributes:
        ledger: the folder of the app's ledger.
        seen: the file of the fail-points that the sidecar passed.
        app_port: where the app listens.
        ports: where the sidecar does.
    """

    sidecar: Victim
    app: Victim
    client: Client
    ledger: Path
    seen: Path
    app_port: int
    ports: Ports

    async def listening(self) -> None:
        """Wait until the app is there."""
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, self.app_port)
                writer.close()
                return
            await asyncio.sleep(0.01)
        raise TimeoutError(f"the app does not listen: see {self.app.log}")

    async def begin_failing(self, plan: Plan) -> None:
        """Begin the sidecar with a fail-point."""
        await self.sidecar.begin({PLAN: plan.text})

    async def healthy(self) -> float:
        """Wait until the sidecar is; return when, on the clock that never jumps."""
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(DaprFlowError):
                if await self.client.healthy(outbound=True):
                    return time.monotonic()
            await asyncio.sleep(0.01)
        raise TimeoutError(f"the sidecar does not become healthy: see {self.sidecar.log}")


@contextlib.asynccontextmanager
async def sidecar_and_app(
    folder: Path, module: ModuleType = proof_app, command: ModuleType = failing
) -> AsyncIterator[Pair]:
    """Give a sidecar and the app of a module, not begun yet; they are killed at the end.

    Args:
        folder: where they work.
        module: the app's.
        command: runs the sidecar; the app too, unless it is the one with fail-points.
    """
    ledger = folder / "ledger"
    ledger.mkdir()
    ports, app_port, seen = Ports.free(), free_port(), folder / "seen"
    plain = plain_environment(folder)
    sidecar = Victim(
        (
            *(sys.executable, "-m", command.__name__, "sidecar", "--app-id", module.app.app_id),
            *("--dapr-http-port", str(ports.http), "--dapr-grpc-port", str(ports.grpc)),
            *("--app-port", str(app_port), "--dapr-graceful-shutdown-seconds", str(GRACE)),
        ),
        {**plain, SEEN: str(seen)},
        folder,
        "sidecar",
    )
    env = {
        **plain,
        "DAPR_HTTP_PORT": str(ports.http),
        "DAPR_GRPC_PORT": str(ports.grpc),
        proof_app.LEDGER: str(ledger),
    }
    target = f"{module.__name__}:app"
    of_app = "daprflow" if command is failing else command.__name__
    words = (sys.executable, "-m", of_app, "serve", target, "--port", str(app_port))
    app = Victim((*words, "--grace", str(GRACE)), env, folder, "app")
    settings = Settings(
        http_endpoint=f"http://{HOST}:{ports.http}",
        grpc_endpoint=f"{HOST}:{ports.grpc}",
        health_timeout=0.0,
        http_timeout=10.0,
    )
    async with Client(settings) as client:
        pair = Pair(sidecar, app, client, ledger, seen, app_port, ports)
        try:
            yield pair
        finally:
            try:
                await app.kill()
            finally:
                await sidecar.kill()
