from google.protobuf.wrappers_pb2 import StringValue

from daprflow import Status
from daprflow.testing import TestSidecar
from examples.codecs.app import Invoice, Money, app, exchange, greet, invoices, names, seen


async def test_money_travels_inside_json() -> None:
    """A class with a codec goes through an event, a state store, a query and an answer."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(invoices, Invoice("1", Money(1950, "EUR"))) is Status.SUCCESS
        assert seen.total == "19.50 EUR"
        stored = await dapr.state("statestore").get("1", Invoice)
        assert stored is not None
        assert stored.value.total.cents == 1950
        changed = await dapr.invoke(exchange, amount=Money(1000, "EUR"), rate=1.5)
        assert str(changed) == "15.00 USD"


async def test_protobuf_travels_as_bytes() -> None:
    """A message is the body of a call and of its answer, and the data of an event."""
    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(greet, StringValue(value="ann")) == StringValue(value="hello ann")
        assert await dapr.publish(names, StringValue(value="bob\xff")) is Status.SUCCESS
        assert seen.name == "bob\xff"
        assert [name.value for name in dapr.published(names)] == ["bob\xff"]
