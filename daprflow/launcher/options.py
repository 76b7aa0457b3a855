"""What a run is asked for, after flags, environment and ``daprflow.toml`` were put together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from daprflow.components.declarations import RUN_ENV
from daprflow.launcher.target import Target

DEFAULT_HTTP_PORT = 3500
DEFAULT_GRPC_PORT = 50_001
DEFAULT_METRICS_PORT = 9090
DEFAULT_APP_PORT = 8000
LEVELS = ("debug", "info", "warn", "error", "fatal")
"""The levels of log lines, the most talkative first."""
PROTOCOLS = ("http", "https", "h2c", "grpc", "grpcs")
SECURE = {"http": "https", "grpc": "grpcs"}
"""What a protocol is over TLS."""


class SidecarChoice(StrEnum):
    """Which sidecar a run gets."""

    AUTO = "auto"
    EMBEDDED = "embedded"
    DAPRD = "daprd"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarOptions:
    """The settings of an app's sidecar; names and defaults are those of the runtime's flags.

    Attributes:
        app_id: None takes it from the app, or from the working folder's name for a command.
        dapr_http_port: None takes 3500 or the next free one.
        dapr_grpc_port: None takes 50001 or the next free one.
        metrics_port: where metrics are served; None takes 9090 or the next free one.
        enable_metrics: whether there are any.
        log_as_json: what a real runtime is told, as ``DAPRFLOW_LOG_FORMAT`` has it.
        max_body_size: bytes; negative means no limit.
        placement_host_address: for a real runtime; None takes the one of this machine, if it runs.
        scheduler_host_address: the same.
        grace: seconds from a stop signal to the end.
        data_dir: where ``.daprflow`` lies or is made.
        ephemeral: keep everything in memory.
        strict_components: refuse component types that would be stood in for.
        stand_in: component types that are stood in for although the embedded sidecar has them.
        debugged: the app stands at breakpoints: no timeout of a Resiliency file ends a call.
    """

    app_id: str | None = None
    app_port: int | None = None
    app_channel_address: str = "127.0.0.1"
    app_protocol: str = "http"
    app_max_concurrency: int = -1
    dapr_http_port: int | None = None
    dapr_grpc_port: int | None = None
    metrics_port: int | None = None
    enable_metrics: bool = True
    resources_path: tuple[Path, ...] = ()
    config: tuple[Path, ...] = ()
    log_level: str = "info"
    log_as_json: bool = False
    max_body_size: int = 4 * 1024 * 1024
    read_buffer_size: int = 4096
    placement_host_address: str | None = None
    scheduler_host_address: str | None = None
    enable_app_health_check: bool = False
    app_health_check_path: str = "/healthz"
    app_health_probe_interval: int = 5
    app_health_probe_timeout: int = 500
    app_health_threshold: int = 3
    grace: float = 5.0
    data_dir: Path = Path(".daprflow")
    ephemeral: bool = False
    strict_components: bool = False
    stand_in: tuple[str, ...] = ()
    debugged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """One ``daprflow run``: a target of ours, or a command in any language.

    Attributes:
        base: the working folder, the app's as well.
        start_timeout: seconds the app has to open its port.
        runtime_path: where a real runtime is installed; None looks at ``DAPR_RUNTIME_PATH``, then
            at ``~``.
        resources_beside: see `resource_home`; None is the working folder.
        env: the environment whose declared components count.
        variables: further ones of the app's environment; they go before all others.
        debug_port: where a debugger's client attaches to the app; None: there is none.
    """

    base: Path
    sidecar: SidecarOptions
    target: Target | None = None
    command: tuple[str, ...] = ()
    choice: SidecarChoice = SidecarChoice.AUTO
    reload: bool = False
    start_timeout: float = 60.0
    runtime_path: Path | None = None
    resources_beside: Path | None = None
    env: str = RUN_ENV
    variables: Mapping[str, str] = field(default_factory=dict)
    debug_port: int | None = None

    @property
    def resource_home(self) -> Path:
        """The folder whose ``resources/`` or ``components/`` a command has that names none."""
        return self.resources_beside or self.base


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one run: asked of the sidecar's callers, and sent by the sidecar to the app."""

    api: str | None = None
    app: str | None = None
