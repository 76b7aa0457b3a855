"""A debugger in a process of a run: debugpy listens there, and the process waits for a client."""

import os
import sys
from dataclasses import replace

from daprflow.errors import MissingExtra
from daprflow.launcher import ports
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.options import SidecarOptions

DEFAULT_PORT = 5678
"""Where debuggers look first."""
FROM_FILES = ("-X", "frozen_modules=off")
"""Has an interpreter load all of its modules from files: breakpoints are missed in others."""


def choose_port(wanted: int | None, *, avoid: int | None = None) -> int:
    """Return the port for a debugger's client: ``wanted``, or 5678 or the next free one.

    The process that is debugged takes it later, and each process after a reload anew.

    Raises:
        LaunchError: ``wanted`` is taken; its owner is named.
        MissingExtra: debugpy is not installed.
    """
    require_debugger()
    if wanted is not None:
        ports.require_free(wanted, flag="--debug-port")
        return wanted
    with ports.listen_from(DEFAULT_PORT, avoid=(avoid,)) as listener:
        return int(listener.getsockname()[1])


def require_debugger() -> None:
    """Refuse to debug without a debugger.

    Raises:
        MissingExtra: debugpy is not installed.
    """
    from importlib.util import find_spec  # noqa: PLC0415 - few runs are debugged

    if find_spec("debugpy") is None:
        raise MissingExtra("'--debug'", "debug")


def await_client(port: int, what: str, *, follow: bool) -> None:
    """Listen for a debugger's client on the loopback interface; return once one is attached.

    Args:
        port: where.
        what: which process this is, for the line that is printed.
        follow: whether the Python processes that it starts are debugged, too.

    Raises:
        LaunchError: somebody took the port since it was chosen.
    """
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # it would warn of our own way
    import debugpy  # noqa: PLC0415, T100 - few runs are debugged

    debugpy.configure(subProcess=follow)
    try:
        host, taken = debugpy.listen((ports.LOOPBACK, port))  # noqa: T100 - the user asked for it
    except (OSError, RuntimeError) as error:
        raise LaunchError(
            f"no debugger can listen on port {port}: {error}; try again, or choose a port with "
            "'--debug-port'",
            Exit.PORT_TAKEN,
        ) from error
    sys.stderr.write(f"daprflow: {what} waits for a debugger at {host}:{taken}\n")
    sys.stderr.flush()
    debugpy.wait_for_client()  # noqa: T100 - as above


def unhurried(options: SidecarOptions) -> SidecarOptions:
    """Return the options of a sidecar that waits for an app which stands at a breakpoint."""
    return replace(options, enable_app_health_check=False, debugged=True)
