"""A Configuration document: what a sidecar's ``--config`` files say."""

import msgspec


class PipelineHandler(msgspec.Struct, frozen=True):
    """One middleware of a pipeline: the name and type of a component."""

    name: str
    type: str
    source: str = ""


class ApiRule(msgspec.Struct, frozen=True):
    """One entry of an allow or deny list; ``protocol`` is ``http`` or ``grpc``."""

    name: str
    version: str
    protocol: str


class SecretScope(msgspec.Struct, frozen=True):
    """What of one secret store an app may read."""

    store: str
    default_access: str = "allow"
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()

    def permits(self, name: str) -> bool:
        """Tell whether the secret called ``name`` may be read: by list, else by the default."""
        if self.allowed:
            return name in self.allowed
        return name not in self.denied and self.default_access.lower() != "deny"


class AccessOperation(msgspec.Struct, frozen=True):
    """What a policy says about one operation; ``name`` may end in a wildcard."""

    name: str
    action: str
    verbs: tuple[str, ...] = ()


class AccessPolicy(msgspec.Struct, frozen=True):
    """What one caller may invoke; without a namespace it is in the one of the app itself."""

    app_id: str
    namespace: str
    trust_domain: str
    default_action: str = ""
    operations: tuple[AccessOperation, ...] = ()


class AccessControl(msgspec.Struct, frozen=True):
    """Who may invoke this app; without policies and action everybody."""

    default_action: str = ""
    trust_domain: str = "public"
    policies: tuple[AccessPolicy, ...] = ()


class WorkflowRetention(msgspec.Struct, frozen=True):
    """How long workflows are kept when they are over, in seconds; None is for ever."""

    any_terminal: float | None = None
    completed: float | None = None
    failed: float | None = None
    terminated: float | None = None


class NamedLimit(msgspec.Struct, frozen=True):
    """How many turns of one workflow, or runs of one activity, there may be at one time."""

    name: str
    most: int


class WorkflowConfiguration(msgspec.Struct, frozen=True):
    """What workers of workflows are given at one time; 0 is no limit."""

    max_workflows: int = 0
    max_activities: int = 0
    retention: WorkflowRetention = WorkflowRetention()
    workflow_limits: tuple[NamedLimit, ...] = ()
    activity_limits: tuple[NamedLimit, ...] = ()


class OtelSpec(msgspec.Struct, frozen=True):
    """Where spans go by OTLP.

    Attributes:
        endpoint: host and port, without a scheme; empty sends nothing.
        protocol: ``grpc`` or ``http``; empty sends nothing.
        timeout: seconds of one export; None is the exporter's own.
    """

    endpoint: str = ""
    protocol: str = ""
    is_secure: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float | None = None


class TracingSpec(msgspec.Struct, frozen=True):
    """What becomes of traces.

    Attributes:
        sampling_rate: as written, ``""`` where nothing is; which is not the same as ``"0"``.
        zipkin: the URL of a collector; empty sends nothing.
    """

    sampling_rate: str = ""
    stdout: bool = False
    zipkin: str = ""
    otel: OtelSpec = OtelSpec()


class MetricsLabel(msgspec.Struct, frozen=True):
    """What is put in the place of values of one label: pairs of replacement and pattern."""

    name: str
    patterns: tuple[tuple[str, str], ...] = ()


class MetricsRule(msgspec.Struct, frozen=True):
    """What is done with the labels of one metric."""

    name: str
    labels: tuple[MetricsLabel, ...] = ()


class MetricsSpec(msgspec.Struct, frozen=True):
    """What is measured, and in which detail.

    Attributes:
        latency_buckets: upper limits in milliseconds; empty takes the usual ones.
        increased_cardinality: whether each path of the HTTP API counts for itself.
        path_matching: patterns of paths that count for themselves.
        record_error_codes: whether Dapr's errors are counted by their codes.
    """

    enabled: bool = True
    latency_buckets: tuple[float, ...] = ()
    increased_cardinality: bool = True
    path_matching: tuple[str, ...] = ()
    exclude_verbs: bool = False
    rules: tuple[MetricsRule, ...] = ()
    record_error_codes: bool = False


class ApiLogging(msgspec.Struct, frozen=True):
    """Whether calls on the API are written to the log; None leaves it to the flag."""

    enabled: bool | None = None
    obfuscate_urls: bool = False
    omit_health_checks: bool = False


class MtlsSpec(msgspec.Struct, frozen=True):
    """Whether sidecars speak mTLS; times in seconds. The embedded sidecar cannot."""

    enabled: bool = True
    workload_cert_ttl: float = 86_400.0
    allowed_clock_skew: float = 900.0


class ConfigurationResource(msgspec.Struct, frozen=True):
    """All Configuration files of a sidecar, put together.

    Attributes:
        http_pipeline: middleware around the HTTP API, the outermost first.
        app_http_pipeline: middleware around calls on the app.
        features: by name, whether they are on.
        denied_components: ``type`` or ``type/version`` of components that may not be loaded.
        mtls: None where nothing is said of it, and of files, which cannot ask for it here.
    """

    http_pipeline: tuple[PipelineHandler, ...] = ()
    app_http_pipeline: tuple[PipelineHandler, ...] = ()
    api_allowed: tuple[ApiRule, ...] = ()
    api_denied: tuple[ApiRule, ...] = ()
    features: tuple[tuple[str, bool], ...] = ()
    secret_scopes: tuple[SecretScope, ...] = ()
    access_control: AccessControl | None = None
    denied_components: tuple[str, ...] = ()
    workflow: WorkflowConfiguration = WorkflowConfiguration()
    tracing: TracingSpec = TracingSpec()
    metrics: MetricsSpec = MetricsSpec()
    api_logging: ApiLogging = ApiLogging()
    mtls: MtlsSpec | None = None

    @property
    def hot_reload(self) -> bool:
        """Whether resource files are followed while the sidecar runs, which is the default."""
        return dict(self.features).get("HotReload", True)
