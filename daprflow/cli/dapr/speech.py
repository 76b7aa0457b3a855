"""The lines of a run that programs around the official command line look for."""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence

from daprflow.cli.calls import TEXT, Place, call
from daprflow.cli.voice import printable, put
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.sidecar import AppSpec, SidecarInfo

APP_MARK = "== APP == "


def tell(line: str) -> None:
    """Print one line."""
    put(sys.stdout, f"{printable(line)}\n")


def app_line(line: str) -> None:
    """Print a line of the app, marked as the app's."""
    put(sys.stdout, f"{APP_MARK}{line}\n")


def leave_facts(info: SidecarInfo, token: str | None, facts: Mapping[str, str]) -> None:
    """Leave with a sidecar what other commands ask it for.

    Raises:
        LaunchError: it is gone.
    """
    if info.http_port is None:
        return
    for name, value in facts.items():
        place = Place(info.http_port, token)
        call(place, "PUT", f"/v1.0/metadata/{name}", value.encode(), TEXT)


class DaprVoice:
    """Speaks as ``dapr run`` does; see `daprflow.launcher.supervisor.Voice`.

    Args:
        command: the app's; empty for a sidecar alone.
        token: what the sidecar asks its callers for.
    """

    def __init__(self, command: Sequence[str], token: str | None) -> None:
        self._command = command
        self._token = token
        self._pid = 0
        self._stopped = False

    def sidecar_up(self, app: AppSpec, info: SidecarInfo) -> None:
        """Say where the sidecar is; the app may not be there yet."""
        tell(
            f"Starting Dapr with id {app.app_id}. "
            f"HTTP Port: {info.http_port}. gRPC Port: {info.grpc_port}"
        )
        tell("dapr initialized. Status: Running.")

    def app_up(self, pid: int) -> None:
        """Remember the app's process id."""
        self._pid = pid

    def stopping(self) -> None:
        """Remember that the run ends because somebody asked for that."""
        self._stopped = True

    def ended(self, code: int) -> int:
        """Say what ended well; return the code of the run, which is 0 where it was to stop.

        Args:
            code: the app's, or that of what went wrong.
        """
        code = Exit.OK if self._stopped else code
        if code == Exit.OK:
            if self._command:
                tell("Exited App successfully")
            tell("Exited Dapr successfully")
        return code

    def ready(self, app: AppSpec, info: SidecarInfo, seconds: float) -> None:  # noqa: ARG002 - a voice's
        """Leave with the sidecar what other commands ask it for, and say that all is up."""
        with contextlib.suppress(LaunchError):  # an app that ended at once took the sidecar along
            self._note(info)
        for note in info.notes:
            self.warn(note)
        logs = "Both Dapr and your app logs" if self._command else "Dapr logs"
        tell(f"You're up and running! {logs} will appear here.")

    def say(self, line: str) -> None:
        """Print one line about the run."""
        tell(line)

    def log(self, line: str) -> None:
        """Print a log line of the sidecar."""
        put(sys.stderr, f"{printable(line)}\n")

    def warn(self, line: str) -> None:
        """Print one line on standard error."""
        put(sys.stderr, f"dapr: {printable(line)}\n")

    def _note(self, info: SidecarInfo) -> None:
        facts = {"cliPID": str(os.getpid())}
        if self._command:
            facts |= {"appPID": str(self._pid), "appCommand": " ".join(self._command)}
        leave_facts(info, self._token, facts)
