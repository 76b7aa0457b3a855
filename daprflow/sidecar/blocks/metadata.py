"""The document of ``GET /v1.0/metadata``: what a sidecar has and whom it serves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.documents import Rule, Subscription
from daprflow.protocol.gojson import encode_go
from daprflow.sidecar.blocks.pubsub_wanted import Wanted

if TYPE_CHECKING:
    from daprflow.sidecar.options import RuntimeOptions
    from daprflow.sidecar.runtime import Runtime

RUNTIME_VERSION = "1.18.3"
"""The version of the real runtime whose behaviour this sidecar reproduces."""


BUILT_IN: Mapping[str, bool] = {"HotReload": True, "WorkflowsRemoteActivityReminder": True}
"""Features that are on unless a configuration says otherwise."""


class _Shape(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Go's ``omitempty``: what is empty is left out."""


class _Component(_Shape, frozen=True):
    name: str
    type: str
    version: str = ""
    capabilities: tuple[str, ...] = ()


class _Rule(_Shape, frozen=True):
    match: str = ""
    path: str = ""


class NamedSubscription(msgspec.Struct, frozen=True):
    """A subscription that runs; ``type`` says where it was declared."""

    pubsubname: str
    topic: str
    rules: tuple[_Rule, ...]
    dead_letter_topic: str = msgspec.field(name="deadLetterTopic")
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    type: str = "PROGRAMMATIC"


class _Named(_Shape, frozen=True):
    name: str


class _AppHealth(_Shape, frozen=True):
    health_check_path: str = ""
    health_probe_interval: str = ""
    health_probe_timeout: str = ""
    health_threshold: int = 0


class AppConnection(_Shape, frozen=True):
    """How the app is called."""

    port: int = 0
    protocol: str = ""
    channel_address: str = ""
    max_concurrency: int = 0
    health: _AppHealth | None = None


class TypeCount(_Shape, frozen=True):
    """How many actors of a type are active."""

    type: str
    count: int = 0


class _ActorRuntime(msgspec.Struct, frozen=True, rename="camel"):
    runtime_status: str
    active_actors: tuple[TypeCount, ...] | msgspec.UnsetType = msgspec.UNSET
    host_ready: bool = False
    placement: str | msgspec.UnsetType = msgspec.UNSET


class _Workers(_Shape, frozen=True):
    connected_workers: int = 0


class Description(_Shape, frozen=True):
    """What a sidecar tells of itself."""

    id: str
    runtime_version: str
    enabled_features: tuple[str, ...] = ()
    actors: tuple[TypeCount, ...] = ()
    components: tuple[_Component, ...] = ()
    extended: dict[str, str] = {}
    subscriptions: tuple[NamedSubscription, ...] = ()
    http_endpoints: tuple[_Named, ...] = ()
    app_connection_properties: AppConnection = AppConnection()
    actor_runtime: _ActorRuntime | None = None
    workflows: _Workers | None = None
    resiliencies: tuple[_Named, ...] = ()


class MetadataBlock:
    """Describes one app's sidecar."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def document(self) -> bytes:
        """Return the document as JSON, in the real one's order."""
        return encode_go(self.describe())

    def describe(self) -> Description:
        """Return what the document says."""
        runtime = self._runtime
        extended = {**runtime.extended, "daprRuntimeVersion": RUNTIME_VERSION}
        actors = tuple(TypeCount(each.kind, each.count) for each in runtime.actors.hosting.counts)
        return Description(
            id=runtime.app_id,
            runtime_version=RUNTIME_VERSION,
            enabled_features=features(runtime.resources.configuration),
            actors=actors,
            components=tuple(
                _Component(
                    loaded.resource.name,
                    loaded.resource.type,
                    loaded.resource.version,
                    loaded.instance.capabilities,
                )
                for loaded in runtime.components
            ),
            extended=dict(sorted(extended.items())),
            subscriptions=_subscriptions(runtime.subscriptions),
            http_endpoints=tuple(map(_Named, runtime.http_endpoints)),
            app_connection_properties=_connection(runtime.options),
            actor_runtime=_actor_runtime(actors, registered=runtime.actors.hosting.registered),
            workflows=_workers(runtime.workflows.connected_workers),
            resiliencies=tuple(map(_Named, runtime.resiliency.names)),
        )


def _workers(count: int) -> _Workers | None:
    return _Workers(count) if count else None


def features(configuration: ConfigurationResource) -> tuple[str, ...]:
    """Return the features that are on; what a configuration turns on is shown whatever it is."""
    stated = {**BUILT_IN, **dict(configuration.features)}
    return tuple(sorted(name for name, enabled in stated.items() if enabled))


def _actor_runtime(actors: tuple[TypeCount, ...], *, registered: bool) -> _ActorRuntime:
    if not registered:
        return _ActorRuntime("INITIALIZING")
    return _ActorRuntime(
        "RUNNING", actors or msgspec.UNSET, host_ready=True, placement="placement: connected"
    )


def _subscriptions(subscriptions: Sequence[Wanted]) -> tuple[NamedSubscription, ...]:
    return tuple(_subscription(wanted.document, wanted.origin) for wanted in subscriptions)


def _subscription(item: Subscription, origin: str) -> NamedSubscription:
    return NamedSubscription(
        pubsubname=item.pubsubname,
        topic=item.topic,
        metadata=dict(sorted(item.metadata.items())) if item.metadata else msgspec.UNSET,
        rules=tuple(_Rule(rule.match, rule.path) for rule in _rules(item)),
        dead_letter_topic=item.dead_letter_topic,
        type=origin,
    )


def _rules(item: Subscription) -> Sequence[Rule]:
    if item.routes is None:
        return (Rule(item.route),)
    default = (Rule(item.routes.default),) if item.routes.default else ()
    return (*item.routes.rules, *default)


def _connection(options: "RuntimeOptions") -> AppConnection:
    health = None
    if options.enable_app_health_check:
        over_grpc = options.app_protocol in {"grpc", "grpcs"}  # there it is a method, not a path
        health = _AppHealth(
            "" if over_grpc else options.app_health_check_path,
            go_duration(options.app_health_probe_interval),
            go_duration(options.app_health_probe_timeout),
            options.app_health_threshold,
        )
    return AppConnection(
        port=options.app_port or 0,
        protocol=options.app_protocol,
        channel_address=options.app_channel_address,
        max_concurrency=max(options.app_max_concurrency or 0, 0),
        health=health,
    )


def go_duration(seconds: float) -> str:
    """Return a duration as Go prints it: ``1m5s``, ``500ms``, ``0s``."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:  # noqa: PLR2004 - below a second Go counts milliseconds
        return f"{milliseconds}ms" if milliseconds else "0s"
    whole, rest = divmod(milliseconds, 1000)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{f'{whole}.{rest:03d}'.rstrip('0').rstrip('.') if rest else whole}s"
