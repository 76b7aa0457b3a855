"""The command of an app's ``daprd``, from the settings that a cluster gets as annotations."""

from collections.abc import Iterator
from dataclasses import dataclass

from daprflow.launcher.options import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT
from daprflow.manifests.model import AppModel

RELEASE = "1.18.3"
"""The release of Dapr whose images are named."""
PLACEMENT_PORT = 50_005
SCHEDULER_PORT = 50_006
_MEBIBYTE = 1024 * 1024
_RUNTIME_BODY = 4 * _MEBIBYTE


@dataclass(frozen=True, slots=True)
class Around:
    """What a sidecar has around it.

    Attributes:
        resources: its folder of resource files.
        configuration: its Configuration file; empty for none.
        placement: host and port.
        scheduler: host and port.
    """

    resources: str
    configuration: str
    placement: str
    scheduler: str


def grace_of(app: AppModel) -> int:
    """Return the seconds that a sidecar waits when it is stopped: one more than its app."""
    given = app.settings.sidecar.graceful_shutdown
    return app.settings.grace + 1 if given is None else given


def body_size(app: AppModel) -> str:
    """Return the largest body as a quantity; empty where it is what the runtime has anyway."""
    if app.settings.sidecar.max_body_size:
        return app.settings.sidecar.max_body_size
    size = app.facts.max_body_size
    if size == _RUNTIME_BODY:
        return ""
    return f"{size // _MEBIBYTE}Mi" if size % _MEBIBYTE == 0 else str(size)


def runtime_words(app: AppModel, around: Around) -> tuple[str, ...]:
    """Return the words of a ``daprd`` that shares its network with the app alone."""
    return ("./daprd", *_words(app, around), *_optional(app))


def _words(app: AppModel, around: Around) -> Iterator[str]:
    settings = app.settings
    yield from ("--app-id", app.app_id, "--app-port", str(settings.port), "--app-protocol", "http")
    yield from ("--dapr-http-port", str(DEFAULT_HTTP_PORT))
    yield from ("--dapr-grpc-port", str(DEFAULT_GRPC_PORT))
    yield from ("--dapr-listen-addresses", "127.0.0.1")
    yield from ("--metrics-port", str(settings.sidecar.metrics_port))
    yield from ("--placement-host-address", around.placement)
    yield from ("--scheduler-host-address", around.scheduler)
    yield from ("--resources-path", around.resources)
    if around.configuration:
        yield from ("--config", around.configuration)
    yield from ("--log-level", settings.sidecar.log_level)
    yield from ("--dapr-graceful-shutdown-seconds", str(grace_of(app)))


def _optional(app: AppModel) -> Iterator[str]:
    sidecar = app.settings.sidecar
    health = sidecar.health
    if sidecar.log_as_json:
        yield "--log-as-json"
    if sidecar.api_logging is not None:
        yield f"--enable-api-logging={str(sidecar.api_logging).lower()}"
    if sidecar.block_shutdown:
        yield from ("--dapr-block-shutdown-duration", sidecar.block_shutdown)
    if size := body_size(app):
        yield from ("--max-body-size", size)
    if sidecar.max_concurrency is not None:
        yield from ("--app-max-concurrency", str(sidecar.max_concurrency))
    if health.enabled:
        yield from ("--enable-app-health-check", "--app-health-check-path", health.path)
        yield from ("--app-health-probe-interval", str(health.interval))
        yield from ("--app-health-probe-timeout", str(health.timeout))
        yield from ("--app-health-threshold", str(health.threshold))
