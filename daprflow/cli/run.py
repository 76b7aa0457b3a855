"""``daprflow run``: an app and a sidecar for it."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.context import invocation
from daprflow.cli.debug import DebugApp, DebugPort, DebugSidecar, prepare
from daprflow.cli.environment import RUN_ENV, EnvOption
from daprflow.cli.flags import environment_name, flag, sidecar_flags
from daprflow.cli.voice import ConsoleVoice
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.launch import Launch
from daprflow.launcher.logs import configure_logging
from daprflow.launcher.loop import run as run_loop
from daprflow.launcher.options import RunOptions, SidecarChoice, SidecarOptions
from daprflow.launcher.target import resolve

RunFileOption = Annotated[
    str | None,
    typer.Option(
        "--run-file",
        "-f",
        help="Run the apps of a template: a file, a folder with dapr.yaml, or - for stdin.",
        envvar=environment_name("run_file"),
        show_envvar=False,
    ),
]
ReplicasOption = Annotated[
    list[str],
    typer.Option(
        "--replicas",
        help="How many processes of the app run under its id; with --run-file ID=N.",
        envvar=environment_name("replicas"),
        show_envvar=False,
    ),
]
TargetArgument = Annotated[
    str | None,
    typer.Argument(help="module:app, a file, or a folder with app.py or main.py."),
]


@sidecar_flags
def run(
    context: typer.Context,
    target: TargetArgument = None,
    *,
    sidecar: SidecarOptions,
    choice: Annotated[
        SidecarChoice, typer.Option("--sidecar", help="Which sidecar.", envvar="DAPRFLOW_SIDECAR")
    ] = SidecarChoice.AUTO,
    reload: Annotated[bool, flag("reload", "Restart the app when a file changes.")] = False,
    app_start_timeout: Annotated[
        float, flag("app_start_timeout", "Seconds the app has to open its port.", min=0.1)
    ] = 60.0,
    runtime_path: Annotated[
        Path | None, flag("runtime_path", "Where a real runtime is installed.")
    ] = None,
    env: EnvOption = RUN_ENV,
    run_file: RunFileOption = None,
    replicas: ReplicasOption = [],  # noqa: B006 - read only
    debug: DebugApp = False,
    debug_sidecar: DebugSidecar = False,
    debug_port: DebugPort = None,
) -> None:
    """Run an app with a sidecar: daprflow run TARGET, or -- COMMAND; with -f, several."""
    command = invocation(context).command
    base = Path.cwd()
    if (target, command, run_file).count(None) != 2:  # noqa: PLR2004 - one of the three
        raise LaunchError(
            "give either a target (a folder, a file, module:app), or a command after '--', "
            "or with --run-file the template of several apps",
            Exit.USAGE,
        )
    if command is not None:
        check_command(command)
        if sidecar.app_id is None:
            sidecar = replace(sidecar, app_id=id_from(base))
    options = RunOptions(
        base=base,
        sidecar=sidecar,
        target=resolve(target, base) if target is not None else None,
        command=command or (),
        choice=choice,
        reload=reload,
        start_timeout=app_start_timeout,
        runtime_path=runtime_path,
        env=env,
    )
    debugged = partial(prepare, sidecar=debug_sidecar, port=debug_port)
    if run_file is not None or replicas:
        refuse_debugging(debug)
        started = invocation(context).started
        several = Several(run_file, tuple(replicas), started)
        raise typer.Exit(run_several(debugged(options, app=False), several))
    configure_logging(sidecar.log_level)
    launch = Launch(debugged(options, app=debug), dict(os.environ), ConsoleVoice())
    raise typer.Exit(run_loop(launch.run(invocation(context).started)))


@dataclass(frozen=True, slots=True)
class Several:
    """What makes several processes of a run.

    Attributes:
        run_file: the template, as the user named it; None for replicas of one app.
        replicas: as the user wrote them.
        started: when the user pressed return, on `time.monotonic`.
    """

    run_file: str | None
    replicas: tuple[str, ...]
    started: float


def run_several(options: RunOptions, several: Several) -> int:
    """Run the apps of a template, or one app several times; return the exit code."""
    from daprflow.cli.run_fleet import run_fleet, run_replicas  # noqa: PLC0415 - only with several

    env, started = dict(os.environ), several.started
    if several.run_file is not None:
        named, replicas = several.run_file, several.replicas
        return run_fleet(named, options, env, replicas=replicas, started=started)
    configure_logging(options.sidecar.log_level)
    return run_replicas(options, env, several.replicas, started=started)


def refuse_debugging(wanted: bool) -> None:  # noqa: FBT001 - the flag itself
    """Refuse to debug one of several apps, and say how to do it.

    Raises:
        LaunchError: it is wanted.
    """
    if wanted:
        raise LaunchError(
            "--debug is for one app: leave it out of the template, and start it beside the others "
            "in this folder with 'daprflow run TARGET --debug'; it joins them",
            Exit.USAGE,
        )


def check_command(command: Sequence[str]) -> None:
    """Refuse a command that cannot run before anything is started for it."""
    if not (command and command[0]):
        raise LaunchError("there is no command after '--'", Exit.NOT_FOUND)
    program = command[0]
    if shutil.which(program) is not None:
        return
    if os.sep in program and os.path.exists(program):  # noqa: PTH110 - the text, not a path
        raise LaunchError(f"cannot run '{program}': it is not executable", Exit.NOT_EXECUTABLE)
    raise LaunchError(
        f"cannot run '{program}': there is no such command; check its spelling and PATH",
        Exit.NOT_FOUND,
    )


def id_from(folder: Path) -> str:
    """Return an id for a command without one: the folder's name, the same at every start."""
    return re.sub("[^a-z0-9-]+", "-", folder.name.lower()).strip("-") or "app"
