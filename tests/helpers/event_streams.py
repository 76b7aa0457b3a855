"""A sidecar that does with streaming subscriptions what a test says, over real gRPC."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from daprflow.client import Client
from daprflow.protocol import messages as m
from daprflow.settings import Settings
from daprflow.testing.transport import InProcessTransport
from tests.helpers.small_sidecar import SmallSidecar
from tests.helpers.timing import eventually

SUCCESS, RETRY, DROP = 0, 1, 2
INITIAL = m.SubscribeTopicEventsResponseAlpha1(
    initial_response=m.SubscribeTopicEventsResponseInitialAlpha1()
)
Refusal = tuple[grpc.StatusCode, str]


@dataclass(eq=False)
class OpenStream:
    """One stream as the sidecar sees it.

    Attributes:
        initial: what was asked for.
        verdicts: id and status of each verdict that came.
        half_closed: whether the client has said its last.
        ended: whether the call is over.
    """

    initial: m.SubscribeTopicEventsRequestInitialAlpha1
    metadata: dict[str, str]
    verdicts: list[tuple[str, int]] = field(default_factory=list)
    half_closed: bool = False
    ended: bool = False
    script: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)

    def send(self, event: str, data: bytes = b"1", kind: str = "application/json", /) -> None:
        """Give an event out."""
        self.give(id=event, data=data, data_content_type=kind)

    def give(self, *, extensions: dict[str, Any] | None = None, **fields: Any) -> None:
        """Give an event out with any attributes."""
        usual: dict[str, Any] = {
            "source": "shop",
            "type": "com.dapr.event.sent",
            "spec_version": "1.0",
        }
        places: dict[str, Any] = {"topic": "orders", "pubsub_name": "pubsub", "path": "/"}
        message = m.TopicEventRequest(**usual, **places, **fields)
        ParseDict(extensions or {}, message.extensions)
        self.script.put_nowait(m.SubscribeTopicEventsResponseAlpha1(event_message=message))

    def end(self, code: grpc.StatusCode = grpc.StatusCode.OK, text: str = "") -> None:
        """End the call."""
        self.script.put_nowait((code, text))


class EventStreams:
    """Takes subscriptions; each may be refused first."""

    def __init__(self) -> None:
        self.streams: list[OpenStream] = []
        self.refusals: list[Refusal] = []
        self.trailers: tuple[tuple[str, str | bytes], ...] = ()

    async def stream(self, number: int = 0) -> OpenStream:
        """Return the stream of that number, once it is there."""
        await eventually(lambda: len(self.streams) > number)
        return self.streams[number]

    async def subscribe(self, requests: Any, context: Any) -> None:
        """Serve one call."""
        first = await anext(requests)
        if self.refusals:
            await context.abort(*self.refusals.pop(0), self.trailers)
        metadata = dict(context.invocation_metadata())
        stream = OpenStream(first.initial_request, metadata)
        self.streams.append(stream)
        await context.write(INITIAL)
        reader = asyncio.create_task(self._read(requests, stream))
        try:
            while not isinstance(step := await stream.script.get(), tuple):
                await context.write(step)
            code, text = step
            if code is not grpc.StatusCode.OK:
                await context.abort(code, text)
        finally:
            stream.ended = True
            reader.cancel()
            await asyncio.wait({reader})

    async def _read(self, requests: Any, stream: OpenStream) -> None:
        async for request in requests:
            processed = request.event_processed
            stream.verdicts.append((processed.id, processed.status.status))
        stream.half_closed = True
        stream.end(grpc.StatusCode.UNKNOWN, "EOF")  # as the real runtime does


@dataclass(frozen=True, slots=True)
class Streaming:
    """A client and the sidecar it subscribes with."""

    client: Client
    sidecar: EventStreams
    http: SmallSidecar


@contextlib.asynccontextmanager
async def streaming(**settings: Any) -> AsyncIterator[Streaming]:
    """Run such a sidecar, and a client of it."""
    sidecar, http = EventStreams(), SmallSidecar()
    handler = grpc.stream_stream_rpc_method_handler(
        sidecar.subscribe,
        m.SubscribeTopicEventsRequestAlpha1.FromString,
        m.SubscribeTopicEventsResponseAlpha1.SerializeToString,
    )
    service = "dapr.proto.runtime.v1.Dapr"
    handlers = {"SubscribeTopicEventsAlpha1": handler}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    known = Settings(grpc_endpoint=f"127.0.0.1:{port}", **settings)
    try:
        async with Client(known, transport=InProcessTransport(http)) as client:
            yield Streaming(client, sidecar, http)
    finally:
        await server.stop(0)
