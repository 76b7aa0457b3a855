"""A peer: one client library, calling a sidecar as often as it can; orders come line by line."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx2
import msgspec
import uvloop

from benchmarks.peers.rates import Call, rate
from daprflow.client import Client
from daprflow.settings import Settings
from examples.client.transport import HttpxTransport

KEY = "key"
STORE = "bench"
METHOD = "quote"
BODY = b'{"id":"o-1","total":120}'
JSON = "application/json"


class Order(msgspec.Struct):
    """What is stored, as an app declares it."""

    id: str
    total: int


def _of_client(client: Client, work: str) -> Call:
    if work == "state":
        store = client.state(STORE)
        return lambda: store.get(KEY, Order)
    return lambda: client.request("bench", METHOD, BODY, content_type=JSON)


@asynccontextmanager
async def _daprflow(work: str) -> AsyncIterator[Call]:
    async with Client() as client:
        yield _of_client(client, work)


@asynccontextmanager
async def _httpx(work: str) -> AsyncIterator[Call]:
    base = Settings.from_env(os.environ).http_endpoint
    limits = httpx2.Limits(max_connections=256)
    async with (
        httpx2.AsyncClient(base_url=base, limits=limits) as http,
        Client(transport=HttpxTransport(http)) as client,
    ):
        yield _of_client(client, work)


@asynccontextmanager
async def _aiohttp(work: str) -> AsyncIterator[Call]:
    base = Settings.from_env(os.environ).http_endpoint
    async with aiohttp.ClientSession() as session:

        async def read() -> bytes:
            async with session.get(f"{base}/v1.0/state/{STORE}/{KEY}") as answer:
                return await answer.read()

        async def post() -> bytes:
            url = f"{base}/v1.0/invoke/bench/method/{METHOD}"
            async with session.post(url, data=BODY, headers={"content-type": JSON}) as answer:
                return await answer.read()

        yield read if work == "state" else post


@asynccontextmanager
async def _official(work: str) -> AsyncIterator[Call]:
    from dapr.aio.clients import DaprClient  # noqa: PLC0415 - half a second for one peer alone

    async with DaprClient() as client:
        if work == "state":
            yield lambda: client.get_state(STORE, KEY)
        else:
            yield lambda: client.invoke_method(
                "bench", METHOD, data=BODY, content_type=JSON, http_verb="POST"
            )


KINDS = {"daprflow": _daprflow, "httpx": _httpx, "aiohttp": _aiohttp, "official": _official}


async def main(kind: str, work: str) -> None:
    """Say that it is ready, then a rate for each line ``callers seconds``."""
    async with KINDS[kind](work) as call:
        await rate(call, 4, 0.1)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            callers, seconds = line.split()
            print(await rate(call, int(callers), float(seconds)), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
