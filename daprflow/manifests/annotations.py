"""What a pod says to Dapr's injector: how the sidecar of an app is started."""

from math import ceil

from daprflow.app import MAX_BODY_SIZE
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.model import AppModel
from daprflow.protocol.schedules import ScheduleError, parse_duration
from daprflow.settings import SettingsError, seconds_of

PREFIX = "dapr.io/"
SPARE = 5
"""Seconds between the last moment of app and sidecar, and the one at which a cluster kills them."""
_MEBIBYTE = 1024 * 1024
_DRAIN = "DAPRFLOW_DRAIN"


def annotations_of(app: AppModel) -> dict[str, str]:
    """Return the annotations of an app's pods; those of its settings are put over the others.

    Raises:
        LaunchError: two settings contradict each other.
    """
    found = _sidecar(app) if app.settings.sidecar.enabled else {}
    return found | dict(app.settings.annotations)


def configuration_name(app: AppModel) -> str:
    """Return the name of the Configuration of an app's sidecar; empty where it has none.

    Raises:
        LaunchError: one is named, and one has to be made.
    """
    named = app.settings.sidecar.config
    if named and app.configuration:
        raise LaunchError(
            f"app '{app.app_id}' needs a Configuration ({', '.join(app.configuration)}), and "
            f"'sidecar.config' names '{named}'; put both into one file and name it in 'config'",
            Exit.FAILED,
        )
    return named or (app.app_id if app.configuration else "")


def app_seconds(app: AppModel) -> int:
    """Return how long an app takes to end, at most."""
    return ceil(_drain(app)) + app.settings.grace


def _drain(app: AppModel) -> float:
    """Return how long the app goes on listening, by its code, else by its variables."""
    given = app.settings.variables.get(_DRAIN)
    if app.facts.drain or not isinstance(given, str):
        return app.facts.drain
    try:
        return seconds_of({_DRAIN: given}, _DRAIN, "0", at_least=0.0)
    except SettingsError as error:
        raise LaunchError(f"app '{app.app_id}': {error}", Exit.USAGE) from None


def sidecar_seconds(app: AppModel) -> int:
    """Return how long a sidecar waits for what is under way: a little longer than the app."""
    given = app.settings.sidecar.graceful_shutdown
    return app_seconds(app) + 1 if given is None else given


def pod_seconds(app: AppModel) -> int:
    """Return after how long a cluster may kill a pod: when app and sidecar have ended."""
    sidecar = app.settings.sidecar
    if not sidecar.enabled:
        return app_seconds(app) + SPARE
    waits = sidecar_seconds(app) + _blocked(app)
    if sidecar.native:  # it is stopped when the app has ended
        return app_seconds(app) + waits + SPARE
    return max(app_seconds(app), waits) + SPARE


def _sidecar(app: AppModel) -> dict[str, str]:
    sidecar = app.settings.sidecar
    given: dict[str, object] = {
        "enabled": True,
        "app-id": app.app_id,
        "app-port": app.settings.port,
        "app-protocol": "http",
        "config": configuration_name(app),
        "log-level": sidecar.log_level,
        "log-as-json": sidecar.log_as_json,
        "enable-api-logging": sidecar.api_logging,
        "metrics-port": sidecar.metrics_port,
        "sidecar-cpu-request": sidecar.requests.cpu,
        "sidecar-memory-request": sidecar.requests.memory,
        "sidecar-cpu-limit": sidecar.limits.cpu,
        "sidecar-memory-limit": sidecar.limits.memory,
        "sidecar-seccomp-profile-type": "RuntimeDefault",
        "api-token-secret": sidecar.api_token_secret,
        "app-token-secret": sidecar.app_token_secret,
        "graceful-shutdown-seconds": sidecar_seconds(app),
        "block-shutdown-duration": sidecar.block_shutdown,
        "max-body-size": sidecar.max_body_size or _size(app.facts.max_body_size),
        "app-max-concurrency": sidecar.max_concurrency,
        "enable-native-sidecar": sidecar.native or None,
    }
    health = sidecar.health
    if health.enabled:
        given |= {
            "enable-app-health-check": True,
            "app-health-check-path": health.path,
            "app-health-probe-interval": health.interval,
            "app-health-probe-timeout": health.timeout,
            "app-health-threshold": health.threshold,
        }
    return {PREFIX + name: _text(value) for name, value in given.items() if value not in (None, "")}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _size(size: int) -> str:
    """Return an app's limit where it is not the one that a sidecar has anyway."""
    if size == MAX_BODY_SIZE:
        return ""
    return f"{size // _MEBIBYTE}Mi" if size % _MEBIBYTE == 0 else str(size)


def _blocked(app: AppModel) -> int:
    given = app.settings.sidecar.block_shutdown
    if not given:
        return 0
    try:
        return ceil(parse_duration(given).total_seconds())
    except ScheduleError as error:
        raise LaunchError(
            f"'sidecar.block_shutdown' of app '{app.app_id}': {error}", Exit.USAGE
        ) from None
