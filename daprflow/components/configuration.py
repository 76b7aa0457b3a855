"""An app's Configuration as values: traces, metrics, mTLS, what the API offers, middleware."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from daprflow.addresses import type_name
from daprflow.components.model import Component, Options
from daprflow.handlers.declaring import Declaration
from daprflow.protocol import configuration_file as wire
from daprflow.protocol.configuration_file import ConfigurationResource

Version = Literal["v1.0", "v1.0-alpha1", "v1.0-alpha2", "v1.0-beta1"]
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Otlp:
    """A collector that spans go to by OTLP.

    Attributes:
        endpoint: host and port, without a scheme.
        protocol: of the connection.
        is_secure: whether that is encrypted.
        headers: sent with every export; never secrets.

    Example:
        ```python
        app.sidecar_configuration(
            tracing=Tracing(otlp=Otlp(endpoint="collector:4317", is_secure=False))
        )
        ```
    """

    endpoint: str
    protocol: Literal["grpc", "http"] = "grpc"
    is_secure: bool = True
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """What becomes of traces.

    Attributes:
        sampling_rate: how many of the traces that begin here are kept, from 0 to 1.
        stdout: whether spans are printed.
        otlp: a collector that takes OTLP.
        zipkin: the URL of a Zipkin collector.

    Example:
        ```python
        app.sidecar_configuration(tracing=Tracing(sampling_rate=0.1, stdout=True))
        ```
    """

    sampling_rate: float = 1.0
    stdout: bool = False
    otlp: Otlp | None = None
    zipkin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What the sidecar measures.

    Attributes:
        enabled: whether it does.
        increased_cardinality: whether each path of the HTTP API counts for itself.
        path_matching: patterns of paths that count for themselves.
        exclude_verbs: whether verbs are left out.
        latency_buckets: upper limits in milliseconds; the usual ones where it is empty.

    Example:
        ```python
        from daprflow.components import Metrics

        app.sidecar_configuration(metrics=Metrics(increased_cardinality=False))
        ```
    """

    enabled: bool = True
    increased_cardinality: bool = True
    path_matching: tuple[str, ...] = ()
    exclude_verbs: bool = False
    latency_buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mtls:
    """Whether sidecars speak mTLS; the embedded one cannot.

    Attributes:
        enabled: whether they do.
        workload_cert_ttl: how long a sidecar's certificate is good.
        allowed_clock_skew: how far clocks may be apart.

    Example:
        ```python
        app.sidecar_configuration(mtls=Mtls(workload_cert_ttl=timedelta(hours=12)))
        ```
    """

    enabled: bool = True
    workload_cert_ttl: timedelta = DAY
    allowed_clock_skew: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLogging:
    """Whether calls on the sidecar's API are logged.

    Attributes:
        enabled: whether they are.
        obfuscate_urls: whether their paths are left out.
        omit_health_checks: whether health checks are.

    Example:
        ```python
        app.sidecar_configuration(api_logging=ApiLogging(omit_health_checks=True))
        ```
    """

    enabled: bool = True
    obfuscate_urls: bool = False
    omit_health_checks: bool = False


@dataclass(frozen=True, slots=True)
class ApiRule:
    """A group of calls on the sidecar's API.

    Attributes:
        name: such as ``state``, ``publish``, ``invoke``, ``secrets``.
        version: of the API.
        protocol: by which it is called.

    Example:
        ```python
        app.sidecar_configuration(api_allowed=[ApiRule("state"), ApiRule("publish")])
        ```
    """

    name: str
    version: Version = "v1.0"
    protocol: Literal["http", "grpc"] = "http"


@dataclass(frozen=True, slots=True)
class SecretScope:
    """What of one secret store the app may read.

    Attributes:
        store: the component, or its name.
        default_access: what goes for secrets that are not listed.
        allowed: the only ones that may be read.
        denied: those that may not.

    Example:
        ```python
        app.sidecar_configuration(secret_scopes=[SecretScope("vault", "deny", allowed=("dsn",))])
        ```
    """

    store: str | Options
    default_access: Literal["allow", "deny"] = "allow"
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


def compiled(declaration: Declaration) -> tuple[ConfigurationResource | None, list[str]]:
    """Turn one declaration into a Configuration; None with what is wrong."""
    values, source = declaration.values, declaration.source
    if problems := list(_mistakes(values)):
        return None, [f"sidecar configuration ({source}): {each}" for each in problems]
    return (
        ConfigurationResource(
            http_pipeline=_pipeline(values["http_pipeline"], source.module),
            app_http_pipeline=_pipeline(values["app_http_pipeline"], source.module),
            api_allowed=_rules(values["api_allowed"]),
            api_denied=_rules(values["api_denied"]),
            features=tuple(values["features"].items()),
            secret_scopes=tuple(map(_scope, values["secret_scopes"])),
            denied_components=tuple(each.lower() for each in values["denied_components"]),
            tracing=_tracing(values["tracing"]),
            metrics=_metrics(values["metrics"]),
            api_logging=_api_logging(values["api_logging"]),
            mtls=_mtls(values["mtls"]),
        ),
        [],
    )


_KINDS: Mapping[str, type] = {
    "tracing": Tracing,
    "metrics": Metrics,
    "mtls": Mtls,
    "api_logging": ApiLogging,
}
_LISTS: Mapping[str, type] = {
    "api_allowed": ApiRule,
    "api_denied": ApiRule,
    "http_pipeline": Options,
    "app_http_pipeline": Options,
    "secret_scopes": SecretScope,
    "denied_components": str,
}


def _mistakes(values: Mapping[str, Any]) -> Iterator[str]:
    for name, kind in _KINDS.items():
        if values[name] is not None and not isinstance(values[name], kind):
            yield f"'{name}' takes {kind.__name__}(…), not a {type_name(type(values[name]))}"
    for name, kind in _LISTS.items():
        wrong = [each for each in values[name] if not isinstance(each, kind)]
        if wrong or isinstance(values[name], str):
            yield f"'{name}' takes a list of {type_name(kind)}"
    tracing, mtls = values["tracing"], values["mtls"]
    if isinstance(tracing, Tracing) and not 0 <= tracing.sampling_rate <= 1:
        yield "'sampling_rate' must be from 0 to 1"
    if isinstance(mtls, Mtls) and mtls.workload_cert_ttl <= timedelta():
        yield "'workload_cert_ttl' must be above zero"
    for name in ("http_pipeline", "app_http_pipeline"):
        for each in values[name]:
            if isinstance(each, Options) and not _type(each).startswith("middleware.http."):
                yield f"'{name}' has '{each.name}' of type '{_type(each)}', which is no middleware"


def _type(component: Options) -> str:
    return component.type.lower() if isinstance(component, Component) else component.TYPE


def _pipeline(components: Sequence[Options], source: str) -> tuple[wire.PipelineHandler, ...]:
    return tuple(wire.PipelineHandler(each.name, _type(each), source) for each in components)


def _rules(rules: Sequence[ApiRule]) -> tuple[wire.ApiRule, ...]:
    return tuple(wire.ApiRule(each.name, each.version, each.protocol) for each in rules)


def _scope(scope: SecretScope) -> wire.SecretScope:
    store = scope.store if isinstance(scope.store, str) else scope.store.name
    return wire.SecretScope(store, scope.default_access, scope.allowed, scope.denied)


def _tracing(tracing: Tracing | None) -> wire.TracingSpec:
    if tracing is None:
        return wire.TracingSpec()
    otel, otlp = wire.OtelSpec(), tracing.otlp
    if otlp is not None:
        headers = tuple((otlp.headers or {}).items())
        otel = wire.OtelSpec(otlp.endpoint, otlp.protocol, otlp.is_secure, headers)
    rate = f"{tracing.sampling_rate:g}"
    return wire.TracingSpec(rate, tracing.stdout, tracing.zipkin, otel)


def _metrics(metrics: Metrics | None) -> wire.MetricsSpec:
    if metrics is None:
        return wire.MetricsSpec()
    return wire.MetricsSpec(
        enabled=metrics.enabled,
        latency_buckets=tuple(map(float, metrics.latency_buckets)),
        increased_cardinality=metrics.increased_cardinality,
        path_matching=metrics.path_matching,
        exclude_verbs=metrics.exclude_verbs,
    )


def _api_logging(logging: ApiLogging | None) -> wire.ApiLogging:
    if logging is None:
        return wire.ApiLogging()
    return wire.ApiLogging(logging.enabled, logging.obfuscate_urls, logging.omit_health_checks)


def _mtls(mtls: Mtls | None) -> wire.MtlsSpec | None:
    if mtls is None:
        return None
    return wire.MtlsSpec(
        mtls.enabled,
        mtls.workload_cert_ttl.total_seconds(),
        mtls.allowed_clock_skew.total_seconds(),
    )
