import pytest

from daprflow import InvocationError
from daprflow.testing import TestSidecar
from examples.invoke.app import Order, app, price, quote


async def test_a_method_calls_another() -> None:
    """The answer of one method is part of the other's."""
    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(quote, Order("7", 100)) == "7 costs 119"


async def test_the_status_of_a_refusal_reaches_the_caller() -> None:
    """An HTTPException of the called method is an InvocationError of the caller."""
    async with TestSidecar(app) as dapr:
        with pytest.raises(InvocationError) as refused:
            await dapr.invoke(price, Order("7", -1))
        assert refused.value.status == 422
