import importlib

import msgspec
import pytest

import examples.middleware.app as shop
from daprflow import DaprFlow, Delivery, Router, Status
from daprflow.testing import TestSidecar
from tests.helpers.app_calls import Caller
from tests.helpers.oidc import Provider, running_provider

seen: list[dict[str, str]] = []
pricing = DaprFlow("pricing")


@pricing.invoke(name="price")
async def on_price(order: shop.Order, *, delivery: Delivery) -> int:
    seen.append(dict(delivery.headers))
    return order.total * 2


async def buy(provider: Provider, total: int, **claims: str) -> tuple[int, bytes, dict[str, str]]:
    """Call a method of the app as a caller from outside does."""
    headers = [
        ("authorization", f"Bearer {provider.token(**claims)}"),
        ("x-correlation-id", "order-7"),
        ("origin", "https://shop.example"),
    ]
    answer = await Caller(shop.app).post(
        "/buy", msgspec.json.encode(shop.Order("1", total)), headers
    )
    return answer.status, answer.body, answer.headers


async def who(provider: Provider, **claims: str) -> int:
    """Call the method that needs a scope."""
    given = [("authorization", f"Bearer {provider.token(**claims)}")]
    return (await Caller(shop.app).post("/whoami", headers=given)).status


async def test_all_of_it_together(capsys: pytest.CaptureFixture[str]) -> None:
    """Tokens of a provider that rotates its keys, limits, errors, and what goes along."""
    seen.clear()
    importlib.reload(shop)  # an app that ran takes no further router
    async with running_provider() as provider:
        methods: Router = shop.guarded(provider.issuer, refetch_after=0)
        shop.app.include(methods)
        secrets = {"vault": {"shop-oauth": provider.secret}}
        async with TestSidecar(shop.app, peers=[pricing], secrets=secrets) as dapr:
            shop.call_with_tokens(f"{provider.issuer}/token")
            status, body, headers = await buy(provider, 7)
            assert (status, body) == (200, b"14")
            assert headers["server"] == "shop"
            assert headers["access-control-allow-origin"] == "https://shop.example"
            assert headers["ratelimit-policy"] == '"default";q=100;w=60'
            assert seen[0]["authorization"] == "Bearer token-1"
            assert headers["x-correlation-id"] == seen[0]["x-correlation-id"] == "order-7"

            former = provider.token()
            provider.rotate()
            assert (await buy(provider, 7))[0] == 200
            again = [("authorization", f"Bearer {former}")]
            answer = await Caller(shop.app).post("/buy", b"{}", again)
            assert answer.status == 401
            assert answer.headers["content-type"] == "application/problem+json"

            status, body, _ = await buy(provider, 999)
            assert (status, body) == (409, b'{"reason":"nothing left for order 1"}')
            assert (await dapr.publish(shop.orders, shop.Order("1", 999))) is Status.DROP
            assert (await who(provider)) == 403
            assert (await who(provider, scope="orders:admin")) == 200
            answer = await Caller(shop.app).post("/buy", b"{}", [("content-length", "99999999")])
            assert answer.status == 413
    assert len(provider.asked) == 1
    assert "buy: 200" in capsys.readouterr().out
