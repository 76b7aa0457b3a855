"""The command of an app's ``daprd`` outside a cluster: flags of what a pod has as annotations."""

from collections.abc import Iterator
from dataclasses import dataclass

from daprflow.launcher.options import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT
from daprflow.manifests.annotations import PREFIX, annotations_of
from daprflow.manifests.model import AppModel

RELEASE = "1.18.3"
"""The release of Dapr whose images are named."""
PLACEMENT_PORT = 50_005
SCHEDULER_PORT = 50_006
_RENAMED = {
    "graceful-shutdown-seconds": "dapr-graceful-shutdown-seconds",
    "block-shutdown-duration": "dapr-block-shutdown-duration",
    "http-max-request-size": "dapr-http-max-request-size",
    "http-read-buffer-size": "dapr-http-read-buffer-size",
}
_SAME = frozenset(
    {
        "actors-disseminate-timeout",
        "app-binding-options-timeout",
        "app-health-check-path",
        "app-health-probe-interval",
        "app-health-probe-timeout",
        "app-health-threshold",
        "app-id",
        "app-max-concurrency",
        "app-port",
        "app-protocol",
        "disable-init-endpoints",
        "enable-api-logging",
        "enable-app-health-check",
        "enable-metrics",
        "enable-profiling",
        "log-as-json",
        "log-level",
        "max-body-size",
        "metrics-port",
        "read-buffer-size",
    }
)
"""Annotations that are flags of the same name; all others are about a pod."""


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


def settings_of(app: AppModel) -> dict[str, str]:
    """Return what an app's sidecar is told, by the names of the flags, as in a cluster."""
    found = ((name.removeprefix(PREFIX), value) for name, value in annotations_of(app).items())
    return {
        _RENAMED.get(name, name): value
        for name, value in found
        if name in _SAME or name in _RENAMED
    }


def runtime_words(app: AppModel, around: Around) -> tuple[str, ...]:
    """Return the words of a ``daprd`` that shares its network with the app alone."""
    own = (f"--{name}={value}" for name, value in settings_of(app).items())
    return ("./daprd", *own, *_place(around))


def _place(around: Around) -> Iterator[str]:
    yield f"--dapr-http-port={DEFAULT_HTTP_PORT}"
    yield f"--dapr-grpc-port={DEFAULT_GRPC_PORT}"
    yield "--dapr-listen-addresses=127.0.0.1"
    yield f"--placement-host-address={around.placement}"
    yield f"--scheduler-host-address={around.scheduler}"
    yield f"--resources-path={around.resources}"
    if around.configuration:
        yield f"--config={around.configuration}"
