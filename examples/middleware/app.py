"""An app with limits, tokens, errors and correlation: around all of it, a router, one method."""

import msgspec
from starlette.datastructures import MutableHeaders as Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request

from daprflow import Client, DaprFlow, Delivery, Endpoint, Next, Outcome, Router, Status, Topic
from daprflow.middleware import (
    ClientCredentials,
    Correlation,
    CorrelationHeader,
    ErrorHandling,
    OidcBearer,
    RateLimit,
    RequestLimits,
    RequireScopes,
    SharedCounts,
    StoredSecret,
    TokenBucket,
    Transform,
)


class Order(msgspec.Struct):
    id: str
    total: int


class Refusal(msgspec.Struct):
    reason: str


class OutOfStockError(Exception):
    """There is nothing left of what was ordered."""


orders = Topic("pubsub", "orders", Order)
price = Endpoint("pricing", "price", Order, int)


# --8<-- [start:order]
def no_server_name(headers: Headers) -> None:
    headers["server"] = "shop"


app = DaprFlow(
    "middleware-example",
    middleware=[
        Middleware(Correlation),
        Middleware(GZipMiddleware, minimum_size=500),
        Middleware(CORSMiddleware, allow_origins=["https://shop.example"]),
        Middleware(ErrorHandling),
        Middleware(Transform, response_headers=no_server_name),
        Middleware(RequestLimits, timeout=10.0),
    ],
)
# --8<-- [end:order]


# --8<-- [start:levels]
async def audited(delivery: Delivery, call: Next) -> Outcome:
    outcome = await call(delivery)
    print(f"{delivery.name}: {outcome.http_status}")
    return outcome


def guarded(issuer: str, *, refetch_after: float = 10.0) -> Router:
    """The methods that other apps call; in a function, so that a test has its own issuer."""
    bearer = Middleware(OidcBearer, issuer=issuer, audience="shop", refetch_after=refetch_after)
    counts = SharedCounts("statestore", lambda: app.client)
    limit = Middleware(RateLimit, rule=TokenBucket(100, 60.0), counts=counts)
    methods = Router(interceptors=[audited], middleware=[bearer, limit])

    @methods.invoke
    async def buy(order: Order, *, client: Client) -> int:
        if order.total > 900:
            raise OutOfStockError(order.id)
        return await client.invoke(price, order)

    @methods.invoke(middleware=[Middleware(RequireScopes, "orders:admin")])
    async def whoami(*, request: Request) -> str:
        return str(request.state.claims["sub"])

    return methods


# --8<-- [end:levels]


# --8<-- [start:errors]
@app.on_error(OutOfStockError, status=409)
async def on_out_of_stock(error: OutOfStockError, *, delivery: Delivery) -> Refusal | Status:
    if delivery.kind == "topic":
        return Status.DROP
    return Refusal(f"nothing left for order {error}")


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order) -> None:
    if order.total > 900:
        raise OutOfStockError(order.id)
    print(f"order {order.id}: {order.total}")


# --8<-- [end:errors]


# --8<-- [start:outgoing]
def call_with_tokens(token_url: str) -> None:
    app.client.add_interceptors(
        CorrelationHeader(),
        ClientCredentials(
            token_url,
            "shop",
            StoredSecret("vault", "shop-oauth", lambda: app.client),
            targets=["pricing"],
            scopes=["prices:read"],
        ),
    )


# --8<-- [end:outgoing]
