"""Are the annotations of Dapr where it reads them, and are they its own?"""

from collections.abc import Iterator

from daprflow.manifests.compare_model import Deployed, Workload
from daprflow.manifests.compare_problem import Problem, nearest, problem
from daprflow.manifests.compare_workloads import ANNOTATION, TEMPLATES, below
from daprflow.sidecar.resource_fields import as_text
from daprflow.sidecar.resource_yaml import YamlMapping

_GRACEFUL = f"{ANNOTATION}graceful-shutdown-seconds"
_KILLED = 30
"""Seconds after which Kubernetes kills a pod that says nothing of it."""
_PROBE_TIMES = ("delay-seconds", "period-seconds", "threshold", "timeout-seconds")
KNOWN = (
    "actors-disseminate-timeout", "api-token-secret", "app-binding-options-timeout",
    "app-channel-address", "app-health-check-path", "app-health-probe-interval",
    "app-health-probe-timeout", "app-health-threshold", "app-id", "app-max-concurrency",
    "app-port", "app-protocol", "app-ssl", "app-token-secret", "block-shutdown-duration",
    "component-container", "config", "debug-port", "disable-builtin-k8s-secret-store",
    "disable-init-endpoints", "enable-api-logging", "enable-app-health-check", "enable-debug",
    "enable-metrics", "enable-native-sidecar", "enable-profiling", "enabled", "env",
    "env-from-secret", "graceful-shutdown-seconds", "grpc-port", "http-max-request-size",
    "http-read-buffer-size", "inject-pluggable-components", "internal-grpc-port", "log-as-json",
    "log-level", "max-body-size", "metrics-port", "placement-host-address",
    "pluggable-components", "pluggable-components-sockets-folder", "read-buffer-size",
    "scheduler-host-address", "sentry-request-jwt-audiences", "sidecar-cpu-limit",
    "sidecar-cpu-request", "sidecar-image", "sidecar-listen-addresses", "sidecar-memory-limit",
    "sidecar-memory-request", "sidecar-seccomp-profile-type", "sidecar-svc-annotations",
    "unix-domain-socket-path", "volume-mounts", "volume-mounts-rw",
    *(f"sidecar-liveness-probe-{each}" for each in _PROBE_TIMES),
    *(f"sidecar-readiness-probe-{each}" for each in _PROBE_TIMES),
)  # fmt: skip
"""What the sidecar injector of Dapr 1.18 reads from a pod, without ``dapr.io/``."""


def annotation_problems(deployed: Deployed) -> Iterator[Problem]:
    """Find annotations that Dapr does not read, and pods that get no sidecar."""
    for document in deployed.documents:
        kind = str(document.get("kind"))
        path = TEMPLATES.get(kind)
        if path is None and kind != "Service":
            continue
        if path != ():
            yield from _misplaced(document, kind, path or ())
        pod = None if path is None else below(document, *path)
        notes = None if pod is None else below(pod, "metadata", "annotations")
        if notes is not None:
            yield from _unknown(notes)
            yield from _times(notes, None if pod is None else below(pod, "spec"))
    for workload in deployed.workloads:
        if workload.cluster:
            yield from _without_sidecar(workload)


def _misplaced(document: YamlMapping, kind: str, path: tuple[str, ...]) -> Iterator[Problem]:
    notes = below(document, "metadata", "annotations")
    right = ".".join((*path, "metadata.annotations"))
    for key in notes or ():
        if notes is not None and key.startswith(ANNOTATION):
            remedy = f"move it to {right}" if path else "move it to the pod template"
            yield problem(
                "annotation-place",
                notes.place(key),
                f"'{key}' stands at the {kind} itself, where Dapr does not read it",
                remedy,
            )


def _unknown(notes: YamlMapping) -> Iterator[Problem]:
    for key, value in notes.items():
        if not key.startswith(ANNOTATION):
            continue
        name = key.removeprefix(ANNOTATION)
        if name not in KNOWN:
            near = nearest(name, KNOWN).replace("'", f"'{ANNOTATION}", 1)
            text = f"Dapr knows no annotation '{key}'{near}"
            yield problem("annotation", notes.place(key), text, "correct it, or take it out")
        elif not isinstance(value, str):
            text = f"'{key}' is no text, and Kubernetes takes no other annotations"
            yield problem("annotation", notes.place(key), text, "put its value in quotes")


def _times(notes: YamlMapping, pod: YamlMapping | None) -> Iterator[Problem]:
    """Find pods that are killed while their sidecar still waits for what is under way."""
    given = as_text(notes.get(_GRACEFUL) or "")
    if given and not given.isdecimal():
        text = f"'{_GRACEFUL}' is '{given}', which is no number of seconds"
        yield problem("annotation", notes.place(_GRACEFUL), text, 'write such as "10"')
        return
    named = None if pod is None else pod.get("terminationGracePeriodSeconds")
    killed = as_text(named or _KILLED)
    if given and killed.isdecimal() and int(given) > int(killed):
        yield problem(
            "annotation",
            notes.place(_GRACEFUL),
            f"the sidecar waits up to {given} seconds at its end, and the pod is killed after "
            f"{killed}",
            "set 'terminationGracePeriodSeconds' above it",
        )


def _without_sidecar(workload: Workload) -> Iterator[Problem]:
    enabled = workload.value("enabled").lower() in {"true", "1", "yes", "y", "on", "t"}
    if not enabled and workload.app_id:
        yield problem(
            "annotation",
            workload.place_of("enabled"),
            f"{workload.title} gets no sidecar",
            "set 'dapr.io/enabled' to \"true\", or take its other annotations out",
        )
    if enabled and not workload.app_id:
        yield problem(
            "app-id",
            workload.place_of("enabled"),
            f"{workload.title} names no app id, so that it is the pod's name, another in each pod",
            "set 'dapr.io/app-id'",
        )
