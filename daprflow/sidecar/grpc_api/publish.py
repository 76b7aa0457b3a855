"""The methods that publish: one event, or many at once."""

from collections.abc import Iterator, Mapping

from daprflow.protocol import faults, messages
from daprflow.sidecar.blocks.pubsub_publish import NewEntry
from daprflow.sidecar.grpc_api.call import GrpcCall, Method

_BULK = "/dapr.proto.runtime.v1.Dapr/BulkPublishEventAlpha1/"


async def _publish(call: GrpcCall, request: messages.PublishEventRequest) -> messages.Empty:
    trace = call.trace
    await call.runtime.pubsub.publish(
        request.pubsub_name,
        request.topic,
        request.data,
        request.data_content_type,
        dict(request.metadata),
        traceparent=trace.traceparent,
        tracestate=trace.tracestate,
        traces_raw=True,
    )
    return messages.Empty()


async def _publish_many(
    call: GrpcCall, request: messages.BulkPublishRequest
) -> messages.BulkPublishResponse:
    pubsub, topic, trace = request.pubsub_name, request.topic, call.trace
    failed = await call.runtime.pubsub.publish_many(
        pubsub,
        topic,
        _entries(request),
        dict(request.metadata),
        traceparent=trace.traceparent,
        tracestate=trace.tracestate,
        api=_BULK,
    )
    if failed:  # which ones is told over HTTP alone, as by the real runtime
        raise faults.pubsub_publish(pubsub, topic, failed[0].error)
    return messages.BulkPublishResponse()


def _entries(request: messages.BulkPublishRequest) -> Iterator[NewEntry]:
    for entry in request.entries:
        metadata = dict(entry.metadata) or None
        yield NewEntry(entry.entry_id, entry.event, entry.content_type, metadata)


METHODS: Mapping[str, Method] = {
    "PublishEvent": Method(_publish, messages.PublishEventRequest),
    "BulkPublishEvent": Method(_publish_many, messages.BulkPublishRequest),
    "BulkPublishEventAlpha1": Method(_publish_many, messages.BulkPublishRequest),
}
