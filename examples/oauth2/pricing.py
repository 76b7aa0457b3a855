"""Tells prices to services that may read them."""

import os

from starlette.middleware import Middleware
from starlette.requests import Request

from daprflow import DaprFlow, Router
from daprflow.middleware import OidcBearer

PRICES = {"tea": 3, "cup": 12}


def create(issuer: str) -> DaprFlow:
    bearer = Middleware(OidcBearer, issuer=issuer, audience="pricing", scopes=["prices:read"])
    methods = Router(middleware=[bearer])

    @methods.invoke
    async def price(sku: str, *, request: Request) -> int:
        print(f"the price of '{sku}' for {request.state.claims['sub']}", flush=True)
        return PRICES[sku]

    made = DaprFlow("pricing")
    made.include(methods)
    return made


app = create(os.environ.get("ISSUER", "http://localhost:8099"))
