"""A pub/sub component as one app uses it."""

from dataclasses import dataclass

from daprflow.sidecar.blocks.pubsub_scopes import Scopes
from daprflow.sidecar.components.base import PubSub


@dataclass(frozen=True, slots=True)
class Door:
    """A component, what of it is this app's, and the consumer group of this app."""

    component: PubSub
    scopes: Scopes
    consumer: str
