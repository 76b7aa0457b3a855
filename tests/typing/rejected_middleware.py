"""Misuses of middleware, interceptors and error handlers that type checkers refuse."""

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware

from daprflow import Client, DaprFlow, Delivery, Next, Outcome, Router
from daprflow.middleware import (
    ApiToken,
    ClientCredentials,
    OidcBearer,
    RateLimit,
    RequestLimits,
    RequireScopes,
    SharedCounts,
    TokenBucket,
    Transform,
)

app = DaprFlow("shop")


async def watch(delivery: Delivery, call: Next) -> Outcome:
    return await call(delivery)


async def too_little(delivery: Delivery) -> Outcome:
    raise NotImplementedError


def plain(delivery: Delivery, call: Next) -> Outcome:
    raise NotImplementedError


def text(body: bytes, headers: MutableHeaders) -> str:
    return ""


Router(interceptors=watch)  # refused: arg-type
Router(interceptors=[too_little])  # refused: list-item
Router(interceptors=[plain])  # refused: list-item
Router(middleware=[RequestLimits])  # refused: list-item
app.topic("pubsub", "orders", middleware=[Middleware(RequestLimits)])  # refused: call-overload
app.binding("sms", interceptors=[plain])  # refused: list-item
Middleware(RequestLimits, timeout="1s")  # refused: arg-type
Middleware(RequestLimits, body=1)  # refused: call-arg
Middleware(RateLimit)  # refused: call-arg
Middleware(RateLimit, rule=5)  # refused: arg-type
Middleware(RateLimit, rule=TokenBucket(1), by="caller")  # refused: arg-type
Middleware(RateLimit, rule=TokenBucket(1), counts="statestore")  # refused: arg-type
Middleware(Transform, response_body=text)  # refused: arg-type
Middleware(OidcBearer, issuer="https://id.example")  # refused: call-arg
Middleware(ApiToken, tokens=[b"x"])  # refused: list-item
Middleware(RequireScopes, 5)  # refused: arg-type
SharedCounts("statestore", Client(), away="maybe")  # refused: arg-type
ClientCredentials("https://id.example", "shop", "secret")  # refused: call-arg
app.on_error("ValueError")  # refused: arg-type
app.on_error(BaseException)  # refused: type-var
Client(interceptors=[watch])  # refused: list-item


@app.on_error(ValueError)  # refused: arg-type
async def on_key(error: KeyError) -> None: ...


@app.on_error(ValueError)  # refused: arg-type
async def nothing() -> None: ...
