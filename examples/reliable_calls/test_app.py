import logging
from typing import Annotated

import pytest

from daprflow import Header
from daprflow.testing import TestSidecar
from examples.reliable_calls.app import app, price, quote


async def priced(sku: str, *, tenant: Annotated[str, Header("x-tenant")]) -> int:
    return 250 if tenant == "blue" else 0


async def test_a_call_is_watched_and_signed(caplog: pytest.LogCaptureFixture) -> None:
    """The header arrives, and the log has one line for the call."""
    caplog.set_level(logging.INFO, "examples.reliable_calls.app")
    async with TestSidecar(app) as dapr:
        dapr.fake(price, priced)

        assert await dapr.invoke(quote, "sku-1") == 250

    assert "invoke post pricing: 200 (1)" in caplog.text
