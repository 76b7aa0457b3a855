"""Clients of streaming subscriptions, as an SDK has them."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from daprflow.protocol import messages as m
from tests.helpers.grpc_sidecar import GrpcSidecar

T = TypeVar("T")

SUCCESS, RETRY, DROP = (
    m.TopicEventResponse.SUCCESS,
    m.TopicEventResponse.RETRY,
    m.TopicEventResponse.DROP,
)


def initial(
    topic: str,
    pubsub: str = "pubsub",
    dead_letter: str = "",
    metadata: Mapping[str, str] | None = None,
) -> m.SubscribeTopicEventsRequestAlpha1:
    """Return the first message of a stream."""
    request = m.SubscribeTopicEventsRequestInitialAlpha1(
        pubsub_name=pubsub, topic=topic, metadata=metadata
    )
    if dead_letter:
        request.dead_letter_topic = dead_letter
    return m.SubscribeTopicEventsRequestAlpha1(initial_request=request)


def verdict(event_id: str, status: Any = SUCCESS) -> m.SubscribeTopicEventsRequestAlpha1:
    """Return a verdict on an event."""
    processed = m.SubscribeTopicEventsRequestProcessedAlpha1(
        id=event_id, status=m.TopicEventResponse(status=status)
    )
    return m.SubscribeTopicEventsRequestAlpha1(event_processed=processed)


@dataclass(frozen=True, slots=True)
class TopicClient:
    """One client with one open stream."""

    call: Any  # the official stub has no types
    sidecar: GrpcSidecar

    async def next(self) -> m.TopicEventRequest:
        """Return the next event, letting virtual time go on."""
        answer = await within(self.sidecar, self.call.read())
        assert answer is not grpc.aio.EOF, await self.ended()
        event: m.TopicEventRequest = answer.event_message
        return event

    async def take(self, count: int) -> list[m.TopicEventRequest]:
        """Return the next events."""
        return [await self.next() for _ in range(count)]

    async def judge(self, event: m.TopicEventRequest, status: Any = SUCCESS) -> None:
        """Give a verdict on an event."""
        await self.call.write(verdict(event.id, status))

    async def handle(self, count: int) -> list[bytes]:
        """Take and acknowledge events; return their data."""
        found = []
        for _ in range(count):
            event = await self.next()
            found.append(event.data)
            await self.judge(event)
        return found

    async def ended(self) -> tuple[str, str]:
        """Return how the stream ended: code and text."""
        code = await within(self.sidecar, self.call.code())
        return code.name, await self.call.details()

    async def leave(self) -> None:
        """Go away without a word, and wait until the sidecar has seen it."""
        gone = len(self.sidecar.inner.runtime.subscriptions) - 1
        self.call.cancel()
        await self.sidecar.inner.until(
            lambda: len(self.sidecar.inner.runtime.subscriptions) == gone
        )


async def within(sidecar: GrpcSidecar, work: Awaitable[T]) -> T:
    """Wait for ``work``, letting virtual time go on."""
    task = asyncio.ensure_future(work)
    await sidecar.inner.until(task.done)
    return task.result()


async def stream(
    sidecar: GrpcSidecar,
    topic: str = "orders",
    dead_letter: str = "",
    metadata: Mapping[str, str] | None = None,
) -> TopicClient:
    """Open a stream and wait until it is subscribed."""
    call = sidecar.stub.SubscribeTopicEventsAlpha1()
    await call.write(initial(topic, dead_letter=dead_letter, metadata=metadata))
    assert (await call.read()).HasField("initial_response")
    return TopicClient(call, sidecar)


async def publish(
    sidecar: GrpcSidecar,
    *bodies: bytes,
    topic: str = "orders",
    content_type: str = "text/plain",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Publish events one after the other."""
    for body in bodies:
        request = m.PublishEventRequest(
            pubsub_name="pubsub",
            topic=topic,
            data=body,
            data_content_type=content_type,
            metadata=metadata,
        )
        await sidecar.stub.PublishEvent(request)
