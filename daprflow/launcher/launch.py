"""From options to a run: chooses the sidecar, takes the ports, locks the data folder."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daprflow.launcher import ports
from daprflow.launcher.app_process import Surroundings
from daprflow.launcher.existing import Existing, find_sidecar
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder, RunningApp, in_use, record
from daprflow.launcher.membership import Enter, Membership, enter
from daprflow.launcher.options import (
    DEFAULT_APP_PORT,
    DEFAULT_HTTP_PORT,
    DEFAULT_METRICS_PORT,
    RunOptions,
    SidecarChoice,
    Tokens,
)
from daprflow.launcher.process import adopt_orphans, end_orphans
from daprflow.launcher.sidecar import AppSpec, Attached, Sidecar
from daprflow.launcher.stopping import Stop
from daprflow.launcher.supervisor import Ears, Plan, Supervisor, Voice

Publish = Callable[[RunningApp], None]
"""Tells others that an app has its sidecar."""
Hold = Callable[[DataFolder], AbstractContextManager[Publish]]
"""How a run with a real runtime comes to its data folder."""


@dataclass(frozen=True, slots=True)
class Among:
    """What the apps of one process share, besides its data folder.

    Attributes:
        stop: when they end; somebody else owns the signals, and ends what is left over.
        hold: how one with a real runtime comes to the data folder.
        parting: what becomes of the rest once one of them has ended.
        concerns: tells whether a change of a file is one of this app.
    """

    stop: Stop
    hold: Hold
    parting: Callable[[], str]
    concerns: Callable[[Path], bool] = lambda _file: True


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which sidecar a run takes and why; ``daprd`` is the runtime's program."""

    choice: SidecarChoice
    reason: str
    daprd: Path | None = None


def runtime_home(options: RunOptions, env: Mapping[str, str]) -> Path:
    """Return the folder a real runtime is installed in, as the official command line finds it."""
    if options.runtime_path is not None:
        return options.runtime_path / ".dapr"
    if env.get("DAPR_RUNTIME_PATH"):
        return Path(env["DAPR_RUNTIME_PATH"]) / ".dapr"
    return Path(env.get("HOME") or "/nonexistent") / ".dapr"


def require_suitable_protocol(options: RunOptions) -> None:
    """Refuse an app protocol that an app of ours does not speak.

    Raises:
        LaunchError: there is a target, and the protocol is not ``http``.
    """
    protocol = options.sidecar.app_protocol
    if options.target is not None and protocol != "http":
        raise LaunchError(
            f"--app-protocol {protocol} is for commands (daprflow run -- …): "
            "a DaprFlow app is served over http",
            Exit.USAGE,
        )


def choose(options: RunOptions, env: Mapping[str, str]) -> Chosen:
    """Decide which sidecar to take; never one from the working folder or a folder open to all.

    Raises:
        LaunchError: ``--sidecar daprd`` and there is none that may be used.
    """
    if options.choice in {SidecarChoice.EMBEDDED, SidecarChoice.NONE}:
        return Chosen(options.choice, f"--sidecar {options.choice}")
    program = runtime_home(options, env) / "bin" / "daprd"
    problem = _unusable(program, options.base)
    if not problem:
        reason = "--sidecar daprd" if options.choice is SidecarChoice.DAPRD else "it is installed"
        return Chosen(SidecarChoice.DAPRD, f"{reason}: {program}", program)
    if options.choice is SidecarChoice.DAPRD:
        raise LaunchError(
            f"no usable runtime: {problem}; run 'dapr init', or use --sidecar embedded",
            Exit.SIDECAR_FAILED,
        )
    return Chosen(SidecarChoice.EMBEDDED, problem)


def _unusable(program: Path, base: Path) -> str:
    """Return why a program must not be run; empty when it may."""
    if not program.is_file():
        return f"there is no {program}"
    real = program.resolve()
    if real.is_relative_to(base.resolve()) and base.resolve() != Path.home():
        return f"'{real}' lies in the working folder"
    for place in (real, real.parent):
        mode = place.stat()
        if mode.st_mode & 0o002:
            return f"everybody may write to '{place}'"
        if mode.st_uid not in {0, os.getuid()}:
            return f"'{place}' belongs to another user"
    if not os.access(real, os.X_OK):
        return f"'{real}' is not executable"
    return ""


@contextlib.contextmanager
def held_alone(folder: DataFolder) -> Iterator[Publish]:
    """Hold a data folder for a run of which no other run can be a part.

    Raises:
        LaunchError: another run holds it.
    """
    folder.prepare()
    if not folder.lock():
        raise in_use(folder.path)
    try:
        yield lambda app: folder.publish(record(app))
    finally:
        folder.release()


class Launch:
    """One run from its options to its exit code.

    Args:
        options: what is asked for.
        env: of this process.
        voice: speaks to the user.
        enter: how it comes to its part in the data folder.
        ears: who hears more of it.
        among: what is shared with other apps of this process; None where there is this one alone.
    """

    def __init__(
        self,
        options: RunOptions,
        env: Mapping[str, str],
        voice: Voice,
        *,
        enter: Enter = enter,
        ears: Ears = Ears(),  # noqa: B008 - frozen
        among: Among | None = None,
    ) -> None:
        self._options = options
        self._env = env
        self._voice = voice
        self._enter = enter
        self._ears = ears
        self._among = among
        self._folder = DataFolder(options.sidecar.data_dir)
        self._held: list[socket.socket] = []

    async def run(self, started: float) -> int:
        """Take what the run needs, carry it out, give everything back.

        Raises:
            LaunchError: something outside stands in the way.
        """
        require_suitable_protocol(self._options)
        try:
            chosen = choose(self._options, self._env)
            if self._options.choice is SidecarChoice.AUTO and (found := await self._found()):
                return await self._supervise(self._attached(found), started)
            return await self._run(chosen, started)
        finally:
            if self._among is None:
                await asyncio.to_thread(end_orphans)
            for listener in self._held:
                listener.close()

    async def _found(self) -> Existing | None:
        """Look for a sidecar that runs for this app already; its id is the app's then."""
        sidecar = self._options.sidecar
        found = await find_sidecar(sidecar.app_id, self._env, self._voice.say)
        if found is not None:
            sidecar = replace(sidecar, app_id=found.app_id)
            self._options = replace(self._options, sidecar=sidecar)
        return found

    async def _run(self, chosen: Chosen, started: float) -> int:
        if chosen.choice is SidecarChoice.NONE:
            return await self._supervise(self._attached(), started)
        if chosen.daprd is not None:
            return await self._run_real(chosen.reason, chosen.daprd, started)
        options = self._options
        member = await self._enter(self._folder, options.sidecar, options.base, self._voice.say)
        try:
            return await self._supervise(self._shared(member, chosen.reason), started)
        finally:
            await member.close()

    async def _run_real(self, reason: str, program: Path, started: float) -> int:
        hold = self._among.hold if self._among is not None else held_alone
        with hold(self._folder) as publish:
            return await self._supervise(self._real(reason, program, publish), started)

    async def _supervise(self, pieces: "_Pieces", started: float) -> int:
        plan = Plan(
            options=self._options,
            around=pieces.around,
            listener=pieces.listener,
            make_sidecar=pieces.make_sidecar,
            started=started,
            announce=pieces.announce,
            alone=self._among is None,
            concerns=self._among.concerns if self._among else (lambda _file: True),
            parting=self._among.parting if self._among else (lambda: "the sidecar is stopped"),
            sidecar_first=bool(self._options.command) and pieces.around.app_port is None,
            ears=self._ears,
        )
        adopt_orphans()  # not before: who enters may start a process that outlives this one
        if self._among is not None:
            return await Supervisor(plan, self._voice, self._among.stop).run()
        stop = Stop(self._ears.stopping)
        with stop.signals():
            status = await Supervisor(plan, self._voice, stop).run()
            await stop.linger(pieces.linger())
        return status

    def _attached(self, found: Existing | None = None) -> "_Pieces":
        """Leave the sidecar to others: one that was found, or whatever ``--sidecar none`` means."""
        options = self._options.sidecar
        named = self._env.get("DAPR_HTTP_PORT", "")
        http_port = options.dapr_http_port or (int(named) if named.isdecimal() else None)
        listener = self._app_listener({http_port or DEFAULT_HTTP_PORT}, found)
        around = self._surroundings(
            listener,
            Tokens(),
            http_port=None if found else options.dapr_http_port,
            grpc_port=None if found else options.dapr_grpc_port,
            foreign=True,
        )
        endpoint = self._env.get("DAPR_HTTP_ENDPOINT", "")
        shown = None if endpoint else http_port or DEFAULT_HTTP_PORT
        return _Pieces(
            around,
            listener,
            lambda: Attached(shown, options.dapr_grpc_port, endpoint, found),
            lambda _app, _pid: None,
        )

    def _shared(self, member: Membership, reason: str) -> "_Pieces":
        listener = self._app_listener({member.http_port, member.grpc_port})
        tokens = Tokens(
            self._env.get("DAPR_API_TOKEN") or None, self._env.get("APP_API_TOKEN") or None
        )
        around = self._surroundings(
            listener,
            tokens,
            http_port=member.http_port,
            grpc_port=member.grpc_port,
            metrics_port=member.metrics_port,
        )
        return _Pieces(
            around,
            listener,
            lambda: member.sidecar(tokens, reason),
            lambda app, pid: member.announce(self._running(app, around, pid)),
            member.linger,
        )

    def _real(self, reason: str, program: Path, publish: Publish) -> "_Pieces":
        options = self._options.sidecar
        app = options.app_port
        http = self._hold(ports.http_listener(options.dapr_http_port, options.dapr_grpc_port, app))
        grpc = self._hold(ports.grpc_listener(options.dapr_grpc_port, app))
        metrics = self._hold(ports.listen_from(DEFAULT_METRICS_PORT, avoid=(app,)))
        taken = [s.getsockname()[1] for s in (http, grpc, metrics)]
        listener = self._app_listener(set(taken))
        tokens = Tokens(
            self._env.get("DAPR_API_TOKEN") or secrets.token_urlsafe(),
            self._env.get("APP_API_TOKEN") or secrets.token_urlsafe(),
        )
        around = self._surroundings(
            listener, tokens, http_port=taken[0], grpc_port=taken[1], metrics_port=taken[2]
        )

        def make() -> Sidecar:
            from daprflow.launcher.daprd import Daprd, DaprdPlace  # noqa: PLC0415 - seldom used

            data_dir = self._folder.path.resolve()
            place = DaprdPlace(program, data_dir, (http, grpc, metrics), self._options.base)
            return Daprd(options, place, tokens, reason=reason, say=self._voice.log)

        return _Pieces(
            around,
            listener,
            make,
            lambda app, pid: publish(self._running(app, around, pid, "daprd")),
        )

    def _app_listener(self, avoid: set[int], found: Existing | None = None) -> socket.socket | None:
        """Take the port of a target of ours; a command's port must be free for it."""
        options = self._options.sidecar
        host = options.app_channel_address
        if self._options.target is None:
            if options.app_port is not None:
                ports.require_free(options.app_port, host=host, flag="--app-port")
            return None
        if options.app_port is not None:
            return self._hold(ports.listen(options.app_port, host=host, flag="--app-port"))
        if found is not None and found.app_port is not None:
            return self._hold(ports.listen(found.app_port, host=host, flag="APP_PORT"))
        return self._hold(ports.listen_from(DEFAULT_APP_PORT, host=host, avoid=avoid))

    def _hold(self, listener: socket.socket) -> socket.socket:
        """Remember a socket, so that it is closed whatever happens."""
        self._held.append(listener)
        return listener

    def _surroundings(
        self,
        listener: socket.socket | None,
        tokens: Tokens,
        *,
        http_port: int | None,
        grpc_port: int | None = None,
        metrics_port: int | None = None,
        foreign: bool = False,
    ) -> Surroundings:
        options = self._options.sidecar
        return Surroundings(
            app_id=options.app_id,
            app_port=listener.getsockname()[1] if listener else options.app_port,
            app_protocol=options.app_protocol,
            app_channel_address=options.app_channel_address,
            http_port=http_port,
            tokens=tokens,
            grpc_port=grpc_port,
            metrics_port=metrics_port,
            foreign=foreign,
        )

    def _running(
        self, app: AppSpec, around: Surroundings, pid: int, kind: str = "embedded"
    ) -> RunningApp:
        return RunningApp(
            app.app_id,
            around.http_port or 0,
            around.app_port,
            around.tokens.api,
            around.grpc_port,
            pid=os.getpid(),
            sidecar=kind,
            logs=self._ears.logs,
            app_pid=pid,
        )


async def nobody() -> None:
    """Wait for nobody: a run that shares nothing ends with its app."""


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What a kind of sidecar brings to a plan."""

    around: Surroundings
    listener: socket.socket | None
    make_sidecar: Callable[[], Sidecar]
    announce: Callable[[AppSpec, int], None]
    linger: Callable[[], Coroutine[Any, Any, None]] = nobody
