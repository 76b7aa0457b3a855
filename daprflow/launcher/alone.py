"""A sidecar without an app of ours: for an app in any language, started by somebody else."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from daprflow.launcher.configuration import unhonoured
from daprflow.launcher.embedded import Embedded, EngineHome
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder, RunningApp, in_use, record
from daprflow.launcher.launch import http_listener
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.sidecar import AppSpec
from daprflow.launcher.supervisor import STOP_SIGNALS, Voice


class Alone:
    """One embedded sidecar until a signal or ``POST /v1.0/shutdown`` ends it."""

    def __init__(
        self, options: SidecarOptions, base: Path, env: Mapping[str, str], voice: Voice
    ) -> None:
        if options.app_id is None:
            raise LaunchError("a sidecar needs the app's id: --app-id", Exit.USAGE)
        self._app = AppSpec(options.app_id, options.app_port, str(base))
        self._options = options
        self._base = base
        self._tokens = Tokens(env.get("DAPR_API_TOKEN"), env.get("APP_API_TOKEN"))
        self._voice = voice
        self._folder = DataFolder(options.data_dir)

    async def run(self, started: float) -> int:
        """Serve until told to stop; return the exit code.

        Raises:
            LaunchError: a port, the data folder or a component stands in the way.
        """
        if warning := unhonoured(self._options.config):
            self._voice.warn(warning)
        self._folder.prepare()
        if not self._folder.lock():
            raise in_use(self._folder.path)
        try:
            return await self._serve(started)
        finally:
            self._folder.release()

    async def _serve(self, started: float) -> int:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, stopping.set)
        home = None if self._options.ephemeral else self._folder.path.resolve()
        sidecar = Embedded(
            self._options,
            EngineHome(home, self._base),
            http_listener(self._options),
            self._tokens,
            reason="it runs alone",
        )
        try:
            await sidecar.start(self._app)
            self._publish(sidecar.http_port)
            self._voice.ready(self._app, sidecar.info(), loop.time() - started)
            await self._until_over(sidecar, stopping)
        finally:
            await sidecar.close(self._options.grace)
        return Exit.OK

    async def _until_over(self, sidecar: Embedded, stopping: asyncio.Event) -> None:
        connecting = asyncio.create_task(sidecar.connect())
        ending = {
            asyncio.create_task(sidecar.ended()),
            asyncio.create_task(stopping.wait()),
        }
        try:
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = (connecting, *ending)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _publish(self, http_port: int) -> None:
        app = RunningApp(self._app.app_id, http_port, self._app.app_port, self._tokens.api)
        self._folder.publish(record(app))
