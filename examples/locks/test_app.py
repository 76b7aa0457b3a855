"""The locks example, tested without a process."""

from daprflow.testing import TestSidecar
from examples.locks.app import app, book, close_month, send_invoice, sent


async def test_an_invoice_is_sent_by_one() -> None:
    """While somebody holds the lock, nobody else sends."""
    async with TestSidecar(app) as dapr:
        async with dapr.client.lock("lockstore", "invoice-7"):
            assert not await dapr.invoke(send_invoice, "7")
        assert await dapr.invoke(send_invoice, "7")
    assert sent == ["7"]


async def test_the_others_run() -> None:
    """A lock that is free is had at once, renewed or not."""
    async with TestSidecar(app) as dapr:
        await dapr.invoke(book, 5)
        assert await dapr.invoke(close_month) == len(sent)
