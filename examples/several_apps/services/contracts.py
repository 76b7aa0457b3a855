"""What the services say to each other."""

import msgspec

from daprflow import Endpoint, Topic


class Order(msgspec.Struct):
    id: str
    sku: str


class Bill(msgspec.Struct):
    order: str
    total: int


price = Endpoint("pricing", "price", Order, int)
bills = Topic("pubsub", "bills", Bill)
