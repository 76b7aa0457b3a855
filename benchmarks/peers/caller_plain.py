"""Peers: the HTTP clients aiohttp and httpx, with the sidecar's paths written by hand."""

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import httpx
import uvloop

from benchmarks.peers.rates import Call, take_orders

BASE = f"http://127.0.0.1:{os.environ.get('DAPR_HTTP_PORT', '3500')}/v1.0"
ORDER = {"id": "o-1", "total": 120}
KEYED = [{"key": "key", "value": ORDER}]
JSON = {"content-type": "application/json"}
Request = Callable[[str, str, bytes | None], Awaitable[bytes]]


@asynccontextmanager
async def _aiohttp() -> AsyncIterator[Request]:
    async with aiohttp.ClientSession() as session:

        async def request(method: str, path: str, body: bytes | None) -> bytes:
            async with session.request(method, BASE + path, data=body, headers=JSON) as answer:
                answer.raise_for_status()
                return await answer.read()

        yield request


@asynccontextmanager
async def _httpx() -> AsyncIterator[Request]:
    limits = httpx.Limits(max_keepalive_connections=100)  # by default 20, which loses connections
    async with httpx.AsyncClient(limits=limits) as client:

        async def request(method: str, path: str, body: bytes | None) -> bytes:
            answer = await client.request(method, BASE + path, content=body, headers=JSON)
            answer.raise_for_status()
            return bytes(answer.content)

        yield request


def _works(request: Request) -> dict[str, Call]:
    async def get() -> object:
        return json.loads(await request("GET", "/state/bench/key", None))

    return {
        "get": get,
        "set": lambda: request("POST", "/state/bench", json.dumps(KEYED).encode()),
        "publish": lambda: request("POST", "/publish/events/orders", json.dumps(ORDER).encode()),
        "invoke": lambda: request("POST", "/invoke/bench/method/quote", json.dumps(ORDER).encode()),
    }


async def main(kind: str) -> None:
    """Call with one of the two."""
    async with {"aiohttp": _aiohttp, "httpx": _httpx}[kind]() as request:
        works = _works(request)
        await works["set"]()
        await take_orders(works)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
