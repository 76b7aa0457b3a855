"""The metadata methods: what this sidecar has, and what an app notes there."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from daprflow.protocol import messages
from daprflow.sidecar.grpc_api.call import GrpcCall, Method

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daprflow.sidecar.blocks.metadata import (
        AppConnection,
        Description,
        NamedSubscription,
        TypeCount,
    )


async def _get(
    call: GrpcCall, _request: messages.GetMetadataRequest
) -> messages.GetMetadataResponse:
    found = call.runtime.metadata.describe()
    return messages.GetMetadataResponse(
        id=found.id,
        active_actors_count=_counts(found.actors),
        registered_components=_components(found),
        extended_metadata=found.extended,
        subscriptions=[_subscription(each) for each in found.subscriptions],
        http_endpoints=[
            messages.MetadataHTTPEndpoint(name=each.name) for each in found.http_endpoints
        ],
        app_connection_properties=_connection(found.app_connection_properties),
        runtime_version=found.runtime_version,
        enabled_features=found.enabled_features,
        resiliencies=[messages.MetadataResiliency(name=each.name) for each in found.resiliencies],
        actor_runtime=_actor_runtime(found),
        workflows=messages.MetadataWorkflows(
            connected_workers=0 if found.workflows is None else found.workflows.connected_workers
        ),
    )


async def _set(call: GrpcCall, request: messages.SetMetadataRequest) -> messages.Empty:
    if request.key:
        call.runtime.extended[request.key] = request.value
    return messages.Empty()


def _components(found: "Description") -> list[messages.RegisteredComponents]:
    return [
        messages.RegisteredComponents(
            name=each.name, type=each.type, version=each.version, capabilities=each.capabilities
        )
        for each in found.components
    ]


def _subscription(item: "NamedSubscription") -> messages.PubsubSubscription:
    rules = [messages.PubsubSubscriptionRule(match=r.match, path=r.path) for r in item.rules]
    return messages.PubsubSubscription(
        pubsub_name=item.pubsubname,
        topic=item.topic,
        metadata=item.metadata or {},
        rules=messages.PubsubSubscriptionRules(rules=rules),
        dead_letter_topic=item.dead_letter_topic,
        type=messages.PubsubSubscriptionType.Value(item.type),
    )


def _connection(app: "AppConnection") -> messages.AppConnectionProperties:
    health = None
    if app.health is not None:
        health = messages.AppConnectionHealthProperties(
            health_check_path=app.health.health_check_path,
            health_probe_interval=app.health.health_probe_interval,
            health_probe_timeout=app.health.health_probe_timeout,
            health_threshold=app.health.health_threshold,
        )
    return messages.AppConnectionProperties(
        port=app.port,
        protocol=app.protocol,
        channel_address=app.channel_address,
        max_concurrency=app.max_concurrency,
        health=health,
    )


def _actor_runtime(found: "Description") -> messages.ActorRuntime | None:
    actors = found.actor_runtime
    if actors is None:
        return None
    return messages.ActorRuntime(
        runtime_status=messages.ActorRuntime.ActorRuntimeStatus.Value(actors.runtime_status),
        active_actors=_counts(actors.active_actors or ()),
        host_ready=actors.host_ready,
        placement=actors.placement or "",
    )


def _counts(counts: "Iterable[TypeCount]") -> list[messages.ActiveActorsCount]:
    return [messages.ActiveActorsCount(type=each.type, count=each.count) for each in counts]


METHODS: Mapping[str, Method] = {
    "GetMetadata": Method(_get, messages.GetMetadataRequest),
    "SetMetadata": Method(_set, messages.SetMetadataRequest),
}
