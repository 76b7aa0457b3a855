"""Publishing of events: the client's methods for it."""

from collections.abc import Iterable
from typing import Any, TypeVar, Unpack, overload

from daprflow.addresses import Topic
from daprflow.client import publication
from daprflow.client.base import BaseClient
from daprflow.client.publication import PLAIN, Options, PublishOptions
from daprflow.protocol.cloudevents import CloudEvent

T = TypeVar("T")


class Publishing(BaseClient):
    """The part of the client that publishes."""

    @overload
    async def publish(
        self, topic: Topic[T], data: T | CloudEvent[T], /, **options: Unpack[PublishOptions]
    ) -> None: ...

    @overload
    async def publish(
        self, pubsub: str, topic: str, data: object, /, **options: Unpack[PublishOptions]
    ) -> None: ...

    async def publish(self, *event: Any, **options: Unpack[PublishOptions]) -> None:
        """Publish an event: ``publish(topic, data)`` or ``publish(pubsub, topic, data)``.

        The sidecar wraps it in a CloudEvent. Bytes go as ``application/octet-stream``, text as
        ``text/plain``, everything else as JSON. A `CloudEvent` goes with its own envelope: its
        attributes and extensions. Once this returns, the broker has accepted the event.

        Args:
            event: a `Topic` handle, or the names of a pub/sub component and a topic; then the data.
            **options: ``metadata`` (request metadata, such as ``partitionKey``; over the topic's),
                ``content_type`` (where it differs from what the data's type says), ``ttl`` (a
                timedelta), ``raw`` (without an envelope), and the envelope's ``id``, ``type``,
                ``source`` and ``subject``.

        Raises:
            NotFound: there is no such pub/sub component.
            SidecarError: the sidecar or the broker refused.

        Example:
            ```python
            await client.publish(orders, Order("7"), ttl=timedelta(hours=1))
            await client.publish("pubsub", "notes", "hello")
            ```
        """
        target, data = publication.split(event, "publish")
        chosen = Options(**options) if options else PLAIN
        await publication.publish(self._caller, target, data, chosen)

    @overload
    async def publish_many(
        self,
        topic: Topic[T],
        events: Iterable[T | CloudEvent[T]],
        /,
        **options: Unpack[PublishOptions],
    ) -> None: ...

    @overload
    async def publish_many(
        self,
        pubsub: str,
        topic: str,
        events: Iterable[object],
        /,
        **options: Unpack[PublishOptions],
    ) -> None: ...

    async def publish_many(self, *events: Any, **options: Unpack[PublishOptions]) -> None:
        """Publish events in order, in as few requests as fit (``max_request_size``).

        Args:
            events: a `Topic` handle, or the names of a pub/sub component and a topic; then the
                events, each as ``publish`` takes one.
            **options: as for ``publish``; they hold for every event.

        Raises:
            BulkPublishError: some were published and some not; ``failed`` says which and why.
            NotFound: there is no such pub/sub component.
            SidecarError: the sidecar refused, and nothing was published.

        Example:
            ```python
            await client.publish_many(orders, [Order("7"), Order("8")])
            ```
        """
        target, data = publication.split(events, "publish_many")
        chosen = Options(**options) if options else PLAIN
        await publication.publish_many(self._caller, target, data, chosen)
