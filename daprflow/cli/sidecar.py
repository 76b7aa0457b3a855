"""``daprflow sidecar``: the embedded sidecar alone."""

import os
from pathlib import Path

import typer

from daprflow.cli.context import invocation
from daprflow.cli.debug import DebugAlone, DebugPort, wait_in_sidecar
from daprflow.cli.flags import sidecar_flags
from daprflow.cli.voice import ConsoleVoice
from daprflow.launcher.logs import configure_logging
from daprflow.launcher.loop import run as run_loop
from daprflow.launcher.options import SidecarOptions


@sidecar_flags
def sidecar(
    context: typer.Context,
    *,
    sidecar: SidecarOptions,
    debug: DebugAlone = False,
    debug_port: DebugPort = None,
) -> None:
    """Run the embedded sidecar alone, for an app in any language that runs already or later."""
    from daprflow.launcher.alone import Alone  # noqa: PLC0415 - imports the engine

    configure_logging(sidecar.log_level)
    if debug:
        wait_in_sidecar(debug_port)
    alone = Alone(sidecar, Path.cwd(), dict(os.environ), ConsoleVoice())
    raise typer.Exit(run_loop(alone.run(invocation(context).started)))
