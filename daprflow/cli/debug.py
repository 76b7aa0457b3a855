"""The flags that have a debugger attach to an app or to its embedded sidecar."""

from dataclasses import replace
from typing import Annotated

from daprflow.cli.flags import PORT, flag
from daprflow.launcher.debugging import await_client, choose_port, unhurried
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.options import RunOptions, SidecarChoice

SIDECAR = "the embedded sidecar"

DebugApp = Annotated[bool, flag("debug", "Have the app wait for a debugger's client first.")]
DebugSidecar = Annotated[
    bool, flag("debug_sidecar", "Have the embedded sidecar wait for a debugger's client first.")
]
DebugAlone = Annotated[bool, flag("debug", "Wait for a debugger's client first.")]
DebugPort = Annotated[
    int | None, flag("debug_port", "Port for that client; else 5678 or the next.", **PORT)
]


def prepare(options: RunOptions, *, app: bool, sidecar: bool, port: int | None) -> RunOptions:
    """Return the options of a run that is debugged, once the sidecar's debugger is attached.

    Args:
        options: of the run.
        app: whether the app is debugged.
        sidecar: whether the embedded sidecar is.
        port: of the app's client, else of the sidecar's; None takes the usual one.

    Raises:
        LaunchError: there is nothing to debug, or the port is taken.
        MissingExtra: debugpy is not installed.
    """
    _refuse(options, app=app, sidecar=sidecar)
    if app:
        options = replace(options, sidecar=unhurried(options.sidecar), debug_port=choose_port(port))
    if sidecar:
        wait_in_sidecar(None if app else port, avoid=options.debug_port)
    return options


def wait_in_sidecar(port: int | None, *, avoid: int | None = None) -> None:
    """Return once a debugger's client is attached to this process."""
    await_client(choose_port(port, avoid=avoid), SIDECAR, follow=False)


def _refuse(options: RunOptions, *, app: bool, sidecar: bool) -> None:
    if app and options.target is None:
        raise LaunchError(
            "--debug is for targets; have a command listen by itself: "
            "daprflow run --app-start-timeout 3600 … -- python -m debugpy --listen 5678 "
            "--wait-for-client FILE",
            Exit.USAGE,
        )
    if sidecar and options.choice in {SidecarChoice.DAPRD, SidecarChoice.NONE}:
        raise LaunchError(
            f"--debug-sidecar is for the embedded sidecar, not for --sidecar {options.choice}",
            Exit.USAGE,
        )
