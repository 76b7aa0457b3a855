"""What the app of a small shop is made of, for tests of the test kit."""

import msgspec

from daprflow.actors import Actor
from daprflow.addresses import Endpoint, Topic


class Order(msgspec.Struct):
    """An event."""

    id: str


class Sum(msgspec.Struct):
    """The state of an actor."""

    value: int = 0


class Counter(Actor[Sum]):
    """An actor that adds up."""

    async def add(self, by: int) -> int:
        """Add, and return the sum."""
        self.state.value += by
        return self.state.value


orders = Topic("pubsub", "orders", Order)
receipts = Topic("pubsub", "receipts", Order)
price = Endpoint("pricing", "price", Order, int)
