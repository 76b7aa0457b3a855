"""``daprflow serve``: an app in production, without a sidecar of ours and without reload."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.flags import LEVELS, PORT, flag
from daprflow.launcher import ports
from daprflow.launcher.child import freeze, serve_app
from daprflow.launcher.exits import Exit
from daprflow.launcher.logs import configure_logging
from daprflow.launcher.loop import run as run_loop
from daprflow.launcher.options import DEFAULT_APP_PORT
from daprflow.launcher.report import Reporter
from daprflow.launcher.target import load, resolve


def serve(
    target: Annotated[str, typer.Argument(help="module:app, a file, or a folder.")],
    *,
    host: Annotated[str, flag("host", "Address to listen on.")] = ports.LOOPBACK,
    port: Annotated[
        int, typer.Option(help="Port to listen on.", envvar=["DAPRFLOW_PORT", "APP_PORT"], **PORT)
    ] = DEFAULT_APP_PORT,
    grace: Annotated[
        float, flag("grace", "Seconds that requests in flight get after a stop signal.", min=0)
    ] = 20.0,
    log_level: Annotated[str, flag("log_level", f"One of {', '.join(LEVELS)}.")] = "info",
) -> None:
    """Serve an app beside a runtime that others manage, as on Kubernetes."""
    configure_logging(log_level)
    loaded = load(resolve(target, Path.cwd()))
    freeze(loaded)
    listener = ports.listen(port, host=host, flag="--port")
    serving = serve_app(loaded, listener, Reporter(None), grace, insist=_end_at_once)
    raise typer.Exit(run_loop(serving))


def _end_at_once() -> None:
    """End without waiting for requests, threads or the lifespan: none of them need ever end."""
    sys.stdout.flush()
    os._exit(Exit.INTERRUPTED)
