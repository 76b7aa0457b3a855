"""Peer: a Starlette route that parses the event with the standard library."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def on_order(request: Request) -> JSONResponse:
    """Read the payload of the event and answer."""
    event = await request.json()
    int(event["data"]["id"])
    return JSONResponse({"status": "SUCCESS"})


app = Starlette(routes=[Route("/on-order", on_order, methods=["POST"])])
