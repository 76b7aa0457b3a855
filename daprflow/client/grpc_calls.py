"""How one call over gRPC reaches the sidecar, by the rules of those over HTTP.

That is: interceptors, a place among the calls of its target, the circuit breaker, repetitions.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from daprflow.client import failures
from daprflow.client.carrying import queued
from daprflow.client.channels import Channels
from daprflow.client.circuit import CircuitOpen
from daprflow.client.describing import Purpose
from daprflow.client.interception import Attempts, refusable
from daprflow.client.open_stream import OpenStream
from daprflow.client.opening import CLOSED, Opening
from daprflow.client.places import Place
from daprflow.client.repetition import Repetition
from daprflow.errors import SidecarUnavailable
from daprflow.protocol.http import Headers
from daprflow.transports.base import ConnectionLost
from daprflow.transports.events import CallRefused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GrpcCall(Generic[T]):
    """A call as it is made.

    Attributes:
        purpose: what it is for.
        method: the name of the gRPC method.
        seconds: what it may take; None for no limit.
        send: makes it once, with these headers beside its own, in so many seconds; raises
            `CallRefused` where it fails.
        counted: a path that names the target among whose calls it counts; empty for none.
        opening: seconds that it counts there, at most; None for as long as it takes.
        most: how often it may be sent while connections fail; -1 until its time is up.
        app_id: whose channel carries it; empty for the sidecar's own.
        stream: the stream that it opens; None where one answer is all.
    """

    purpose: Purpose
    method: str
    seconds: float | None
    send: Callable[[Headers, float | None], Awaitable[T]]
    counted: str = ""
    opening: float | None = None
    most: int = 1
    app_id: str = ""
    stream: OpenStream | None = None


async def carry(way: Opening, call: GrpcCall[T]) -> T:
    """Make a call and return its answer.

    Raises:
        CallRefused: the sidecar refused.
        SidecarUnavailable: none answered.
        TooManyCalls: its target has as many calls under way as it may have.
    """
    channels = way.channels  # first: it reads the environment, and knows whether all is closed

    async def innermost(headers: Headers, attempts: Attempts | None) -> T:
        place = way.places.of(call.counted) if call.counted else None
        seconds = call.seconds
        if place is not None:
            if place.is_free:
                place.busy += 1
            else:
                seconds = await _queued(way, place, seconds, attempts)
        with _held(place, call.opening):
            return await _Sending(way, channels, call, headers, attempts).run(seconds)

    return await refusable(
        way.chain, call.purpose, call.method, call.seconds, innermost, stream=call.stream
    )


async def _queued(
    way: Opening, place: Place, seconds: float | None, attempts: Attempts | None
) -> float | None:
    if seconds is not None:
        return await queued(way, place, seconds, attempts)
    await queued(way, place, way.settings.calls_wait, attempts)
    return None


@contextmanager
def _held(place: Place | None, seconds: float | None) -> Iterator[None]:
    """Give a place back at the end, or after so many seconds."""
    if place is None:
        yield
        return
    held = [place]

    def leave() -> None:
        if held:
            held.pop().leave()

    timer = None
    if seconds is not None:
        timer = asyncio.get_running_loop().call_later(seconds, leave)
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        leave()


@dataclass(frozen=True, slots=True)
class _Sending(Generic[T]):
    """One call below its interceptors, in its place."""

    way: Opening
    channels: Channels
    call: GrpcCall[T]
    headers: Headers
    attempts: Attempts | None

    async def run(self, seconds: float | None) -> T:
        """Send it, again where it may be."""
        call, way = self.call, self.way
        now = asyncio.get_running_loop().time
        end = None if seconds is None else now() + seconds
        way.budget.calls += 1
        error: SidecarUnavailable
        try:
            if way.grpc_circuit.is_open:
                await way.grpc_circuit.admit(self.probe, patient=False)
                self.still()
            return await self.once(seconds)
        except ConnectionLost as lost:
            way.grpc_circuit.failed(lost)
            if call.most in {0, 1}:
                raise
            error = lost
        except CircuitOpen as refused:
            if call.most >= 0:
                raise
            error = refused

        async def send() -> T:
            return await self.once(None if end is None else max(0.0, end - now()))

        what = f"{call.purpose.block}/{call.method.rpartition('/')[2]}"
        again = Repetition(
            what, call.most, way.budget, way.grpc_circuit, self.probe, self.still, send
        )
        limit = asyncio.timeout_at(end)
        try:
            async with limit:
                return await again.run(error)
        except TimeoutError:
            if not limit.expired():
                raise
            raise SidecarUnavailable(
                f"the sidecar's gRPC API at {self.channels.address} did not answer {what} within "
                f"{seconds:g} s; the last failure: {error}"
            ) from None

    async def once(self, seconds: float | None) -> T:
        """Send it once, and note whether anybody answered."""
        began = time.perf_counter()
        circuit = self.way.grpc_circuit
        try:
            answer = await self.call.send(self.headers, seconds)
        except CallRefused as refused:
            lost = refused.unavailable and not self.channels.connected(self.call.app_id)
            error = failures.of_call(refused) if refused.unavailable else None
            if lost:
                error = ConnectionLost(str(error), status=refused.status)
            if self.attempts is not None:
                self.attempts.add(time.perf_counter() - began, error)
            if lost and error is not None:
                raise error from None
            if circuit.failures and self.channels.connected(self.call.app_id):
                circuit.answered()
            raise
        if self.attempts is not None:
            self.attempts.add(time.perf_counter() - began)
        if circuit.failures:
            circuit.answered()
        return answer

    async def probe(self) -> None:
        """Ask whether the sidecar's gRPC API is there."""
        await self.channels.probe(self.call.app_id)

    def still(self) -> None:
        """Refuse to go on with a client that was closed meanwhile."""
        if self.way.channels is not self.channels:
            raise RuntimeError(CLOSED)
