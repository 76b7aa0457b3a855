import pytest

from daprflow import InvocationError
from daprflow.testing import TestSidecar
from examples.invoke.app import (
    Discount,
    Order,
    app,
    delete_order,
    discount,
    find_orders,
    get_order,
    price,
    put_order,
    quote,
    remote_discount,
    remote_order,
)


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


async def test_verbs_share_a_path() -> None:
    """What is put can be read, found and deleted, and is gone after that."""
    async with TestSidecar(app) as dapr:
        client, order = dapr.client, Order("8", 50)
        # --8<-- [start:calls]
        await client.invoke(put_order, order, order_id="8")
        kept = await client.invoke(get_order, order_id="8")
        found = await client.invoke(find_orders, least=1, only=["8", "9"], tenant="ann")
        # --8<-- [end:calls]
        assert (kept, found) == (order, [order])
        assert await dapr.invoke(remote_order, order_id="8") == order
        await dapr.invoke(delete_order, order_id="8")
        with pytest.raises(InvocationError) as refused:
            await dapr.invoke(get_order, order_id="8")
        assert refused.value.status == 404


async def test_marked_fields_travel_beside_the_body() -> None:
    """One typed value holds what stands in path, query and body."""
    async with TestSidecar(app) as dapr:
        await dapr.invoke(put_order, Order("9", 200), order_id="9")
        assert await dapr.invoke(discount, Discount("9", 25, dry_run=True)) == 150
        assert await dapr.invoke(remote_discount, Discount("9", 50)) == 100
        assert await dapr.invoke(get_order, order_id="9") == Order("9", 100)
