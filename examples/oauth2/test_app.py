from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from daprflow import InvocationError
from daprflow.testing import TestSidecar
from examples.oauth2 import login, pricing, shop
from examples.oauth2.till import Bill, Order, buy, tokens

TEA = Order("tea", 3)


@asynccontextmanager
async def running() -> AsyncIterator[tuple[str, TestSidecar]]:
    """Run the provider on a port of its own, and the shop beside pricing."""
    login.login.given.clear()
    async with TestSidecar(login.service, host=login.app, sockets=True) as provider:
        login.login.issuer = f"http://127.0.0.1:{provider.ports[0]}"
        issuer = login.login.issuer
        peers = [pricing.create(issuer)]
        secrets = {"vault": {"shop-oauth": "shop-secret"}}
        async with TestSidecar(shop.create(issuer), peers=peers, secrets=secrets) as dapr:
            yield issuer, dapr


async def refused(dapr: TestSidecar) -> int:
    """Return the status of a call that does not pass."""
    with pytest.raises(InvocationError) as failed:
        await dapr.client.invoke(buy, TEA)
    return failed.value.status


async def test_each_call_has_the_token_for_whom_it_calls() -> None:
    """The till buys, the shop asks for prices; each fetched one token for all its calls."""
    async with running() as (issuer, dapr):
        dapr.client.add_interceptors(tokens(issuer))
        for _ in range(3):
            assert await dapr.client.invoke(buy, TEA) == Bill("till", 9)
    assert sorted(login.login.given) == ["shop", "till"]


async def test_nobody_buys_without_a_token() -> None:
    """401, and nobody was asked for a price."""
    async with running() as (_, dapr):
        assert await refused(dapr) == 401
    assert login.login.given == []


async def test_a_token_with_another_scope_buys_nothing() -> None:
    """403: the till is known, and may do something else."""
    async with running() as (issuer, dapr):
        dapr.client.add_interceptors(tokens(issuer, "orders:read"))
        assert await refused(dapr) == 403


async def test_a_token_for_the_shop_opens_no_other_door() -> None:
    """The audience of a token is one app: pricing refuses what was made for the shop."""
    async with running() as (issuer, dapr):
        dapr.client.add_interceptors(tokens(issuer, target="pricing"))
        with pytest.raises(InvocationError) as failed:
            await dapr.client.invoke(shop.price, "tea")
        assert failed.value.status == 401
