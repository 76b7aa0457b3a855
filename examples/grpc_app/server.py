"""An app that speaks gRPC and knows nothing of daprflow; one in any other language would do."""

import asyncio
import json
import os
import signal
from typing import Any

import grpc
from dapr.proto.common.v1.common_pb2 import InvokeRequest, InvokeResponse
from dapr.proto.runtime.v1 import (
    JobEventRequest,
    JobEventResponse,
    ListTopicSubscriptionsResponse,
    TopicEventRequest,
    TopicEventResponse,
    TopicSubscription,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

prices = {"tea": 3, "cup": 12}


async def price(request: StringValue, context: Any) -> Int64Value:
    if request.value not in prices:
        await context.abort(grpc.StatusCode.NOT_FOUND, f"no price for '{request.value}'")
    return Int64Value(value=prices[request.value])


async def on_invoke(request: InvokeRequest, context: Any) -> InvokeResponse:
    if request.method != "price":
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"no method '{request.method}'")
    found = await price(StringValue(value=request.data.value.decode()), context)
    body = json.dumps(found.value).encode()
    return InvokeResponse(data=AnyMessage(value=body), content_type="application/json")


async def list_topics(_request: Empty, _context: Any) -> ListTopicSubscriptionsResponse:
    topic = TopicSubscription(pubsub_name="pubsub", topic="prices")
    return ListTopicSubscriptionsResponse(subscriptions=[topic])


async def on_topic_event(event: TopicEventRequest, _context: Any) -> TopicEventResponse:
    prices.update(json.loads(event.data))
    print(f"new prices: {prices}", flush=True)
    return TopicEventResponse(status=TopicEventResponse.SUCCESS)


async def on_job(event: JobEventRequest, _context: Any) -> JobEventResponse:
    print(f"job {event.name}", flush=True)
    return JobEventResponse()


def unary(handler: Any, request: Any, response: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        handler, request.FromString, response.SerializeToString
    )


# What the sidecar asks: the service that comes with Dapr's protos.
callbacks = grpc.method_handlers_generic_handler(
    "dapr.proto.runtime.v1.AppCallback",
    {
        "OnInvoke": unary(on_invoke, InvokeRequest, InvokeResponse),
        "ListTopicSubscriptions": unary(list_topics, Empty, ListTopicSubscriptionsResponse),
        "OnTopicEvent": unary(on_topic_event, TopicEventRequest, TopicEventResponse),
        "OnJobEvent": unary(on_job, JobEventRequest, JobEventResponse),
    },
)
# What other apps ask: a service of our own.
own = grpc.method_handlers_generic_handler(
    "shop.Prices", {"Price": unary(price, StringValue, Int64Value)}
)


async def serve(port: int) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((callbacks, own))
    taken = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, taken


async def main() -> None:
    server, port = await serve(int(os.environ["APP_PORT"]))
    print(f"listening on {port}", flush=True)
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    await server.stop(grace=1)


if __name__ == "__main__":
    asyncio.run(main())
