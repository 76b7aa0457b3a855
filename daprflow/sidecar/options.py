"""What one app's sidecar is started with."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """The settings of one app's sidecar; names and defaults are those of the real runtime's flags.

    Attributes:
        app_port: where the app listens; None means there is no app to call.
        app_max_concurrency: calls on the app at one time, health probes excluded; None: no limit.
        api_token: what callers of this sidecar must send; None means nothing is asked for.
        app_token: what this sidecar sends to the app as ``dapr-api-token``.
        max_body_size: bytes of a request body; negative means no limit.
        read_buffer_size: bytes of all headers of one message, both directions.
        app_health_probe_interval: seconds.
        app_health_probe_timeout: seconds, at most the interval.
        base_dir: what relative paths in component files are resolved against; None: the engine's.
        replica: which one of those of the same app it is, from 1; each has a number of its own.
        stand_in: component types that are stood in for although they are here.
        metrics: whether calls are counted and measured, unless the configuration says otherwise.
        app_health_threshold: failed probes, since the app became healthy, that make it unhealthy.
    """

    app_id: str
    app_port: int | None = None
    app_channel_address: str = "127.0.0.1"
    app_protocol: str = "http"
    app_max_concurrency: int | None = None
    http_port: int = 3500
    api_token: str | None = None
    app_token: str | None = None
    max_body_size: int = 4 * MIB
    read_buffer_size: int = 4096
    enable_app_health_check: bool = False
    app_health_check_path: str = "/healthz"
    app_health_probe_interval: float = 5.0
    app_health_probe_timeout: float = 0.5
    app_health_threshold: int = 3
    base_dir: Path | None = None
    log_level: str = "info"
    namespace: str = "default"
    metrics: bool = False
    replica: int = 1
    stand_in: tuple[str, ...] = ()
