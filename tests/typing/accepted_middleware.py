"""Middleware, interceptors and error handlers that mypy accepts in strict mode."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, assert_type

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware

from daprflow import Client, DaprFlow, Delivery, Endpoint, Next, Outcome, Router, Status
from daprflow.middleware import (
    ApiToken,
    ClientCredentials,
    Correlation,
    CorrelationHeader,
    ErrorHandling,
    OidcBearer,
    RateLimit,
    RequestLimits,
    RequireScopes,
    SharedCounts,
    SlidingWindow,
    StoredSecret,
    TokenBucket,
    Transform,
    by_caller,
    by_header,
    by_route,
)


async def watch(delivery: Delivery, call: Next) -> Outcome:
    return await call(delivery)


def shown(headers: MutableHeaders) -> None:
    headers["x-shop"] = "1"


def upper(body: bytes, headers: MutableHeaders) -> bytes:
    return body.upper()


bucket, window = TokenBucket(10, timedelta(minutes=1), burst=2), SlidingWindow(10, 1.5)
app = DaprFlow(
    "shop",
    interceptors=[watch],
    middleware=[
        Middleware(Correlation, header="x-request-id"),
        Middleware(ErrorHandling, debug=True),
        Middleware(Transform, request_headers=shown, response_body=upper),
        Middleware(RequestLimits, timeout=timedelta(seconds=1.5), max_body=None),
        Middleware(RateLimit, rule=bucket, by=by_route),
    ],
)
counts = SharedCounts("statestore", lambda: app.client, away="refuse")
router = Router(
    interceptors=[watch],
    middleware=[
        Middleware(RateLimit, rule=window, by=[by_caller, by_header("x-tenant")], counts=counts),
        Middleware(OidcBearer, issuer="https://id.example", audience=["shop"], scopes=["a"]),
        Middleware(ApiToken, tokens=["new", "former"]),
    ],
)


@router.invoke(interceptors=[watch], middleware=[Middleware(RequireScopes, "a", "b")])
async def quote(total: int) -> str:
    return str(total)


@router.invoke("GET", "/orders/{id}", middleware=[Middleware(RequestLimits)])
async def order(*, id: int) -> str:  # noqa: A002 - the path's name
    return str(id)


@router.topic("pubsub", "orders", interceptors=[watch])
async def on_order(data: bytes) -> None: ...


@router.job("report", interceptors=[watch])
async def report() -> None: ...


@router.activity(interceptors=[watch])
async def charge(total: int) -> str:
    return str(total)


@app.on_error(ValueError, status=422)
async def on_value(error: ValueError, *, client: Client) -> str:
    return str(error)


@router.on_error(KeyError)
def on_key(error: LookupError) -> Status | None:
    return None


tokens = ClientCredentials(
    "https://id.example/token", "shop", StoredSecret("v", "k", lambda: app.client), targets=["a"]
)
client = Client(interceptors=[tokens, CorrelationHeader()])
app.client.add_interceptors(tokens)
anywhere = Starlette(middleware=[Middleware(RequestLimits)])

assert_type(quote, Endpoint[int, str])
kept: Callable[..., Coroutine[Any, Any, str]] = on_value
