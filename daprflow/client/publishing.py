"""Publishing of events: the client's methods for it."""

from collections.abc import Mapping
from typing import Any, TypeVar, overload

from daprflow.addresses import Topic
from daprflow.client import payload
from daprflow.client.base import BaseClient
from daprflow.protocol import operations

T = TypeVar("T")


class Publishing(BaseClient):
    """The part of the client that publishes."""

    @overload
    async def publish(
        self,
        topic: Topic[T],
        data: T,
        /,
        *,
        metadata: Mapping[str, str] = ...,
        content_type: str | None = ...,
    ) -> None: ...

    @overload
    async def publish(
        self,
        pubsub: str,
        topic: str,
        data: object,
        /,
        *,
        metadata: Mapping[str, str] = ...,
        content_type: str | None = ...,
    ) -> None: ...

    async def publish(
        self,
        *event: Any,
        metadata: Mapping[str, str] = operations.NO_METADATA,
        content_type: str | None = None,
    ) -> None:
        """Publish an event: ``publish(topic, data)`` or ``publish(pubsub, topic, data)``.

        The sidecar wraps it in a CloudEvent. Bytes go as ``application/octet-stream``, text as
        ``text/plain``, everything else as JSON. Once this returns, the broker has accepted it.

        Args:
            event: a `Topic` handle, or the names of a pub/sub component and a topic; then the data.
            metadata: request metadata, such as ``ttlInSeconds`` or ``rawPayload``.
            content_type: what the data is, where that differs, such as
                ``application/cloudevents+json`` for text or bytes that hold an envelope.

        Raises:
            NotFound: there is no such pub/sub component.
            SidecarError: the sidecar or the broker refused.
        """
        pubsub, topic, data = _address(event)
        sent = payload.encode(data, content_type)
        request = operations.publish(pubsub, topic, sent.body, sent.content_type, metadata)
        await self._caller.call(request)


def _address(event: tuple[Any, ...]) -> tuple[str, str, object]:
    """Return pub/sub name, topic name and data of either form of ``publish``."""
    match event:
        case (Topic() as topic, data):
            return topic.pubsub, topic.name, data
        case (str() as pubsub, str() as name, data):
            return pubsub, name, data
    raise TypeError(
        "publish takes a Topic and the data, or the names of a pub/sub component and a topic, "
        "and the data"
    )
