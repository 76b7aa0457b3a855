import msgspec
import pytest

from daprflow.testing import TestSidecar
from examples.logging.app import Order, app, orders

KEY = "pk-live-12345"


async def test_every_line_has_its_delivery_and_none_a_secret(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The lines of structlog and of logging are bound alike, and the delivery has its own."""
    async with TestSidecar(app, secrets={"vault": {"payment-key": KEY}}) as dapr:
        await dapr.publish(orders, Order("o1", "4111-1111"))
    text = capfd.readouterr().err
    assert KEY not in text
    assert "4111" not in text
    lines = {line["scope"]: line for line in map(msgspec.json.decode, text.splitlines())}
    assert lines["shop"]["msg"] == "charging"
    assert lines["shop.audit"]["msg"] == "charged with ***"
    assert lines["daprflow.delivery"]["verdict"] == "success"
    assert len({lines[each]["event_id"] for each in ("shop", "shop.audit")}) == 1
