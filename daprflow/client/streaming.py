"""Requests and answers that pass in pieces, each of which has a deadline."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from daprflow.addresses import type_name
from daprflow.client.caller import Caller
from daprflow.client.carrying import queued, too_late
from daprflow.client.interception import Attempts, ClientCall, ClientResponse, over_http
from daprflow.client.opening import CLIENT_IN_WORKFLOW
from daprflow.client.places import Place
from daprflow.errors import SidecarError, SidecarUnavailable
from daprflow.handlers import trace
from daprflow.protocol.http import HttpRequest, StreamedRequest, StreamedResponse
from daprflow.transports.base import ConnectionLost, StreamingTransport
from daprflow.workflows.trap import refuse_in_workflow

SHOWN = 64 * 1024
"""Bytes of a streamed error answer that its exception keeps."""


async def carry(
    caller: Caller,
    request: StreamedRequest,
    timeout: float | None = None,  # noqa: ASYNC109 - the error says more than TimeoutError
) -> StreamedResponse:
    """Carry a request in pieces and return its answer, of which the head has come.

    ``timeout`` is for each piece, not for all: it begins anew whenever one is sent or received.
    None means the options' or, where they have none, that of the settings for invocations.

    Raises:
        SidecarUnavailable: no sidecar answered, or not in time.
        TypeError: the client's transport cannot stream.
    """
    refuse_in_workflow(*CLIENT_IN_WORKFLOW)
    chain = caller.way.chain
    if chain is None:
        return await _carry(caller, request, timeout)

    async def carry(call: ClientCall) -> ClientResponse:
        answer = await _carry(
            caller, replace(request, headers=call.headers), timeout, call.attempts
        )
        return ClientResponse(answer.status, answer.headers, native=answer)

    head = HttpRequest(request.method, request.target, request.headers)
    size = -1 if request.length is None else request.length
    response = await chain(over_http(head, size, caller.seconds(timeout), carry))
    answer: StreamedResponse = response.native
    return answer


async def _carry(
    caller: Caller,
    request: StreamedRequest,
    timeout: float | None,  # noqa: ASYNC109 - as above
    attempts: Attempts | None = None,
) -> StreamedResponse:
    way = caller.way
    transport = way.transport or await way.ready()
    if not isinstance(transport, StreamingTransport):
        raise TypeError(
            f"transport '{type_name(type(transport))}' cannot stream: it has no 'stream' "
            "method (see daprflow.transports.base.StreamingTransport)"
        )
    seconds = caller.seconds(timeout)
    place = way.places.of(request.target)
    if place is not None:
        if place.is_free:
            place.busy += 1
        else:
            await queued(way, place, seconds, attempts)
    late = too_late(transport, request.method, request.target, seconds)
    try:
        if way.circuit.is_open:
            await way.circuit.admit(way.probe, patient=False)
        response = await _begun(transport, request, seconds, late)
    except BaseException as error:
        if isinstance(error, ConnectionLost):
            way.circuit.failed(error)
        if place is not None:
            place.leave()
        raise
    way.circuit.answered()
    chunks = _limited(response.chunks, seconds, late)
    return replace(response, chunks=chunks, close=_leaving(response, place))


async def _begun(
    transport: StreamingTransport,
    request: StreamedRequest,
    seconds: float,
    late: SidecarUnavailable,
) -> StreamedResponse:
    """Send a request in pieces until the head of its answer has come."""
    limit = asyncio.timeout(seconds)
    head = _Head(limit)
    headers = (*request.headers, *trace.missing(request.headers))
    try:
        async with limit:
            chunks = _prolonging(request.chunks, head, seconds)
            return await transport.stream(replace(request, headers=headers, chunks=chunks))
    except TimeoutError:
        if not limit.expired():
            raise
        raise late from None
    finally:
        head.limit = None


def _leaving(response: StreamedResponse, place: Place | None) -> Callable[[], Awaitable[None]]:
    """Return what closes a response and leaves its place, once."""
    left = [place] if place is not None else []

    async def close() -> None:
        if left:
            left.pop().leave()
        await response.close()

    return close


@dataclass(slots=True)
class _Head:
    """The wait for the head of an answer; ``limit`` is None when it is over."""

    limit: asyncio.Timeout | None


async def _prolonging(
    chunks: AsyncIterator[bytes], head: _Head, seconds: float
) -> AsyncIterator[bytes]:
    """Pass ``chunks`` on; each one shows that the peer still reads."""
    loop = asyncio.get_running_loop()
    async for chunk in chunks:
        if head.limit is not None and not head.limit.expired():
            head.limit.reschedule(loop.time() + seconds)
        yield chunk


async def _limited(
    chunks: AsyncIterator[bytes], seconds: float, late: SidecarUnavailable
) -> AsyncIterator[bytes]:
    """Pass ``chunks`` on; none may be longer in coming than ``seconds``."""
    while True:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                chunk = await anext(chunks, None)
        except TimeoutError:
            if not limit.expired():
                raise
            raise late from None
        if chunk is None:
            return
        yield chunk


async def beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """Return what an error exception keeps of its body; a broken one leaves what came."""
    found = b""
    try:
        async for chunk in chunks:
            found += chunk
            if len(found) >= SHOWN:
                break
    except SidecarError:
        pass
    return found[:SHOWN]
