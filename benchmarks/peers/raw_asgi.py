"""Peer: an ASGI function with a prepared msgspec decoder and nothing else."""

from typing import Any

import msgspec


class Order(msgspec.Struct):
    """The payload."""

    id: int


class Event(msgspec.Struct):
    """The least of an envelope."""

    id: str
    source: str
    type: str
    specversion: str
    data: Order


DECODER = msgspec.json.Decoder(Event)
BODY = b'{"status":"SUCCESS"}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"20")],
}
END = {"type": "http.response.body", "body": BODY}


async def on_order(order: Order) -> None:
    """Handle an order."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Decode, call the handler, answer."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    await on_order(DECODER.decode(body).data)
    await send(START)
    await send(END)
