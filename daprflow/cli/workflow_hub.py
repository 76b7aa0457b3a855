"""Which sidecar the workflow commands talk to, and the way to its task hub."""

import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from daprflow.cli.calls import DEFAULT_DATA_DIR, nothing_runs
from daprflow.cli.completion import app_ids
from daprflow.cli.flags import PORT
from daprflow.client.caller import Caller
from daprflow.client.workflow_calls import WorkflowCalls
from daprflow.errors import NotFound, SidecarError
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder
from daprflow.launcher.loop import run
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings

T = TypeVar("T")

HOST = "127.0.0.1"
KNOCK_SECONDS = 5.0
PATIENCE = 30.0
"""Seconds that a call may take: most wait until a worker of the app has taken what they ask for."""
DEADLINE = 504
LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes; a history with its inputs and results comes in one piece."""

GrpcPort = Annotated[
    int | None,
    typer.Option(
        "--dapr-grpc-port", help="The sidecar to call, by its gRPC API; else the one here.", **PORT
    ),
]
AppId = Annotated[
    str | None,
    typer.Option(
        help="The app whose workflows they are, where several run.", autocompletion=app_ids
    ),
]


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A sidecar's task hub.

    Attributes:
        token: what the sidecar asks for; empty where that is nothing.
        app_id: its app's; empty where only the port is known.
    """

    port: int
    token: str
    app_id: str = ""

    @property
    def where(self) -> str:
        """The app, for messages."""
        return f"app '{self.app_id}'" if self.app_id else f"the sidecar on port {self.port}"


def find_hub(grpc_port: int | None, data_dir: Path, app_id: str | None) -> HubPlace:
    """Return the task hub to call: that of the named port, else of an app with the data folder.

    Unless an app or another folder is asked for, ``DAPR_GRPC_PORT`` names it as well as the flag.

    Raises:
        LaunchError: nothing runs there, or not that app, or several do and none is named.
    """
    token = os.environ.get("DAPR_API_TOKEN", "")
    if grpc_port is not None:
        return HubPlace(grpc_port, token)
    running = DataFolder(data_dir).running()
    apps = () if running is None else running.apps
    named = os.environ.get("DAPR_GRPC_PORT", "")
    if named.isdecimal() and app_id is None and data_dir == DEFAULT_DATA_DIR:
        ours = next((app.api_token for app in apps if app.grpc_port == int(named)), None)
        return HubPlace(int(named), ours or token)
    if not apps:
        raise LaunchError(nothing_runs(data_dir, "--dapr-grpc-port"), Exit.AWAY)
    known = ", ".join(f"'{app.app_id}'" for app in apps)
    if app_id is None and len(apps) > 1:
        raise LaunchError(
            f"several apps run in '{data_dir}'; name one with --app-id: {known}", Exit.USAGE
        )
    chosen = next((app for app in apps if app_id in (None, app.app_id)), None)
    if chosen is None:
        text = f"app '{app_id}' does not run in '{data_dir}'; there is {known}"
        raise LaunchError(text, Exit.MISSING)
    if chosen.grpc_port is None:
        raise LaunchError(f"the sidecar of app '{chosen.app_id}' has no gRPC API to ask")
    return HubPlace(chosen.grpc_port, chosen.api_token or token, chosen.app_id)


class Hub:
    """The task hub under way: its calls, and the errors that a user can do something about.

    Attributes:
        calls: each is one call of the sidecar.
    """

    def __init__(self, place: HubPlace, caller: Caller) -> None:
        self.place = place
        self.calls = WorkflowCalls(caller)

    def missing(self, instance: str) -> LaunchError:
        """Return the error for an instance that is not there."""
        return LaunchError(
            f"there is no workflow instance '{instance}' of {self.place.where}; "
            "'daprflow workflow list' shows those that there are",
            Exit.MISSING,
        )

    async def known(self, instance: str, call: Awaitable[T]) -> T:
        """Return what a call about an instance gives.

        Raises:
            LaunchError: there is no such instance.
        """
        try:
            return await call
        except NotFound as error:
            if error.code:
                raise
            raise self.missing(instance) from None


class _GrpcOnly:
    """Stands where a client has its HTTP transport: these commands use gRPC alone."""

    def __init__(self, port: int) -> None:
        self._port = port

    @property
    def address(self) -> str:
        return self.grpc_address()

    def grpc_address(self) -> str:
        return f"{HOST}:{self._port}"

    async def start_grpc(self, _component: str, _block: str, /) -> None:
        return None

    async def send(self, _request: HttpRequest, /) -> HttpResponse:
        raise NotImplementedError

    async def close(self) -> None:
        return None


def perform(place: HubPlace, work: Callable[[Hub], Awaitable[T]]) -> T:
    """Do something with a sidecar's task hub.

    Raises:
        LaunchError: nobody listens there, or what was asked for is not there.
        SidecarError: the sidecar refused.
    """
    _knock(place.port)
    return run(_performed(place, work))


async def _performed(place: HubPlace, work: Callable[[Hub], Awaitable[T]]) -> T:
    settings = Settings(
        api_token=place.token,
        health_timeout=0.0,
        http_timeout=PATIENCE,
        grpc_endpoint=f"{HOST}:{place.port}",
        grpc_max_message_size=LARGEST_ANSWER,
    )
    caller = Caller(settings, _GrpcOnly(place.port))
    try:
        return await work(Hub(place, caller))
    except SidecarError as error:
        if error.status == DEADLINE:
            raise LaunchError(
                f"{place.where} did not do that within {PATIENCE:g} s; does the app run, and has "
                "it this workflow? 'daprflow routes' lists what it has"
            ) from None
        raise LaunchError(f"{place.where}: {error}") from None
    except UnicodeEncodeError:
        raise LaunchError("an id or a name that was typed is no UTF-8", Exit.USAGE) from None
    finally:
        await caller.close()


def _knock(port: int) -> None:
    """Tell at once when nobody listens; the library would try again and again."""
    try:
        socket.create_connection((HOST, port), KNOCK_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        text = f"no sidecar answers on port {port}: {reason}"
        raise LaunchError(text, Exit.AWAY) from None
