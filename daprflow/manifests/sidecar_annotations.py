"""Every annotation by which Dapr's injector takes settings of a sidecar, and what each may hold."""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Holds(StrEnum):
    """What an annotation may hold."""

    BOOLEAN = "boolean"
    COUNT = "count"
    """A whole number that is not negative."""
    NUMBER = "number"
    """A whole number; -1 means no limit, or none given."""
    PORT = "port"
    LEVEL = "level"
    PROTOCOL = "protocol"
    TEXT = "text"


def _all(holds: Holds, names: Iterable[str]) -> dict[str, Holds]:
    return dict.fromkeys(names, holds)


FIXED = frozenset({"enabled", "app-id", "app-port"})
"""Those that a chart has values of its own for, or that are never another."""

ANNOTATIONS: Mapping[str, Holds] = {
    **_all(
        Holds.BOOLEAN,
        (
            "app-ssl",
            "disable-builtin-k8s-secret-store",
            "enable-api-logging",
            "enable-app-health-check",
            "enable-debug",
            "enable-metrics",
            "enable-native-sidecar",
            "enable-profiling",
            "inject-pluggable-components",
            "log-as-json",
        ),
    ),
    **_all(
        Holds.COUNT,
        (
            "app-health-probe-interval",
            "app-health-probe-timeout",
            "app-health-threshold",
            "http-max-request-size",
            "http-read-buffer-size",
            "sidecar-liveness-probe-delay-seconds",
            "sidecar-liveness-probe-period-seconds",
            "sidecar-liveness-probe-threshold",
            "sidecar-liveness-probe-timeout-seconds",
            "sidecar-readiness-probe-delay-seconds",
            "sidecar-readiness-probe-period-seconds",
            "sidecar-readiness-probe-threshold",
            "sidecar-readiness-probe-timeout-seconds",
        ),
    ),
    **_all(Holds.NUMBER, ("app-max-concurrency", "graceful-shutdown-seconds")),
    **_all(Holds.PORT, ("debug-port", "grpc-port", "internal-grpc-port", "metrics-port")),
    "log-level": Holds.LEVEL,
    "app-protocol": Holds.PROTOCOL,
    **_all(
        Holds.TEXT,
        (
            "actors-disseminate-timeout",
            "api-token-secret",
            "app-binding-options-timeout",
            "app-channel-address",
            "app-health-check-path",
            "app-token-secret",
            "block-shutdown-duration",
            "component-container",
            "config",
            "disable-init-endpoints",
            "env",
            "env-from-secret",
            "max-body-size",
            "placement-host-address",
            "pluggable-components",
            "pluggable-components-sockets-folder",
            "read-buffer-size",
            "scheduler-host-address",
            "sentry-request-jwt-audiences",
            "sidecar-cpu-limit",
            "sidecar-cpu-request",
            "sidecar-image",
            "sidecar-listen-addresses",
            "sidecar-memory-limit",
            "sidecar-memory-request",
            "sidecar-seccomp-profile-type",
            "sidecar-svc-annotations",
            "unix-domain-socket-path",
            "volume-mounts",
            "volume-mounts-rw",
        ),
    ),
}
"""Their names, without ``dapr.io/``."""
