"""Where a subscription says which topic it is for."""

from typing import Any

from daprflow.addresses import Topic


def topic_address(address: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """Return pub/sub name, topic name and payload type; freeze reports what is none of it."""
    match address:
        case (Topic() as topic,):
            return topic.pubsub, topic.name, topic.payload
        case (pubsub, name):
            return pubsub, name, None
    return address, None, None
