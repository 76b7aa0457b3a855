"""Takes orders from who has a token for it, and asks for the price with a token of its own."""

import os

import msgspec
from starlette.middleware import Middleware
from starlette.requests import Request

from daprflow import Client, DaprFlow, Endpoint, Router
from daprflow.middleware import ClientCredentials, OidcBearer, RequireScopes, StoredSecret


class Order(msgspec.Struct):
    sku: str
    pieces: int


class Bill(msgspec.Struct):
    buyer: str
    total: int


price = Endpoint("pricing", "price", str, int)


def create(issuer: str) -> DaprFlow:
    # --8<-- [start:in]
    # Whoever calls shows a token for this app; what it may do is asked for where it counts.
    methods = Router(middleware=[Middleware(OidcBearer, issuer=issuer, audience="shop")])

    @methods.invoke(middleware=[Middleware(RequireScopes, "orders:write")])
    async def buy(order: Order, *, request: Request, client: Client) -> Bill:
        total = order.pieces * await client.invoke(price, order.sku)
        return Bill(request.state.claims["sub"], total)

    # --8<-- [end:in]

    made = DaprFlow("shop")
    made.include(methods)
    # --8<-- [start:out]
    # Calls of 'pricing' carry a token, which is fetched once and renewed before it ends.
    tokens = ClientCredentials(
        f"{issuer}/token",
        "shop",
        StoredSecret("vault", "shop-oauth", lambda: made.client),
        targets=["pricing"],
        scopes=["prices:read"],
        audience="pricing",
    )
    made.client = Client(interceptors=[tokens])
    # --8<-- [end:out]
    return made


app = create(os.environ.get("ISSUER", "http://localhost:8099"))
