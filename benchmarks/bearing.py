"""Figures: what a hung target does to calls of others, and what limits cost where nothing hangs."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from benchmarks.table import Figure, Section, at_most
from daprflow import DaprFlow, Delivery
from daprflow.client import CallNext, Client, ClientCall, ClientResponse
from daprflow.handlers.handler import Next
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings

CALLERS = 16
HUNG = 500
ANSWER = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"
DONE = HttpResponse(204)


class Line:
    """A transport without a line."""

    address = "nowhere"

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer."""
        del request
        return DONE

    async def close(self) -> None:
        """Nothing is open."""


def measure(rounds: int, calls: int) -> Section:
    """Measure every figure; each one is the best of the rounds."""
    return asyncio.run(_measure(rounds, calls))


async def _measure(rounds: int, calls: int) -> Section:
    alone, beside = await _beside_a_hung_app(rounds, calls)
    bare, limited, watched = [await _call(rounds, calls, kind) for kind in ("off", "on", "watched")]
    free, counted = [await _delivery(rounds, calls, limit) for limit in (None, CALLERS)]
    return Section(
        "Calls that bear trouble",
        (
            Figure("p99 of an app's calls", alone * 1e3, "ms"),
            Figure("  beside an app that hangs", beside * 1e3, "ms", note=f"{HUNG} calls of it"),
            Figure("  ratio", beside / alone, "", at_most(1.5)),
            Figure("a call without limits, no line", bare * 1e6, "µs"),
            Figure("  with limits", limited * 1e6, "µs"),
            Figure("  with an interceptor, too", watched * 1e6, "µs"),
            Figure("a delivery without a limit, no line", free * 1e6, "µs"),
            Figure("  with 'max_concurrency'", counted * 1e6, "µs"),
        ),
    )


async def _beside_a_hung_app(rounds: int, calls: int) -> tuple[float, float]:
    never = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"/slow/" in head.partition(b"\r\n")[0]:
                    await never.wait()
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    alone, beside = [], []
    async with Client(Settings(http_endpoint=f"http://127.0.0.1:{port}")) as client:
        for _ in range(rounds):
            alone.append(await _slowest(client, calls))
            hung = [asyncio.create_task(client.request("slow", "it")) for _ in range(HUNG)]
            await asyncio.sleep(0.3)
            beside.append(await _slowest(client, calls))
            for each in hung:
                each.cancel()
            await asyncio.wait(hung)
        never.set()
    server.close()
    await asyncio.sleep(0.1)
    return statistics.median(alone), statistics.median(beside)


async def _slowest(client: Client, calls: int) -> float:
    """Return the 99th percentile of calls of an app that answers."""
    times: list[float] = []

    async def one() -> None:
        for _ in range(calls // CALLERS):
            began = time.perf_counter()
            await client.request("quick", "it")
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(one() for _ in range(CALLERS)))
    return statistics.quantiles(times, n=100)[98]


async def _call(rounds: int, calls: int, kind: str) -> float:
    async def watch(call: ClientCall, call_next: CallNext) -> ClientResponse:
        return await call_next(call)

    settings = Settings(calls_per_target=0 if kind == "off" else 256)
    watching = [watch] if kind == "watched" else []
    async with Client(settings, transport=Line(), interceptors=watching) as client:
        store = client.state("store")
        return await _best(rounds, calls, lambda: store.get("key", int))


async def _delivery(rounds: int, calls: int, limit: int | None) -> float:
    app = DaprFlow("bearing")

    @app.topic("pubsub", "orders", dead_letter="dead", max_concurrency=limit)
    async def on_order(number: int) -> None: ...

    envelope = b'{"id":"1","source":"s","type":"t","specversion":"1.0","data":1}'
    delivery = Delivery("topic", "pubsub/orders", envelope)
    async with app.lifespan():
        handle: Next = app._frozen().routes[0].handler.call  # noqa: SLF001 - past the server
        return await _best(rounds, calls, lambda: handle(delivery))


async def _best(rounds: int, calls: int, make: Callable[[], Awaitable[object]]) -> float:
    """Return the seconds of one call in the best round."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(calls):
            await make()
        found.append((time.perf_counter() - began) / calls)
    return min(found)
