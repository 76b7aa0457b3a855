from datetime import timedelta
from pathlib import Path

from daprflow.testing import TestSidecar, replay
from examples.migration.dapr_workflow.after import Order, app, approved, checkout

RISKY = Order(id="o1", total=250)


async def test_an_approved_order_is_paid() -> None:
    """The workflow waits for the approval, and ends with the receipt."""
    async with TestSidecar(app) as dapr:
        run = await dapr.start(checkout, RISKY, id="o1")
        await run.send(approved, data=True)
        assert await run.result() == "receipt-o1"


async def test_without_an_approval_the_money_goes_back() -> None:
    """A day later, which the test does not wait for, the order is rejected."""
    async with TestSidecar(app) as dapr:
        run = await dapr.start(checkout, RISKY, id="o1")
        await dapr.advance(timedelta(days=2))
        assert await run.result() == "rejected"


def test_an_instance_that_began_before_goes_on() -> None:
    """The history was recorded while the official worker ran; the new code asks for the same."""
    replay(checkout, Path(__file__).with_name("begun_before.json"))
