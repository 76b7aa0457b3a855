"""The other apps that an app under test can find: fakes, and real ones that speak gRPC."""

from daprflow.sidecar.app.base import App
from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from daprflow.testing.fakes import FakeApp
from daprflow.testing.faults import Faults
from daprflow.testing.faulty import FaultyChannel


class Peers:
    """Lets apps be found in an engine; their sidecars are never opened."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._apps: list[App] = []

    def join(self, app_id: str, fake: FakeApp, faults: Faults) -> None:
        """Let a fake be found; faults meet the calls on it."""
        channel = FaultyChannel(app_id, fake, faults)
        self._join(RuntimeOptions(app_id, app_port=1), HttpApp(channel))

    def join_grpc(self, app_id: str, port: int) -> None:
        """Let an app be found that listens for gRPC on a port of this machine."""
        options = RuntimeOptions(app_id, app_port=port, app_protocol="grpc")
        app = make_app(options)
        if app is not None:
            self._apps.append(app)
            self._join(options, app)

    async def close(self) -> None:
        """Forget them all, and give back every connection."""
        self._engine.runtimes.clear()
        for app in self._apps:
            await app.close()

    def _join(self, options: RuntimeOptions, app: App) -> None:
        self._engine.runtimes.add(Runtime(self._engine, options, Resources(), app))
