"""Whether an app is traced, and by which exporters: what its author and ``OTEL_*`` say."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from daprflow.errors import MissingExtra
from daprflow.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from daprflow.client.interception import ClientInterceptor
    from daprflow.observability.watching import Watcher

logger = logging.getLogger(__name__)

EXTRA: Final = "otel"
EXPORTERS: Final = ("otlp", "zipkin", "console", "none")
PROTOCOLS: Final = ("http/protobuf", "grpc")
SAMPLERS: Final = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
_ENDPOINTS: Final = {
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "otlp",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "otlp",
    "OTEL_EXPORTER_ZIPKIN_ENDPOINT": "zipkin",
}


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which traces are kept.

    Attributes:
        name: of OpenTelemetry's samplers.
        ratio: how many of those that begin here, from 0 to 1.
    """

    name: str = "parentbased_always_on"
    ratio: float = 1.0

    @property
    def follows_parents(self) -> bool:
        """Whether a trace that began elsewhere is kept where it is kept there."""
        return self.name.startswith("parentbased_")


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """How spans are made and sent, as the environment says.

    Attributes:
        exporters: where spans go, of `EXPORTERS`; empty for nowhere.
        protocol: how OTLP is spoken, of `PROTOCOLS`.
        sampling: which traces are kept.
        service: the service's name where the environment gives none.
    """

    exporters: tuple[str, ...] = ()
    protocol: str = "http/protobuf"
    sampling: Sampling = Sampling()
    service: str = ""

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str], app_id: str, *, asked: bool
    ) -> "TracingSettings | None":
        """Read the variables; None where they ask for no traces.

        Args:
            environ: the process's environment; an empty variable is none.
            app_id: the app's, for the service's name.
            asked: whether traces are wanted whatever the variables say of exporters.

        Raises:
            SettingsError: one of them holds something that cannot be used.
        """
        if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return None
        exporters = _exporters(environ)
        if not exporters and not asked:
            return None
        if not exporters and not environ.get("OTEL_TRACES_EXPORTER"):
            exporters = ("otlp",)
        for name in _ENDPOINTS:
            _check_endpoint(name, environ.get(name, ""))
        return cls(
            exporters,
            _protocol(environ) if "otlp" in exporters else PROTOCOLS[0],
            _sampling(environ),
            "" if _names_service(environ) else app_id,
        )


def tracing_watchers(
    wanted: bool | None,  # noqa: FBT001 - a setting, handed on
    provider: "TracerProvider | None",
    app_id: str,
    environ: Mapping[str, str],
) -> "tuple[Watcher, ...]":
    """Return what makes the spans of an app; nothing where nobody asks for any.

    Args:
        wanted: what the app's author says; None for nothing.
        provider: makes the spans; None takes the program's, or one by the environment.
        app_id: the app's.
        environ: the process's environment.

    Raises:
        SettingsError: a variable holds something that cannot be used.
        MissingExtra: traces are asked for, and their packages are not installed.
    """
    if wanted is False:
        return ()
    known = provider or programs_provider()
    settings = None
    if known is None:
        settings = TracingSettings.from_env(environ, app_id, asked=wanted is True)
        if settings is None:
            return ()
    elif environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    try:
        from daprflow.observability import tracing_setup  # noqa: PLC0415 - an extra
    except ImportError as error:
        if not _is_ours_to_tell(error):
            raise
        if wanted is None and not environ.get("OTEL_TRACES_EXPORTER"):
            text = "an OpenTelemetry endpoint is set, and no traces are sent: %s"
            logger.warning(text, MissingExtra("tracing", EXTRA))
            return ()
        raise MissingExtra("tracing", EXTRA) from None
    except ValueError as error:  # what reads OTEL_PROPAGATORS says nothing of the variable
        named = environ.get("OTEL_PROPAGATORS", "")
        text = f"environment variable 'OTEL_PROPAGATORS' is {named!r}: {error}"
        raise SettingsError(text) from None
    if settings is None or known is not None:
        return (tracing_setup.watcher_of(known, app_id, environ),)
    return (tracing_setup.watcher_by(settings, app_id, environ),)


def trace_calls(provider: "TracerProvider | None" = None, /) -> "ClientInterceptor":
    """Return an interceptor that puts a span around each call of a client without an app.

    ``Client(interceptors=[trace_calls()])``; a running app does so with its own client.

    Args:
        provider: makes the spans; None takes the program's.

    Raises:
        MissingExtra: the packages of the extra ``otel`` are not installed.

    Example:
        ```python
        from daprflow.observability import trace_calls

        client = Client(interceptors=[trace_calls()])
        ```
    """
    try:
        from daprflow.observability import tracing_setup  # noqa: PLC0415 - an extra
    except ImportError as error:
        if not _is_ours_to_tell(error):
            raise
        raise MissingExtra("tracing", EXTRA) from None
    return tracing_setup.calls(provider)


def programs_provider() -> "TracerProvider | None":
    """Return the tracer provider that the program has set up; None where it has none."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    provider = api.get_tracer_provider()
    if isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider):
        return None
    found: TracerProvider = provider
    return found


def _is_ours_to_tell(error: ImportError) -> bool:
    return (error.name or "").partition(".")[0] == "opentelemetry"


def _exporters(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the exporters that are named, or those whose endpoint is."""
    named = environ.get("OTEL_TRACES_EXPORTER", "")
    if not named.strip():
        found = {kind for name, kind in _ENDPOINTS.items() if environ.get(name)}
        return tuple(sorted(found))
    names = [each.strip().lower() for each in named.split(",") if each.strip()]
    for name in names:
        if name not in EXPORTERS:
            known = ", ".join(f"'{each}'" for each in EXPORTERS)
            raise SettingsError(
                f"environment variable 'OTEL_TRACES_EXPORTER' names the exporter {name!r}; there "
                f"is {known}"
            )
    return tuple(dict.fromkeys(name for name in names if name != "none"))


def _check_endpoint(name: str, value: str) -> None:
    if not value:
        return
    try:
        parts = urlsplit(value)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise SettingsError(
            f"environment variable '{name}' holds no URL that spans can be sent to; write it as "
            "'http://collector:4318'"
        )


def _protocol(environ: Mapping[str, str]) -> str:
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        value = environ.get(name, "").strip().lower()
        if value and value not in PROTOCOLS:
            known = ", ".join(f"'{each}'" for each in PROTOCOLS)
            raise SettingsError(
                f"environment variable '{name}' is {value!r}; spans are sent by {known}"
            )
        if value:
            return value
    return PROTOCOLS[0]


def _sampling(environ: Mapping[str, str]) -> Sampling:
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or Sampling().name
    value = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1"
    if name not in SAMPLERS:
        known = ", ".join(f"'{each}'" for each in SAMPLERS)
        raise SettingsError(
            f"environment variable 'OTEL_TRACES_SAMPLER' is {name!r}; there is {known}"
        )
    if not name.endswith("traceidratio"):
        return Sampling(name, 0.0 if name.endswith("always_off") else 1.0)
    try:
        ratio = float(value)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise SettingsError(
            f"environment variable 'OTEL_TRACES_SAMPLER_ARG' is {value!r}; '{name}' takes a number "
            "from 0 to 1, such as '0.01' for one trace in a hundred"
        )
    return Sampling(name, ratio)


def _names_service(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SERVICE_NAME"):
        return True
    pairs = environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    return any(pair.partition("=")[0].strip() == "service.name" for pair in pairs)
