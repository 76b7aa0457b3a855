"""``daprflow run``: an app and a sidecar for it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.context import invocation
from daprflow.cli.flags import flag, sidecar_flags
from daprflow.cli.voice import ConsoleVoice
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.launch import Launch
from daprflow.launcher.logs import configure_logging
from daprflow.launcher.loop import run as run_loop
from daprflow.launcher.options import RunOptions, SidecarChoice, SidecarOptions
from daprflow.launcher.target import resolve

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
) -> None:
    """Run an app with a sidecar: daprflow run TARGET, or daprflow run … -- COMMAND."""
    command = invocation(context).command
    base = Path.cwd()
    if (target is None) == (command is None):
        raise LaunchError(
            "give either a target (a folder, a file, module:app) or a command after '--'",
            Exit.USAGE,
        )
    if command is not None and not (command and command[0]):
        raise LaunchError("there is no command after '--'", Exit.NOT_FOUND)
    options = RunOptions(
        base=base,
        sidecar=sidecar,
        target=resolve(target, base) if target is not None else None,
        command=command or (),
        choice=choice,
        reload=reload,
        start_timeout=app_start_timeout,
        runtime_path=runtime_path,
    )
    configure_logging(sidecar.log_level)
    launch = Launch(options, dict(os.environ), ConsoleVoice())
    raise typer.Exit(run_loop(launch.run(invocation(context).started)))
