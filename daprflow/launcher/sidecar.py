"""The Sidecar protocol: what the supervisor asks of whichever sidecar a run has."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from daprflow.components.declarations import NOTHING, Declarations
from daprflow.launcher.existing import Existing
from daprflow.launcher.exits import LaunchError
from daprflow.launcher.report import Cron, HandlerRow


@dataclass(frozen=True, slots=True)
class AppSpec:
    """The app as its sidecar must know it.

    Attributes:
        app_port: None for a command that listens nowhere.
        folder: where default resources are looked for.
        crons: schedules the app declares; each becomes a ``bindings.cron`` component.
        handlers: what it answers, for a target of ours.
        features: what a Configuration must switch on for it.
        declared: the resources that its code declares.
    """

    app_id: str
    app_port: int | None
    folder: str
    crons: tuple[Cron, ...] = ()
    handlers: tuple[HandlerRow, ...] = ()
    features: tuple[str, ...] = ()
    declared: Declarations = NOTHING


@dataclass(frozen=True, slots=True)
class SidecarInfo:
    """What the banner says about a sidecar.

    Attributes:
        kind: "embedded sidecar", "daprd 1.18.3", "no sidecar".
        reason: why this one.
        http_port: None where it is elsewhere.
        data: where data is kept.
        notes: further lines the user should read once.
    """

    kind: str
    reason: str
    http_port: int | None
    grpc_port: int | None = None
    data: str = ""
    notes: tuple[str, ...] = ()


class Sidecar(Protocol):
    """A sidecar for one app; made without I/O, its ports are chosen already."""

    async def start(self, app: AppSpec, /) -> None:
        """Load the resources and answer API calls."""
        ...

    async def connect(self) -> None:
        """Wait for the app's port, read its subscriptions, begin to deliver."""
        ...

    async def pause(self) -> None:
        """Stop delivering; what is not delivered waits."""
        ...

    async def reconnect(self, app: AppSpec, /) -> None:
        """Connect to the app's next process; what it declares may have changed."""
        ...

    def info(self) -> SidecarInfo:
        """Describe it, once connected."""
        ...

    async def ended(self) -> LaunchError:
        """Wait until it ends by itself; return why, and with which exit code."""
        ...

    async def close(self, grace: float, /) -> None:
        """End it within ``grace`` seconds."""
        ...


class Attached:
    """No sidecar of ours: there is one already, or none is wanted.

    Args:
        http_port: of the one on this machine; None where ``endpoint`` names one elsewhere.
        found: the one that was started for this app; None where ``--sidecar none`` says so.
    """

    def __init__(
        self,
        http_port: int | None,
        grpc_port: int | None,
        endpoint: str = "",
        found: Existing | None = None,
    ) -> None:
        self.http_port = http_port
        self.grpc_port = grpc_port
        self.endpoint = endpoint
        self.found = found
        self._app: AppSpec | None = None

    async def start(self, app: AppSpec, /) -> None:
        """Have nothing to start."""
        self._app = app

    async def connect(self) -> None:
        """Leave connecting to whoever runs the sidecar."""

    async def pause(self) -> None:
        """Have no say in it."""

    async def reconnect(self, app: AppSpec, /) -> None:
        """Leave it to whoever runs the sidecar; it reads subscriptions once."""

    def info(self) -> SidecarInfo:
        """Say that none was started."""
        if self.found is not None and self._app is not None:
            return SidecarInfo(
                "started by others",
                "DAPR_HTTP_PORT names it, and it answers",
                self.found.http_port,
                self.found.grpc_port,
                data="as its resources say",
                notes=_doubts(self.found, self._app),
            )
        return SidecarInfo(
            "no sidecar",
            "--sidecar none",
            self.http_port,
            self.grpc_port,
            data=f"elsewhere: {self.endpoint}" if self.endpoint else "elsewhere",
        )

    async def ended(self) -> LaunchError:
        """Never end."""
        never: asyncio.Future[LaunchError] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self, grace: float, /) -> None:
        """Leave it running."""


def _doubts(found: Existing, app: AppSpec) -> tuple[str, ...]:
    """Return what such a sidecar cannot know of its app."""
    notes = []
    if found.app_port is None and app.app_port is not None:
        notes.append(
            "that sidecar calls no app, because nobody told it a port; "
            f"start it with --app-port {app.app_port}"
        )
    elif found.app_port != app.app_port:
        notes.append(
            f"that sidecar calls port {found.app_port}, and the app listens on {app.app_port}; "
            "give --app-port to 'dapr run' alone"
        )
    if app.declared.components or app.declared.resiliencies or app.declared.configuration:
        notes.append(
            "what the app's code declares is not there: that sidecar reads files; write them with "
            "'daprflow manifests TARGET --target components -o FOLDER'"
        )
    notes.extend(
        f"schedule '{cron.name}' does not run: that sidecar needs a component "
        f"'{cron.name}' of type bindings.cron"
        for cron in app.crons
    )
    return tuple(notes)
