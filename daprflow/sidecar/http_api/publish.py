"""``POST /v1.0/publish/…``: one event, or many at once."""

from functools import partial

import msgspec

from daprflow.protocol import faults
from daprflow.protocol.fault import BulkPublishFault
from daprflow.protocol.gojson import GoJsonError, decode_go
from daprflow.protocol.operations import BulkPublishEntry
from daprflow.sidecar.blocks.pubsub_publish import read_entries
from daprflow.sidecar.http_api.call import DONE, Answer, Call
from daprflow.sidecar.http_api.trace import parent_of

_SHORTEST = 4
_GO_TYPE = "[]http.bulkPublishMessageEntry"
_SHORTEST_BULK = 5
_entries = msgspec.json.Decoder(tuple[BulkPublishEntry, ...] | None)


async def handle(call: Call) -> Answer | None:
    """Serve one publish call, None where no route fits."""
    segments = call.segments
    if call.method not in {"POST", "PUT"} or len(segments) < _SHORTEST:
        return None
    if segments[2] == b"bulk" and len(segments) >= _SHORTEST_BULK:
        return await _publish_many(call) if segments[0] in {b"v1.0", b"v1.0-alpha1"} else None
    if segments[0] != b"v1.0":
        return None
    metadata = call.metadata() if call.scope["query_string"] else {}
    traceparent, tracestate = parent_of(call)
    pubsub = call.segment(2)
    topic = call.segment(3) if len(segments) == _SHORTEST else call.rest(3)
    await call.runtime.pubsub.publish(
        pubsub,
        topic,
        await call.body(partial(faults.pubsub_publish, pubsub, topic)),
        call.header(b"content-type"),
        metadata,
        traceparent=traceparent,
        tracestate=tracestate,
    )
    return DONE


async def _publish_many(call: Call) -> Answer:
    pubsub, topic = call.segment(3), call.rest(4)
    app_id = call.runtime.app_id
    body = await call.body(partial(faults.pubsub_unmarshal, pubsub, topic, app_id))
    try:
        entries = decode_go(_entries, body, _GO_TYPE, "bulkPublishMessageEntry") or ()
    except GoJsonError as error:
        raise faults.pubsub_unmarshal(pubsub, topic, app_id, str(error)) from None
    traceparent, tracestate = parent_of(call)
    failed = await call.runtime.pubsub.publish_many(
        pubsub,
        topic,
        read_entries(entries),
        call.metadata(),
        traceparent=traceparent,
        tracestate=tracestate,
        api=call.path.decode("utf-8", "replace"),
    )
    if failed:
        raise BulkPublishFault(failed)
    return DONE
