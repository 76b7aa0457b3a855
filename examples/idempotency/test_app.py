from datetime import timedelta

from daprflow import Status
from daprflow.testing import TestSidecar
from examples.idempotency.app import Order, app, imports, orders, refunds


async def test_an_event_that_comes_twice_counts_once() -> None:
    """Its source and id say which it is."""
    async with TestSidecar(app) as dapr:
        for name in ("e1", "e1", "e2"):
            assert await dapr.publish(orders, Order("o1", 100), id=name) is Status.SUCCESS

        assert (await dapr.saved("statestore"))["charged"] == 200


async def test_a_key_of_its_own() -> None:
    """Two refunds of one order are one, for two hours."""
    async with TestSidecar(app) as dapr:
        await dapr.publish(refunds, Order("o1", 100))
        await dapr.publish(refunds, Order("o1", 100))
        assert (await dapr.saved("statestore"))["refunded"] == 100

        await dapr.advance(timedelta(hours=3))
        await dapr.publish(refunds, Order("o1", 100))

        assert (await dapr.saved("statestore"))["refunded"] == 200


async def test_batches_too() -> None:
    """Each entry counts once."""
    async with TestSidecar(app) as dapr:
        await dapr.publish(imports, Order("o1", 100), id="e1")
        await dapr.publish(imports, Order("o1", 100), id="e1")

        assert (await dapr.saved("statestore"))["imported"] == 100
