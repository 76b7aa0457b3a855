"""Interceptors of the client: functions around each of its calls, composed once."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from daprflow.addresses import type_name
from daprflow.client import failures
from daprflow.client.describing import Purpose, purpose
from daprflow.client.open_stream import OpenStream
from daprflow.errors import SidecarError
from daprflow.handlers.registration import name_of
from daprflow.protocol.http import Headers, HttpRequest, HttpResponse
from daprflow.transports.events import CallRefused

T = TypeVar("T")
_OK = 200


class Attempt(msgspec.Struct, frozen=True):
    """One time that a call was sent.

    Attributes:
        number: the first is 1.
        seconds: how long it took.
        error: why no answer came; None where one came, whatever its status.

    Example:
        ```python
        def slow(attempt: Attempt) -> None:
            if attempt.seconds > 1:
                print("attempt", attempt.number, "took", attempt.seconds)
        ```
    """

    number: int
    seconds: float
    error: SidecarError | None = None


class Attempts:
    """What became of a call below its interceptors; it fills while they wait.

    Attributes:
        made: how often it was sent, in order.
        queued: seconds it waited for a place among the calls of its target.

    Example:
        ```python
        async def counted(call: ClientCall, go_on: CallNext) -> ClientResponse:
            call.attempts.listen(lambda attempt: print(attempt.number, attempt.error))
            return await go_on(call)
        ```
    """

    __slots__ = ("_listeners", "made", "queued")

    def __init__(self) -> None:
        self.made: list[Attempt] = []
        self.queued: float = 0.0
        self._listeners: tuple[Callable[[Attempt], None], ...] = ()

    def listen(self, listener: Callable[[Attempt], None], /) -> None:
        """Have ``listener`` called at the end of every attempt from now on.

        Example:
            ```python
            async def counted(call: ClientCall, go_on: CallNext) -> ClientResponse:
                call.attempts.listen(print)
                return await go_on(call)
            ```
        """
        self._listeners = (*self._listeners, listener)

    def add(self, seconds: float, error: SidecarError | None = None) -> None:
        """Note an attempt that ended."""
        attempt = Attempt(len(self.made) + 1, seconds, error)
        self.made.append(attempt)
        for listener in self._listeners:
            listener(attempt)


class ClientResponse(HttpResponse, frozen=True):
    """What a sidecar answered, also when that is an error; headers' names are in lower case.

    Attributes:
        status: HTTP's, also of a call over gRPC.
        body: empty for a call over gRPC and for one whose answer comes in pieces.
        code: Dapr's code of an error over gRPC; over HTTP the body has it.
        native: what the client goes on with, for a call over gRPC or in pieces; hand it on.
        stream: of a call over gRPC that opened a stream: tells how that ends; else None.

    Example:
        ```python
        async def logged(call: ClientCall, go_on: CallNext) -> ClientResponse:
            response = await go_on(call)
            if response.code:
                print(response.status, response.code)
            return response
        ```
    """

    code: str = ""
    native: Any = None
    stream: OpenStream | None = None


Send: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponse]]
Carrier: TypeAlias = Callable[["ClientCall"], Awaitable[ClientResponse]]


class ClientCall(msgspec.Struct, frozen=True):
    """One call of the client, however often it is sent.

    Attributes:
        block: the building block: ``state``, ``pubsub``, ``invoke``, ``actors``, ``bindings``,
            ``secrets``, ``configuration``, ``lock``, ``crypto``, ``conversation``, ``jobs``,
            ``workflows``, or ``sidecar`` for its metadata.
        operation: what it does there, of few values: ``get``, ``save``, ``publish``, ``call``, ….
        target: the component, the app's id or the actor's type; empty where there is none.
        name: of what is used in it: a topic, a method, a job; empty where there is none.
        instance: the id of an actor or a workflow; else empty. Too many for a metric.
        protocol: ``http`` or ``grpc``.
        method: the verb, or the name of the gRPC method.
        headers: what is sent beside the body, names in lower case; see ``with_headers``.
        size: bytes of the body; -1 where that is not known.
        timeout: seconds all of it may take; None for no limit.
        attempts: how often it was sent, while and after ``call_next`` is awaited.
        carrier: the request itself, which `with_headers` rewrites.

    Example:
        ```python
        async def logged(call: ClientCall, go_on: CallNext) -> ClientResponse:
            response = await go_on(call)
            print(call.block, call.operation, call.target, response.status)
            return response
        ```
    """

    block: str
    operation: str
    target: str
    name: str
    instance: str
    protocol: str
    method: str
    headers: Headers
    size: int
    timeout: float | None
    attempts: Attempts
    carrier: Carrier

    def with_headers(self, *headers: tuple[str, str]) -> "ClientCall":
        """Return the call with these headers, in the place of those that have their names.

        Raises:
            ValueError: one holds what cannot stand in a header; the value is not shown.

        Example:
            ```python
            async def tenant(call: ClientCall, go_on: CallNext) -> ClientResponse:
                return await go_on(call.with_headers(("x-tenant", "blue")))
            ```
        """
        added = tuple((name.lower(), value) for name, value in headers)
        for name, value in added:
            if not (name.isascii() and name.isprintable() and name) or set(value) & _BREAKS:
                raise ValueError(f"header {name!r} or its value cannot be sent")
        names = {name for name, _ in added}
        kept = tuple(pair for pair in self.headers if pair[0] not in names)
        return msgspec.structs.replace(self, headers=(*kept, *added))

    def __repr__(self) -> str:
        """Tell what it does; headers may hold tokens."""
        return (
            f"ClientCall(block={self.block!r}, operation={self.operation!r}, "
            f"target={self.target!r}, name={self.name!r}, method={self.method!r})"
        )


_BREAKS = frozenset("\r\n\0")

CallNext: TypeAlias = Callable[[ClientCall], Awaitable[ClientResponse]]
ClientInterceptor: TypeAlias = Callable[[ClientCall, CallNext], Awaitable[ClientResponse]]
"""``async def interceptor(call, call_next)``: awaits ``call_next(call)`` and returns its answer.

An error status is an answer; raised is only what has none: `SidecarUnavailable`, a cancellation.
"""


def composed(interceptors: Sequence[ClientInterceptor]) -> CallNext | None:
    """Nest interceptors, the first one outermost; None where there are none.

    Raises:
        TypeError: one of them cannot be called.
    """
    if not interceptors:
        return None
    run: CallNext = _carry
    for interceptor in reversed(interceptors):
        if not callable(interceptor):
            raise TypeError(
                f"a client's interceptor is 'async def name(call, call_next)', not a value of type "
                f"'{type_name(type(interceptor))}'"
            )
        run = _around(interceptor, run)
    return run


def over_http(request: HttpRequest, size: int, timeout: float, carrier: Carrier) -> ClientCall:
    """Return the call that a request makes; ``size`` is its body's, -1 where that is not known."""
    found = purpose(request.method, request.target)
    return ClientCall(
        found.block,
        found.operation,
        found.target,
        found.name,
        found.instance,
        "http",
        request.method,
        request.headers,
        size,
        timeout,
        Attempts(),
        carrier,
    )


def over_grpc(found: Purpose, method: str, timeout: float | None, carrier: Carrier) -> ClientCall:
    """Return the call that a gRPC method makes."""
    return ClientCall(
        found.block,
        found.operation,
        found.target,
        found.name,
        found.instance,
        "grpc",
        method,
        (),
        -1,
        timeout,
        Attempts(),
        carrier,
    )


async def refusable(
    chain: CallNext | None,
    found: Purpose,
    method: str,
    timeout: float | None,  # noqa: ASYNC109 - it is told, not kept
    send: Callable[[Headers, Attempts | None], Awaitable[T]],
    *,
    stream: OpenStream | None = None,
) -> T:
    """Make a call over gRPC, whose refusal is an answer to interceptors.

    Args:
        chain: the client's interceptors.
        found: what the call is for.
        method: its name.
        timeout: seconds it may take.
        send: makes it, with these headers beside what it sends by itself, and notes each attempt.
        stream: what it opens; None where one answer is all.

    Raises:
        CallRefused: the sidecar refused, or did not answer.
    """
    if chain is None:
        return await send((), None)
    raised: list[CallRefused] = []

    async def carry(call: ClientCall) -> ClientResponse:
        raised.clear()
        try:
            native = await send(call.headers, call.attempts)
        except CallRefused as refused:
            raised.append(refused)
            if refused.unavailable:
                raise failures.of_call(refused) from None
            return ClientResponse(refused.status, code=refused.fault.code)
        return ClientResponse(_OK, native=native, stream=stream)

    response = await chain(over_grpc(found, method, timeout, carry))
    if raised:
        raise raised[-1]
    native: T = response.native
    return native


def noted(send: Send, attempts: Attempts) -> Send:
    """Return ``send`` with each time it is used written down."""

    async def run(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        try:
            response = await send(request)
        except SidecarError as error:
            attempts.add(time.perf_counter() - began, error)
            raise
        attempts.add(time.perf_counter() - began)
        return response

    return run


def _carry(call: ClientCall) -> Awaitable[ClientResponse]:
    return call.carrier(call)


def _around(interceptor: ClientInterceptor, inner: CallNext) -> CallNext:
    async def run(call: ClientCall) -> ClientResponse:
        response: object = await interceptor(call, inner)
        if isinstance(response, ClientResponse):
            return response
        raise _no_response(interceptor, response)

    return run


def _no_response(interceptor: ClientInterceptor, found: object) -> TypeError:
    return TypeError(
        f"the client's interceptor '{name_of(interceptor)}' returned '{type_name(type(found))}' "
        "instead of the response; write 'return await call_next(call)'"
    )
