"""Every kind of payload a handler may take."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

import msgspec

from daprflow import BindingEvent, CloudEvent, DaprFlow, Topic


class Order(msgspec.Struct):
    id: str
    placed: datetime


@dataclass
class Address:
    city: str


class Parcel(TypedDict):
    weight: float


orders = Topic("pubsub", "orders", Order)
app = DaprFlow("payloads-example")


@app.invoke
async def struct(order: Order) -> str:
    return f"{order.id} in {order.placed:%Y}"


@app.invoke
async def dataclasses(addresses: list[Address]) -> list[str]:
    return sorted(address.city for address in addresses)


@app.invoke
async def typed_dict(parcel: Parcel | None) -> float:
    return parcel["weight"] if parcel else 0.0


@app.invoke
async def unread(body: bytes) -> bytes:
    return body[::-1]


@app.topic(orders, dead_letter="orders-dead")
async def with_envelope(event: CloudEvent[Order]) -> None:
    print(f"{event.id} of {event.source}: order {event.data.id}")


@app.binding("sms-in")
async def with_metadata(event: BindingEvent[str]) -> None:
    print(f"{event.data} from {event.metadata.get('sender', 'unknown')}")
