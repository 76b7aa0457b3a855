"""``SubscribeTopicEventsAlpha1``: the events of a topic on a stream, verdicts on the way back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from daprflow.protocol import faults, messages
from daprflow.protocol.documents import Subscription
from daprflow.sidecar.blocks.pubsub_streams import PATH
from daprflow.sidecar.grpc_api.call import GrpcCall, Method, Shape
from daprflow.sidecar.grpc_api.topic_stream import TopicStream

logger = logging.getLogger(__name__)

_EVENT = "event_processed"


async def _subscribe(
    call: GrpcCall, requests: AsyncIterator[messages.SubscribeTopicEventsRequestAlpha1]
) -> AsyncIterator[messages.SubscribeTopicEventsResponseAlpha1]:
    document = _document(await anext(requests, None))
    limit = call.runtime.options.max_body_size
    outlet = TopicStream(document.pubsubname, document.topic, limit)
    streams = call.runtime.pubsub.streams
    stream = await streams.open(document, outlet)
    reader = asyncio.get_running_loop().create_task(_read(requests, outlet))
    try:
        initial = messages.SubscribeTopicEventsResponseInitialAlpha1()
        yield messages.SubscribeTopicEventsResponseAlpha1(initial_response=initial)
        while True:
            yield await outlet.next()
    finally:
        reader.cancel()
        await streams.leave(stream)
        await asyncio.wait({reader})


def _document(request: messages.SubscribeTopicEventsRequestAlpha1 | None) -> Subscription:
    """Read the first message.

    Raises:
        Fault: there is none, or it asks for nothing.
    """
    if request is None:
        raise faults.stream("EOF")
    if not request.HasField("initial_request"):
        raise faults.stream("initial request is required")
    initial = request.initial_request
    if not initial.pubsub_name:
        raise faults.stream("pubsubName is required")
    if not initial.topic:
        raise faults.stream("topic is required")
    return Subscription(
        pubsubname=initial.pubsub_name,
        topic=initial.topic,
        route=PATH,
        dead_letter_topic=initial.dead_letter_topic,
        metadata=dict(initial.metadata),
    )


async def _read(requests: AsyncIterator[Any], outlet: TopicStream) -> None:
    """Take the client's verdicts until it has said its last."""
    fault = faults.stream("EOF")
    try:
        async for request in requests:
            if not request.HasField(_EVENT):
                fault = faults.stream("duplicate initial request received")
                break
            verdict = request.event_processed
            outlet.judge(verdict.id, verdict.status.status)
    except Exception:
        logger.debug("a stream broke off", exc_info=True)
    outlet.fail(fault)


METHODS: Mapping[str, Method] = {
    "SubscribeTopicEventsAlpha1": Method(
        _subscribe, messages.SubscribeTopicEventsRequestAlpha1, Shape.BOTH_STREAM
    ),
}
