"""The table ``[manifests]`` of ``daprflow.toml``: what code does not say about a deployment."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.options import DEFAULT_APP_PORT
from daprflow.launcher.settings_file import FILE, read_toml

TABLE = "manifests"
_BY_APP, _BY_ENV = "apps", "env"
_FREE = frozenset({"annotations", "labels", "variables", "node_selector"})
"""Tables whose keys are the user's own words."""


class _Table(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A table of the file."""


class Amount(_Table, frozen=True):
    """Quantities as Kubernetes writes them, such as ``250m`` and ``128Mi``; empty leaves it out."""

    cpu: str = ""
    memory: str = ""


class Compute(_Table, frozen=True):
    """What a container asks for, and what it may use."""

    requests: Amount = Amount(cpu="100m", memory="128Mi")
    limits: Amount = Amount(memory="512Mi")


class HealthCheck(_Table, frozen=True):
    """How the sidecar looks after the app.

    Attributes:
        enabled: whether it does; while the app is unhealthy it is given no events.
        interval: seconds.
        timeout: milliseconds.
        threshold: failures in a row.
    """

    enabled: bool = True
    path: str = "/healthz"
    interval: int = 5
    timeout: int = 500
    threshold: int = 3


class SidecarSettings(_Table, frozen=True):
    """What the sidecar of an app is started with.

    Attributes:
        enabled: whether the app has one.
        config: the name of a Configuration that is in the cluster already; empty uses one that is
            made where something has to be in it.
        api_token_secret: the secret whose key ``token`` the app must show; empty for none.
        app_token_secret: the secret whose key ``token`` the sidecar shows; empty for none.
        graceful_shutdown: seconds that it waits when it is stopped; None is the app's ``grace``
            and one.
        block_shutdown: a duration in Go's form for which it goes on serving an app that stops.
        max_body_size: a quantity such as ``16Mi``; empty is as the app has it.
        max_concurrency: deliveries that are under way at once; None for any number.
        native: whether it is a native sidecar container of Kubernetes, which stops after the app.
    """

    enabled: bool = True
    config: str = ""
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    log_as_json: bool = True
    api_logging: bool | None = None
    metrics_port: int = 9090
    requests: Amount = Amount(cpu="100m", memory="250Mi")
    limits: Amount = Amount(cpu="300m", memory="1000Mi")
    api_token_secret: str = ""
    app_token_secret: str = ""
    graceful_shutdown: int | None = None
    block_shutdown: str = ""
    max_body_size: str = ""
    max_concurrency: int | None = None
    health: HealthCheck = HealthCheck()
    native: bool = False


class Probe(_Table, frozen=True):
    """A probe of the kubelet; all but the path and the failures in seconds."""

    path: str
    period: int = 10
    timeout: int = 2
    failures: int = 3


class Probes(_Table, frozen=True):
    """The kubelet's probes; the one of start-up gives an app two minutes."""

    startup: Probe = Probe(path="/healthz", period=2, failures=60)
    liveness: Probe = Probe(path="/healthz")
    readiness: Probe = Probe(path="/readyz", period=5)


class CronScale(_Table, frozen=True):
    """Replicas from one time to another: two cron expressions of five fields, and a time zone."""

    start: str
    end: str
    replicas: int
    timezone: str = "Etc/UTC"


class Scaling(_Table, frozen=True):
    """How many replicas there are.

    Attributes:
        by: ``none`` for a fixed number; ``cpu`` for a HorizontalPodAutoscaler; ``lag`` for a KEDA
            ScaledObject by what waits in the app's topics, by ``cron``, and by ``cpu`` where set.
        min: the fewest; None is ``replicas``. With ``lag`` it may be 0.
        cpu: per cent of what is requested; None is 80 for ``cpu``, and no such trigger for ``lag``.
        lag: messages that wait per replica.
        poll: seconds between two looks at the topics.
        cooldown: seconds without work before the last replica goes.
    """

    by: Literal["none", "cpu", "lag"] = "none"
    min: int | None = None
    max: int = 10
    cpu: int | None = None
    lag: int = 50
    poll: int = 15
    cooldown: int = 300
    cron: tuple[CronScale, ...] = ()


class SecretVariable(_Table, frozen=True):
    """An environment variable that a secret of the cluster has the value of."""

    secret: str
    key: str


class Network(_Table, frozen=True):
    """What a NetworkPolicy lets through.

    Attributes:
        enabled: whether there is one.
        control_plane: the namespace of Dapr's own services.
        app_from: namespaces that may call the app's own port, such as an ingress controller's.
        metrics_from: the namespace that metrics are collected from; empty lets none in.
        egress: further ``host:port`` or ``:port`` that the app or its sidecar calls; the host is
            an address, a network, or a service with its namespace such as ``redis.data.svc``.
        anywhere: whether any address may be called.
    """

    enabled: bool = True
    control_plane: str = "dapr-system"
    app_from: tuple[str, ...] = ()
    metrics_from: str = ""
    egress: tuple[str, ...] = ()
    anywhere: bool = False


class AppSettings(_Table, frozen=True):
    """How one app is deployed.

    Attributes:
        image: the container image; ``{app}`` is the app's id.
        namespace: of every object; empty leaves it to whoever applies them.
        port: where the app listens.
        grace: seconds that requests in flight get when it is stopped, for ``serve --grace``.
        workers: processes of a replica; apps with actors have one.
        service: whether there is a Service; it is reached inside the cluster alone.
        annotations: further ones of the pod, put over those that are made.
        labels: further ones of every object.
        variables: environment variables of the app: texts, or secrets of the cluster.
        pull_secrets: the names of secrets for the image's registry.
        user: the number of the user, and of the group, that the app runs as.
        disruptions: replicas that may be away at once for maintenance; a number or per cent.
        command: what the container runs, ``{app}`` filled in; empty leaves it to the image.
        secrets: secrets of the cluster that the app itself may read, by the store ``kubernetes``.
        subscriptions: ``declarative`` writes what the app subscribes to as documents, too; a
            sidecar takes what the app says over them.
        secret_store: the store that stands in for those of a developer's machine.
        config: Configuration files, relative to the working folder, put together in this order.
    """

    image: str = "{app}:latest"
    pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""
    pull_secrets: tuple[str, ...] = ()
    namespace: str = ""
    port: int = DEFAULT_APP_PORT
    replicas: int = 2
    workers: int = 1
    grace: int = 10
    log_level: str = "info"
    service: bool = True
    user: int = 10001
    disruptions: int | str = 1
    resources: Compute = Compute()
    sidecar: SidecarSettings = SidecarSettings()
    probes: Probes = Probes()
    scaling: Scaling = Scaling()
    network: Network = Network()
    annotations: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    variables: Mapping[str, str | SecretVariable] = {}
    node_selector: Mapping[str, str] = {}
    command: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    subscriptions: Literal["programmatic", "declarative"] = "programmatic"
    secret_store: str = "kubernetes"  # noqa: S105 - a name
    config: tuple[str, ...] = ()


class ManifestSettings(msgspec.Struct, frozen=True):
    """The whole table, checked; `of` gives what counts for one app.

    Attributes:
        file: where it stands, for errors.
        table: as it was read, with ``_`` in the keys.
        flags: what the command line says; it goes before the file.
    """

    file: str = FILE
    table: Mapping[str, Any] = {}
    flags: Mapping[str, Any] = {}

    def given(self, **flags: str) -> "ManifestSettings":
        """Return the settings with what the command line says on top; empty says nothing."""
        said = {name: value for name, value in flags.items() if value}
        return msgspec.structs.replace(self, flags={**self.flags, **said})

    def of(self, app_id: str, env: str) -> AppSettings:
        """Return an app's settings; what is more special counts, an environment before an app.

        Raises:
            LaunchError: something is wrong in them, exit code `Exit.USAGE`.
        """
        whole: dict[str, Any] = {}
        for path, layer in _layers(self.table, app_id, env):
            _checked(layer, self.file, path)
            _lay(whole, layer)
        _checked(self.flags, "the command line", "")
        return _checked({**whole, **self.flags}, self.file, f"[{TABLE}]")

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that have a table."""
        return tuple(sorted(self.table.get(_BY_ENV, {})))


def read_settings(folder: Path) -> ManifestSettings:
    """Read and check the whole table of the file in ``folder``; without a file it is empty.

    Raises:
        LaunchError: it cannot be read, or something in it is wrong, exit code `Exit.USAGE`.
    """
    file = folder / FILE
    table = read_toml(folder).get(TABLE, {})
    if not isinstance(table, dict):
        raise LaunchError(f"'{file}': '{TABLE}' must be a table", Exit.USAGE)
    settings = ManifestSettings(str(file), _named(table))
    for path, layer in _every_layer(settings.table):
        if not isinstance(layer, dict):
            raise LaunchError(f"'{file}': {path} must be a table", Exit.USAGE)
        _checked(layer, str(file), path)
    return settings


def _layers(table: Mapping[str, Any], app_id: str, env: str) -> Iterator[tuple[str, Any]]:
    """Yield what counts for an app, the least special first."""
    special = table.get(_BY_ENV, {}).get(env, {}) if env else {}
    yield f"[{TABLE}]", _own(table)
    yield f"[{TABLE}.{_BY_APP}.{app_id}]", table.get(_BY_APP, {}).get(app_id, {})
    yield f"[{TABLE}.{_BY_ENV}.{env}]", _own(special)
    own = special.get(_BY_APP, {}).get(app_id, {})
    yield f"[{TABLE}.{_BY_ENV}.{env}.{_BY_APP}.{app_id}]", own


def _every_layer(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield all there is, so that a mistake is told whatever was asked for."""
    yield f"[{TABLE}]", _own(table)
    for key in (_BY_APP, _BY_ENV):
        named = table.get(key, {})
        if not isinstance(named, dict):
            yield f"[{TABLE}.{key}]", named
            continue
        for name, layer in named.items():
            path = f"[{TABLE}.{key}.{name}]"
            inner = isinstance(layer, dict) and key == _BY_ENV
            yield path, _own(layer) if inner else layer
            apps = layer.get(_BY_APP, {}) if inner else {}
            if not isinstance(apps, dict):
                yield f"{path[:-1]}.{_BY_APP}]", apps
                continue
            for app_id, own in apps.items():
                yield f"{path[:-1]}.{_BY_APP}.{app_id}]", own


def _own(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in {_BY_APP, _BY_ENV}}


def _named(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with ``_`` for ``-`` in its keys, the names of users' own things aside."""
    named: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if not isinstance(value, dict) or name in _FREE:
            named[name] = value
        elif name in {_BY_APP, _BY_ENV}:
            named[name] = {k: _named(v) if isinstance(v, dict) else v for k, v in value.items()}
        else:
            named[name] = _named(value)
    return named


def _lay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Put one layer over another: tables entry by entry, everything else whole."""
    for key, value in above.items():
        old = below.get(key)
        if isinstance(value, dict):
            below[key] = dict(old) if isinstance(old, dict) else {}
            _lay(below[key], value)
        else:
            below[key] = value


def _checked(table: Mapping[str, Any], file: str, path: str) -> AppSettings:
    try:
        return msgspec.convert(table, AppSettings)
    except msgspec.ValidationError as error:
        what = str(error).replace("Object ", "the table ").replace("$.", "")
        place = f"'{file}' {path}" if path else file
        raise LaunchError(f"{place}: {what[:1].lower()}{what[1:]}", Exit.USAGE) from None
