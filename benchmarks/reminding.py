"""Reminding: the app with actors that answers at once, and reminders that come to it."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks.client import Connection, connect, request_bytes
from benchmarks.messages import Remind, Reminded
from benchmarks.sink import Sink, answer_bytes

KIND = "Bench"
PATIENCE = 20.0
"""Seconds after the last due time after which reminders that did not tick are given up."""
HOSTED = answer_bytes("200 OK", b'{"entities":["Bench"],"actorIdleTimeout":"1h"}')
CALLED = answer_bytes("200 OK", b"1")
CALL, END = f"PUT /actors/{KIND}/".encode(), f"DELETE /actors/{KIND}/".encode()
TICK = b"/method/remind/"


class ActorSink(Sink):
    """One connection from a sidecar; ``handled`` gets the number of each actor that is reminded."""

    def __init__(self, handled: Callable[[int], None]) -> None:
        super().__init__(handled)
        self._reminded = handled

    def answer(self, request: bytes) -> bytes:
        """Return what is answered to a whole request."""
        if request.startswith(CALL):
            path = request[len(CALL) : request.index(b"\r")]
            if TICK in path:
                self._reminded(int(path[: path.index(b"/")]))
            return CALLED
        if request.startswith(END):
            return CALLED
        return HOSTED if request.startswith(b"GET /dapr/config ") else super().answer(request)


class Ticks:
    """When the actors of this process were reminded, by their numbers, as seconds of the epoch."""

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, count: int) -> None:
        """Expect actors 0 to ``count`` - 1 to be reminded."""
        self.times = [0.0] * count
        self.ticks = 0
        self._missing = count
        self.complete = asyncio.Event()

    def note(self, number: int) -> None:
        """Note that an actor was reminded."""
        self.ticks += 1
        if number < len(self.times) and not self.times[number]:
            self.times[number] = time.time()
            self._missing -= 1
            if not self._missing:
                self.complete.set()


async def remind(order: Remind, ticks: Ticks) -> Reminded:
    """Register reminders from many connections at once and wait until each ticked."""
    ticks.reset(order.count)
    began = time.time()
    dues = [
        _whole(began + order.lead + order.spread * number / order.count)
        for number in range(order.count)
    ]
    requests = iter([_request(number, due) for number, due in enumerate(dues)])
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

    connections = await connect(order.port, order.callers, answered)
    for connection in connections:
        connection.send(next(requests))
    async with asyncio.timeout(order.lead + PATIENCE):
        await accepted.wait()
    registered = time.time() - began
    for connection in connections:
        connection.close()
    try:
        async with asyncio.timeout_at(_loop_time(dues[-1] + PATIENCE)):
            await ticks.complete.wait()
    except TimeoutError:
        pass  # the report tells of fewer than were ordered
    lateness = sorted(at - due for at, due in zip(ticks.times, dues, strict=True) if at)
    return Reminded(registered, failures, tuple(lateness), ticks.ticks)


def _whole(moment: float) -> float:
    """Return a moment in whole milliseconds, as it is written down."""
    return round(moment, 3)


def _request(number: int, due: float) -> bytes:
    moment = datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds")
    path = f"/v1.0/actors/{KIND}/{number}/reminders/r"
    body = b'{"dueTime":"%b"}' % moment.replace("+00:00", "Z").encode()
    return request_bytes(path, body, "content-type: application/json\r\n")


def _loop_time(moment: float) -> float:
    return asyncio.get_running_loop().time() + moment - time.time()
