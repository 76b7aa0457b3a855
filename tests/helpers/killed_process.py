"""Processes that are killed and begun again: a sidecar, and the app beside it."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daprflow.testing.real_services import Services
from tests.helpers import kill_app
from tests.helpers.own_ports import free_port

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[2]
TOLD = 10
"""Lines that are shown of what a process printed."""
STORE = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: store
spec:
  type: state.sqlite
  version: v1
  metadata:
    - {name: connectionString, value: "%s"}
    - {name: actorStateStore, value: "true"}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the sidecar listens."""

    http: int
    grpc: int

    @classmethod
    def free(cls) -> "Ports":
        """Take ports that nobody has."""
        return cls(free_port(), free_port())


class KilledProcess:
    """A process that somebody kills, and that is begun again each time.

    Args:
        words: what is run.
        env: its environment.
        folder: where it works; what it prints goes to a file there.
        name: of that file.

    Attributes:
        begun: how often it was.
    """

    def __init__(
        self, words: tuple[str, ...], env: Mapping[str, str], folder: Path, name: str
    ) -> None:
        self.begun = 0
        self._words = words
        self._env = env
        self._folder = folder
        self._name = name
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> Path:
        """What it prints."""
        return self._folder / f"{self._name}.log"

    @property
    def last_words(self) -> str:
        """What it printed last, to say why it ended by itself."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"'{self._name}' ended by itself:", *lines[-TOLD:]])

    async def begin(self, extra: Mapping[str, str] | None = None) -> None:
        """Begin it, with some more in its environment; that it works takes longer."""
        self.begun += 1
        env = {**self._env, **(extra or {}), kill_app.PROCESS: f"{self._name}.{self.begun}"}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._words,
                cwd=self._folder,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )

    async def kill(self) -> None:
        """Kill it as the system does when memory is short."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.returncode is None, self.last_words
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def plain_environment(folder: Path) -> dict[str, str]:
    """Return the environment without what concerns Dapr, for a home of its own."""
    ours = ("DAPR", "APP_", "KILLS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "HOME": str(folder), "PYTHONPATH": str(ROOT)}


def app_process(folder: Path, ports: Ports, ledger: Path, number: int) -> KilledProcess:
    """Return one process of the app, served as it is in production."""
    env = {
        **plain_environment(folder),
        "DAPR_HTTP_PORT": str(ports.http),
        "DAPR_GRPC_PORT": str(ports.grpc),
        kill_app.LEDGER: str(ledger),
    }
    target = f"{kill_app.__name__}:app"
    words = (sys.executable, "-m", "daprflow", "serve", target, "--port", str(free_port()))
    return KilledProcess(words, env, folder, f"app{number}")


def embedded_process(folder: Path, ports: Ports) -> KilledProcess:
    """Return a sidecar of ours that keeps its data in the folder."""
    words = (
        *(sys.executable, "-m", "daprflow", "sidecar", "--app-id", kill_app.app.app_id),
        *("--dapr-http-port", str(ports.http), "--dapr-grpc-port", str(ports.grpc)),
    )
    return KilledProcess(words, plain_environment(folder), folder, "sidecar")


def daprd_process(folder: Path, ports: Ports, services: Services) -> KilledProcess:
    """Return a real runtime that keeps its data in the folder."""
    resources = folder / "resources"
    resources.mkdir()
    text = STORE % (folder / "state.db")
    (resources / "store.yaml").write_text(text, encoding="utf-8")
    words = (
        *(str(services.home / ".dapr" / "bin" / "daprd"), "--app-id", kill_app.app.app_id),
        *("--dapr-http-port", str(ports.http), "--dapr-grpc-port", str(ports.grpc)),
        *("--dapr-internal-grpc-port", str(free_port()), "--resources-path", str(resources)),
        *("--dapr-listen-addresses", HOST, "--enable-metrics=false", *services.flags),
    )
    return KilledProcess(words, plain_environment(folder), folder, "sidecar")
