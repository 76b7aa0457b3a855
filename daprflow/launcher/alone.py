"""A sidecar without an app of ours: for an app in any language, started by somebody else."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from daprflow.launcher.exits import Exit, ForcedEnd, LaunchError
from daprflow.launcher.folder import DataFolder, RunningApp
from daprflow.launcher.logs import name_process
from daprflow.launcher.membership import Enter, Membership, enter
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.sidecar import AppSpec, Sidecar, SidecarInfo
from daprflow.launcher.stopping import Stop
from daprflow.launcher.supervisor import Voice


class Alone:
    """One embedded sidecar until a signal or ``POST /v1.0/shutdown`` ends it.

    Args:
        options: of the sidecar.
        base: the working folder.
        env: of this process.
        voice: speaks to the user.
        enter: how it comes to its data folder.
        resource_home: where resources are looked for that are not named; None: the working folder.
        sidecar_up: told once it answers calls.
        stop: when it ends; somebody else owns the signals. None: it owns them itself.
    """

    def __init__(
        self,
        options: SidecarOptions,
        base: Path,
        env: Mapping[str, str],
        voice: Voice,
        *,
        enter: Enter = enter,
        resource_home: Path | None = None,
        sidecar_up: Callable[[AppSpec, SidecarInfo], None] = lambda _app, _info: None,
        stop: Stop | None = None,
    ) -> None:
        if options.app_id is None:
            raise LaunchError("a sidecar needs the app's id: --app-id", Exit.USAGE)
        self._app = AppSpec(options.app_id, options.app_port, str(resource_home or base))
        self._enter = enter
        self._sidecar_up = sidecar_up
        self._options = options
        self._grace: float = options.grace
        self._base = base
        self._tokens = Tokens(env.get("DAPR_API_TOKEN") or None, env.get("APP_API_TOKEN") or None)
        self._voice = voice
        self._folder = DataFolder(options.data_dir)
        self._owns_signals = stop is None
        self._stop = stop or Stop()

    async def run(self, started: float) -> int:
        """Serve until told to stop; return the exit code.

        Raises:
            LaunchError: a port, the data folder or a component stands in the way.
        """
        member = await self._enter(self._folder, self._options, self._base, self._voice.say)
        try:
            if not self._owns_signals:
                return await self._serve(member, started)
            name_process(self._app.app_id)
            with self._stop.signals():
                code = await self._serve(member, started)
                await self._stop.linger(member.linger())
            return code
        finally:
            await member.close()

    async def _serve(self, member: Membership, started: float) -> int:
        sidecar = member.sidecar(self._tokens, "it runs alone")
        try:
            await sidecar.start(self._app)
            app = self._app
            ports, token = (member.http_port, member.grpc_port), self._tokens.api
            pid = os.getpid()
            member.announce(
                RunningApp(app.app_id, ports[0], app.app_port, token, ports[1], pid=pid)
            )
            self._sidecar_up(app, sidecar.info())
            seconds = asyncio.get_running_loop().time() - started
            self._voice.ready(self._app, sidecar.info(), seconds)
            return await self._until_over(sidecar)
        finally:
            closing = asyncio.create_task(sidecar.close(self._grace))
            if not await self._unless(self._stop.hurry, closing):
                await sidecar.close(0.0)

    async def _until_over(self, sidecar: Sidecar) -> int:
        connecting = asyncio.create_task(sidecar.connect())
        ended = asyncio.create_task(sidecar.ended())
        try:
            if not await self._unless(self._stop.asked, ended):
                return Exit.OK
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
        end = ended.result()
        self._voice.warn(str(end))
        if isinstance(end, ForcedEnd):
            self._grace = 0.0
        return Exit.OK if end.code is Exit.SIDECAR_FAILED else end.code

    async def _unless(self, event: asyncio.Event, work: "asyncio.Task[object]") -> bool:
        """Wait for ``work`` and return True; False, and it is cancelled, if ``event`` is first."""
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            if not work.done():
                work.cancel()
            await asyncio.gather(work, waiting, return_exceptions=True)
        if work.cancelled():
            return False
        work.result()
        return True
