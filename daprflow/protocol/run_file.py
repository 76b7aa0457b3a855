"""Dapr's template for several apps (``dapr.yaml``) as values; names in YAML are the runtime's."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

FILE = "dapr.yaml"
"""The name a template has in the folder that is given instead of it."""


class LogDestination(StrEnum):
    """Where lines go: to the terminal, into a file of ``.dapr/logs``, or both."""

    CONSOLE = "console"
    FILE = "file"
    FILE_AND_CONSOLE = "fileAndConsole"

    @property
    def console(self) -> bool:
        """Whether the terminal shows them."""
        return self is not LogDestination.FILE

    @property
    def file(self) -> bool:
        """Whether a file gets them."""
        return self is not LogDestination.CONSOLE


_RENAMED = {
    "app_id": "appID",
    "app_ssl": "appSSL",
    "dapr_http_port": "daprHTTPPort",
    "dapr_grpc_port": "daprGRPCPort",
    "dapr_internal_grpc_port": "daprInternalGRPCPort",
}


def _in_yaml(name: str) -> str:
    """Return a field's name in the file."""
    head, *rest = name.split("_")
    return _RENAMED.get(name, head + "".join(part.capitalize() for part in rest))


class RunFileCommon(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=_in_yaml):
    """What one app or all of them may be given; a zero, false or empty value counts as none.

    Attributes:
        config_file_path: a Configuration file.
        app_max_concurrency: calls on the app at one time; negative means no limit.
        placement_host_address: of a real runtime; empty switches actors off, None is the default.
        scheduler_host_address: likewise, for jobs, reminders and workflows.
        resources_path: as it was before ``resources_paths``; counts after them.
        app_ssl: as it was before the protocols ``https`` and ``grpcs``.
        app_health_probe_interval: seconds.
        app_health_probe_timeout: milliseconds.
        runtime_path: where a real runtime is installed.
        env: for the app's process; those of both places count, the app's first.
        daprd_log_destination: of the sidecar; None is ``file``.
        app_log_destination: None is ``fileAndConsole``.
    """

    config_file_path: str = ""
    app_protocol: str = ""
    api_listen_addresses: str = ""
    enable_profiling: bool = False
    log_level: str = ""
    app_max_concurrency: int = 0
    placement_host_address: str | None = None
    scheduler_host_address: str | None = None
    resources_path: str = ""
    resources_paths: tuple[str, ...] = ()
    app_ssl: bool = False
    max_body_size: str = ""
    read_buffer_size: str = ""
    enable_app_health_check: bool = False
    app_health_check_path: str = ""
    app_health_probe_interval: int = 0
    app_health_probe_timeout: int = 0
    app_health_threshold: int = 0
    enable_api_logging: bool = False
    runtime_path: str = ""
    env: Mapping[str, str] = {}
    daprd_log_destination: LogDestination | None = None
    app_log_destination: LogDestination | None = None


class RunFileApp(RunFileCommon, frozen=True, kw_only=True, omit_defaults=True, rename=_in_yaml):
    """One app of a template. ``target``, ``replicas`` and ``reload`` are ours: Dapr skips them.

    Attributes:
        app_id: empty is the name of its folder.
        app_dir_path: the folder it runs in.
        command: program and arguments; empty for a target, or for a sidecar alone.
        target: an application of ours, as ``daprflow run`` takes it; goes before ``command``.
        replicas: how many processes of it run under its id; 0 stands for one.
        reload: restart it when a file of it changes.
    """

    app_id: str = ""
    app_dir_path: str = ""
    app_channel_address: str = ""
    app_port: int = 0
    dapr_http_port: int = 0
    dapr_grpc_port: int = 0
    dapr_internal_grpc_port: int = 0
    profile_port: int = 0
    metrics_port: int = 0
    command: tuple[str, ...] = ()
    unix_domain_socket: str = ""
    container_image: str = ""
    container_image_pull_policy: str = ""
    create_service: bool = False
    target: str = ""
    replicas: int = 0
    reload: bool = False


class RunFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole template.

    Attributes:
        version: 1.
        name: of the template, for lists.
    """

    version: int
    name: str = ""
    common: RunFileCommon = RunFileCommon()
    apps: tuple[RunFileApp, ...] = ()


def merged(app: RunFileApp, common: RunFileCommon) -> RunFileApp:
    """Return an app with what all share; its own values go first, so far as they are no zeros.

    Paths of resources and configuration follow rules of their own and stay the app's.
    """
    own = {"config_file_path", "resources_path", "resources_paths", "env"}
    changes: dict[str, object] = {"env": {**common.env, **app.env}}
    for field in RunFileCommon.__struct_fields__:
        if field in own:
            continue
        value = getattr(app, field)
        unset = value is None if field.endswith("_host_address") else not value
        if unset:
            changes[field] = getattr(common, field)
    return msgspec.structs.replace(app, **changes)
