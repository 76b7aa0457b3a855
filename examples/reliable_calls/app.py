"""An app whose calls are watched and signed, and which goes on while others are away."""

import logging
from datetime import timedelta

from daprflow import Client, DaprFlow, Endpoint, InvocationError, SidecarUnavailable
from daprflow.client import CallNext, ClientCall, ClientResponse, TooManyCalls

logger = logging.getLogger(__name__)

price = Endpoint("pricing", "price", str, int)


async def watching(call: ClientCall, call_next: CallNext) -> ClientResponse:
    """Log each call once, however often it was sent."""
    response = await call_next(call)
    sent = len(call.attempts.made)
    logger.info("%s %s %s: %d (%d)", call.block, call.operation, call.target, response.status, sent)
    return response


async def signing(call: ClientCall, call_next: CallNext) -> ClientResponse:
    """Give calls of one app a header."""
    if call.block == "invoke" and call.target == "pricing":
        call = call.with_headers(("x-tenant", "blue"))
    return await call_next(call)


app = DaprFlow("reliable-calls-example")
app.client = Client(interceptors=[watching, signing])


@app.invoke
async def quote(sku: str, *, client: Client) -> int | None:
    try:
        return await client.with_options(timeout=timedelta(seconds=2)).invoke(price, sku)
    except (InvocationError, SidecarUnavailable, TooManyCalls) as error:
        logger.warning("no price for now: %s", error)
        return None
