"""What was published on a topic, decoded for a test."""

from typing import TypeVar

from daprflow.addresses import Topic
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.decoding import BodyDecoder, EventDecoder, Undecodable
from daprflow.handlers.handler import Delivery
from daprflow.protocol.http import CLOUDEVENTS_JSON
from daprflow.sidecar.components.base import Message
from daprflow.testing.ledger import Ledger

T = TypeVar("T")


def published(ledger: Ledger, topic: Topic[T], codecs: Codecs) -> list[T]:
    """Return the payloads of all messages on a topic, in order.

    Raises:
        AssertionError: one of them is no such payload.
    """
    event = EventDecoder(topic.payload, codecs=codecs)
    raw = BodyDecoder(topic.payload, codecs)
    messages = ledger.messages(topic.pubsub, topic.name)
    return [_data(topic, message, event, raw) for message in messages]


def _data(topic: Topic[T], message: Message, event: EventDecoder, raw: BodyDecoder) -> T:
    """Decode what was published, as a handler would."""
    try:
        if message.content_type == CLOUDEVENTS_JSON:
            data: T = event.data(Delivery("topic", topic.name, message.data))
        else:
            data = raw.decode(message.data)
    except Undecodable as error:
        raise AssertionError(f"what was published on {topic!r} does not fit: {error}") from None
    return data
