"""How one call reaches the sidecar: its place, its deadline, the circuit breaker, repetitions."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from daprflow.client.circuit import CircuitOpen
from daprflow.client.interception import Attempts, Send, noted
from daprflow.client.opening import CLOSED, Opening
from daprflow.client.places import Place
from daprflow.client.repetition import Repetition
from daprflow.errors import SidecarUnavailable
from daprflow.handlers import trace
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.transports.base import ConnectionLost, Transport

if TYPE_CHECKING:
    from daprflow.client.caller import Caller

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
_SHORTEST = 0.001


async def carry(
    caller: "Caller",
    request: HttpRequest,
    timeout: float | None,  # noqa: ASYNC109 - the error says more than TimeoutError
    attempts: Attempts | None = None,
) -> HttpResponse:
    """Carry a request and return whatever was answered.

    Args:
        caller: whose call it is.
        request: what is sent.
        timeout: seconds it may take, its wait for a place included; None for the caller's own.
        attempts: where each time that it is sent is noted.

    Raises:
        SidecarUnavailable: no sidecar answered, or not in time.
        TooManyCalls: its target has as many calls under way as it may have.
    """
    way = caller.way
    transport = way.transport or await way.ready()
    seconds = caller.seconds(timeout)
    place = way.places.of(request.target)
    if place is not None:
        if place.busy < place.most and not place.queue:
            place.busy += 1
        else:
            seconds = await queued(way, place, seconds, attempts)
    try:
        if trace.DELIVERED.get() is not None:
            request = _traced(request)
        deadline = way.deadlines.begin(seconds)
        try:
            return await _sent(caller, transport, request, attempts)
        except asyncio.CancelledError:
            if not deadline.was_it():
                raise
            raise too_late(transport, request.method, request.target, seconds) from None
        finally:
            way.deadlines.end(deadline)
    finally:
        if place is not None:
            place.leave()


async def queued(way: Opening, place: Place, seconds: float, attempts: Attempts | None) -> float:
    """Wait for a place, which is taken then; return what is left of ``seconds``.

    Raises:
        TooManyCalls: none came in time.
    """
    waited = await place.wait(min(seconds, way.settings.calls_wait))
    if attempts is not None:
        attempts.queued = waited
    return max(_SHORTEST, seconds - waited)


async def _sent(
    caller: "Caller", transport: Transport, request: HttpRequest, attempts: Attempts | None
) -> HttpResponse:
    """Send a request, again where it may be."""
    way = caller.way
    circuit = way.circuit
    way.budget.calls += 1
    send = transport.send if attempts is None else noted(transport.send, attempts)
    try:
        if circuit.is_open:
            await circuit.admit(way.probe, patient=False)
            _still(way, transport)
        response = await send(request)
    except ConnectionLost as error:
        circuit.failed(error)
        if not _repeatable(request):
            raise
        response = await _again(caller, transport, send, request, error)
    except CircuitOpen as error:
        if caller.max_attempts >= 0 or not _repeatable(request):
            raise
        response = await _again(caller, transport, send, request, error)
    if circuit.failures:
        circuit.answered()
    return response


async def _again(
    caller: "Caller",
    transport: Transport,
    send: Send,
    request: HttpRequest,
    error: SidecarUnavailable,
) -> HttpResponse:
    """Repeat a call that may be repeated."""
    way = caller.way
    again = Repetition(
        _named(request.method, request.target),
        caller.max_attempts,
        way.budget,
        way.circuit,
        way.probe,
        partial(_still, way, transport),
        partial(send, request),
    )
    return await again.run(error)


def too_late(transport: Transport, method: str, target: str, seconds: float) -> SidecarUnavailable:
    """Return the error of a call that took longer than it may."""
    return SidecarUnavailable(
        f"the sidecar at {transport.address} did not answer {_named(method, target)} within "
        f"{seconds:g} s; allow it more with 'timeout', 'client.with_options(timeout=...)' or "
        "DAPR_API_TIMEOUT_SECONDS and DAPR_HTTP_TIMEOUT_SECONDS"
    )


def _still(way: Opening, transport: Transport) -> None:
    """Refuse to go on with a client that was closed.

    Raises:
        RuntimeError: it was; sending would open connections that nobody closes.
    """
    if way.transport is not transport:
        raise RuntimeError(CLOSED)


def _traced(request: HttpRequest) -> HttpRequest:
    more = trace.missing(request.headers)
    if not more:
        return request
    return HttpRequest(request.method, request.target, (*request.headers, *more), request.body)


def _named(method: str, target: str) -> str:
    """Return verb and building block; what follows are names and keys of the user."""
    return f"{method} {'/'.join(target.partition('?')[0].split('/')[:3])}/..."


def _repeatable(request: HttpRequest) -> bool:
    """Tell whether doing ``request`` twice is the same as doing it once.

    A delete with an ETag is not: the second one would report a conflict with the first.
    """
    if request.method == "DELETE":
        return not any(name == "if-match" for name, _ in request.headers)
    return request.method in REPEATABLE
