"""Types and content types of one's own: money inside JSON, protobuf as whole bodies."""

from dataclasses import dataclass
from typing import Annotated, Self

import msgspec
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from daprflow import Client, Codecs, ContentCodec, DaprFlow, JsonCodec, Query, Topic


class Money:
    """A class that nobody but its owner can take apart."""

    def __init__(self, cents: int, currency: str) -> None:
        self.cents = cents
        self.currency = currency

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` writes."""
        amount, currency = text.split(" ")
        return cls(round(float(amount) * 100), currency)

    def __str__(self) -> str:
        return f"{self.cents / 100:.2f} {self.currency}"


codecs = Codecs(
    JsonCodec(Money, encode=str, decode=Money.parse),
    ContentCodec(
        "application/x-protobuf",
        Message,  # and every class that is one
        encode=lambda message: message.SerializeToString(),
        decode=lambda body, wanted: wanted.FromString(body),
    ),
)
app = DaprFlow("codecs-example", codecs=codecs)


class Invoice(msgspec.Struct):
    number: str
    total: Money


invoices = Topic("pubsub", "invoices", Invoice)
names = Topic("pubsub", "names", StringValue)


@dataclass
class Seen:
    total: str = ""
    name: str = ""


seen = Seen()


@app.topic(invoices, dead_letter="invoices-dead")
async def on_invoice(invoice: Invoice, *, client: Client) -> None:
    await client.state("statestore").set(invoice.number, invoice)
    seen.total = str(invoice.total)
    print(f"invoice {invoice.number}: {invoice.total}")


@app.topic(names, dead_letter="names-dead")
async def on_name(name: StringValue) -> None:
    seen.name = name.value
    print(f"name {name.value}")


@app.invoke
async def greet(name: StringValue) -> StringValue:
    return StringValue(value=f"hello {name.value}")


@app.invoke("GET", "/exchange")
async def exchange(*, amount: Annotated[Money, Query()], rate: Annotated[float, Query()]) -> Money:
    return Money(round(amount.cents * rate), "USD")
