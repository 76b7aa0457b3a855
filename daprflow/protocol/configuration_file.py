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
    """What one caller may invoke."""

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


class ConfigurationResource(msgspec.Struct, frozen=True):
    """All Configuration files of a sidecar, put together.

    Attributes:
        http_pipeline: middleware around the HTTP API, the outermost first.
        app_http_pipeline: middleware around calls on the app.
        features: by name, whether they are on.
        denied_components: ``type`` or ``type/version`` of components that may not be loaded.
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

    @property
    def hot_reload(self) -> bool:
        """Whether resource files are followed while the sidecar runs, which is the default."""
        return dict(self.features).get("HotReload", True)
