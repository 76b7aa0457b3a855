"""Publishing: drive a broker and watch its events arrive at the sink."""

import asyncio
import time

from benchmarks.client import FROM_CLIENT, Connection, connect, request_bytes
from benchmarks.messages import PublishAlone, PublishedAlone, PublishedMany, PublishMany

PATIENCE = 20.0
"""Seconds after which events that did not arrive are given up."""


class Ledger:
    """What reached the app since the last ``reset``, by the number of the event."""

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, count: int) -> None:
        """Expect events 0 to ``count`` - 1."""
        self.times = [0.0] * count
        self.deliveries = 0
        self.handled = 0
        self.complete = asyncio.Event()
        self.arrived: asyncio.Future[None] | None = None

    def note(self, number: int) -> None:
        """Note the delivery of event ``number``."""
        self.deliveries += 1
        if number < len(self.times) and not self.times[number]:
            self.times[number] = time.perf_counter()
            self.handled += 1
            if self.handled == len(self.times):
                self.complete.set()
        if self.arrived is not None and not self.arrived.done():
            self.arrived.set_result(None)


def _requests(path: str, count: int) -> list[bytes]:
    return [request_bytes(path, b'{"id": %d}' % number, FROM_CLIENT) for number in range(count)]


async def publish_many(order: PublishMany, ledger: Ledger) -> PublishedMany:
    """Publish from many connections at once and wait until all events arrived."""
    ledger.reset(order.count)
    requests = iter(_requests(order.path, order.count))
    failures = answers = 0
    accepted = asyncio.Event()

    def answered(connection: Connection, good: bool) -> None:  # noqa: FBT001 - one fact
        nonlocal failures, answers
        answers += 1
        failures += not good
        if (request := next(requests, None)) is not None:
            connection.send(request)
        elif answers == order.count:
            accepted.set()

    connections = await connect(order.port, order.publishers, answered)
    began = time.perf_counter()
    for connection in connections:
        connection.send(next(requests))
    accepted_at = began
    try:
        async with asyncio.timeout(PATIENCE):
            await accepted.wait()
            accepted_at = time.perf_counter()
            await ledger.complete.wait()
    except TimeoutError:
        failures += order.count - ledger.handled
    for connection in connections:
        connection.close()
    return PublishedMany(
        handled=ledger.handled,
        deliveries=ledger.deliveries,
        failures=failures,
        accepted_seconds=accepted_at - began,
        handled_seconds=max(ledger.times) - began,
    )


async def publish_alone(order: PublishAlone, ledger: Ledger) -> PublishedAlone:
    """Publish one event at a time and note when it was at the app."""
    ledger.reset(order.count)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()

    def answered(_: Connection, good: bool) -> None:  # noqa: FBT001 - one fact
        if not done.done():
            done.set_result(good)

    (connection,) = await connect(order.port, 1, answered)
    latencies: list[float] = []
    failures = 0
    for number, request in enumerate(_requests(order.path, order.count)):
        done, ledger.arrived = loop.create_future(), loop.create_future()
        began = time.perf_counter()
        connection.send(request)
        async with asyncio.timeout(PATIENCE):
            good = await done
            await ledger.arrived
        failures += not good
        latencies.append(ledger.times[number] - began)
    connection.close()
    return PublishedAlone(latencies=tuple(sorted(latencies)), failures=failures)
