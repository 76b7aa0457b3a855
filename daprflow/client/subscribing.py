"""Streaming subscriptions: the client's method for them."""

from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar, Unpack, overload

from daprflow.addresses import Topic, type_name
from daprflow.client.base import BaseClient
from daprflow.client.event_message import MessageWatch
from daprflow.client.subscription import Subscription
from daprflow.handlers.decoding import EventDecoder
from daprflow.transports.events import Wanted

T = TypeVar("T")


class SubscribeOptions(TypedDict, total=False):
    """What may be said about a streaming subscription.

    Attributes:
        dead_letter: the topic for events that are given up or cannot be decoded.
        metadata: the component's, such as a consumer group.
        raw: whether events come without an envelope.
        max_in_flight: how many messages may be without a verdict at one time.
    """

    dead_letter: str
    metadata: Mapping[str, str]
    raw: bool
    max_in_flight: int


class Subscribing(BaseClient):
    """The part of the client that subscribes to topics."""

    def watch_messages(self, watch: MessageWatch | None) -> None:
        """Have ``watch`` called where the block of a message begins; None ends that.

        It holds for messages that come later, of every subscription over these connections.
        """
        self._caller.way.messages = watch

    @overload
    def subscribe(
        self, topic: Topic[T], /, **options: Unpack[SubscribeOptions]
    ) -> Subscription[T]: ...

    @overload
    def subscribe(
        self, pubsub: str, topic: str, payload: type[T], /, **options: Unpack[SubscribeOptions]
    ) -> Subscription[T]: ...

    def subscribe(self, *topic: Any, **options: Unpack[SubscribeOptions]) -> Subscription[Any]:
        """Go through the events of a topic as they come; no handler and no app port is needed.

        ``async with client.subscribe(orders) as messages: async for message in messages: ...``.
        Each message waits for ``await message.ack()``, ``retry()`` or ``drop()``, or gives its
        verdict itself as ``async with message:``. Leaving the block ends the subscription, and
        events without a verdict are delivered again. It goes over gRPC
        (``SubscribeTopicEventsAlpha1``, Dapr 1.14), has no deadline, and begins again for as long
        as it takes when the sidecar goes away. What was under way then comes a second time.

        One message at a time is handed out; asking for the next one without a verdict has the last
        one delivered again, with a warning. With a larger ``max_in_flight`` verdicts may come
        later, from other tasks, and the loop pauses while so many are missing.

        Args:
            topic: a `Topic` handle, or the names of a pub/sub component and a topic, and a type.
            **options: ``dead_letter`` (the topic for events that are given up, or that cannot be
                decoded, which are delivered again without it), ``metadata`` (the component's),
                ``raw`` (events have no envelope), ``max_in_flight`` (1).

        Raises:
            NotFound: with the first message, or on entering the block: there is no such pub/sub
                component.
            SidecarError: likewise: the sidecar or the broker refused.
            ValueError: ``max_in_flight`` is below 1.

        Example:
            ```python
            async with client.subscribe(orders, dead_letter="orders-dead") as events:
                async for message in events:
                    async with message:
                        print(message.data.id)
            ```
        """
        target = _target(topic)
        limit = options.get("max_in_flight", 1)
        if limit < 1:
            raise ValueError(f"'max_in_flight' is {limit}; it must be at least 1")
        raw = options.get("raw", False)
        metadata = dict(options.get("metadata") or {})
        if raw:
            metadata["rawPayload"] = "true"
        wanted = Wanted(target.pubsub, target.name, options.get("dead_letter", ""), metadata)
        decoder = EventDecoder(target.payload, raw=raw, codecs=self._caller.codecs)
        return Subscription(self._caller, wanted, decoder, limit)


def _target(topic: tuple[Any, ...]) -> Topic[Any]:
    match topic:
        case (Topic() as known,):
            target: Topic[Any] = known
        case (str(pubsub), str(name), payload):
            target = Topic(pubsub, name, payload)
        case _:
            given = ", ".join(type_name(type(each)) for each in topic)
            raise TypeError(
                "'subscribe' takes a Topic, or the names of a pub/sub component and a topic and "
                f"the payload's type; not ({given})"
            )
    if not target.pubsub or not target.name:
        raise ValueError(f"{target!r} lacks the name of a pub/sub component or of a topic")
    return target
