"""The path every call of the client takes: ready sidecar, deadline, retries, errors."""

import asyncio
import logging
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from daprflow.addresses import Endpoint, type_name
from daprflow.client import failures, releases
from daprflow.client.backoff import pauses
from daprflow.client.interception import (
    Attempts,
    ClientCall,
    ClientResponse,
    Send,
    noted,
    over_http,
)
from daprflow.client.opening import CLIENT_IN_WORKFLOW, CLOSED, Opening
from daprflow.errors import SidecarError, SidecarUnavailable
from daprflow.handlers import trace
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.protocol import operations
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.protocol.metadata import Metadata
from daprflow.settings import Settings
from daprflow.transports.base import ConnectionLost, Transport
from daprflow.workflows.trap import refuse_in_workflow

logger = logging.getLogger(__name__)

# Loaded with the first invocation: it looks into signatures, which importing does not pay for.
if TYPE_CHECKING:
    from collections.abc import Mapping

    from daprflow.actors.actor import ActorInterface
    from daprflow.client.addressing import Call
    from daprflow.client.proxies import Invoke

T = TypeVar("T")

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What may differ between calls; None leaves it to the settings.

    Attributes:
        timeout: seconds a call may take, its repetitions included.
        max_attempts: how often a repeatable call is tried while connections fail.
    """

    timeout: float | None = None
    max_attempts: int | None = None


class Caller:
    """Carries requests to one sidecar; opened by its first call, or by ``open``."""

    def __init__(
        self,
        settings: Settings | None,
        transport: Transport | None,
        codecs: Codecs = NO_CODECS,
    ) -> None:
        self.way = Opening(settings, transport)
        self.codecs = codecs
        self.options = CallOptions()
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
        self._calls: WeakKeyDictionary[Endpoint[Any, Any], Call] = WeakKeyDictionary()
        self._actors: WeakKeyDictionary[type, Mapping[str, Invoke]] = WeakKeyDictionary()

    @property
    def opened(self) -> bool:
        """Whether there is something to close."""
        return self.way.opened

    @property
    def block_timeout(self) -> float | None:
        """Seconds for a call of a building block; None means as for an invocation."""
        return self.options.timeout or self.way.settings.api_timeout

    def with_options(self, options: CallOptions) -> "Caller":
        """Return a caller over the same connections whose calls have other limits."""
        other = object.__new__(Caller)
        other.way = self.way
        other.codecs = self.codecs
        other._decoders = self._decoders
        other._calls = self._calls
        other._actors = self._actors
        other.options = CallOptions(
            self.options.timeout if options.timeout is None else options.timeout,
            self.options.max_attempts if options.max_attempts is None else options.max_attempts,
        )
        return other

    async def open(self) -> None:
        """Wait for the sidecar; also after ``close``.

        Raises:
            SidecarUnavailable: it was not ready within the settings' health timeout.
        """
        await self.way.open()

    async def prepare(self) -> None:
        """Load what the first call needs; opens nothing."""
        await self.way.prepare()

    async def close(self) -> None:
        """Give back every connection; calls after this are refused until ``open``."""
        await self.way.close()

    async def exchange(
        self,
        request: HttpRequest,
        timeout: float | None = None,  # noqa: ASYNC109 - the error says more than TimeoutError
    ) -> HttpResponse:
        """Carry ``request`` and return whatever was answered, within ``timeout`` seconds.

        None means the options' timeout or, where they have none, that of the settings for
        invocations.

        Raises:
            SidecarUnavailable: no sidecar answered, or not in time.
        """
        refuse_in_workflow(*CLIENT_IN_WORKFLOW)
        chain = self.way.chain
        if chain is None:
            return await self._carry(request, timeout)

        async def carry(call: ClientCall) -> ClientResponse:
            sent = HttpRequest(request.method, request.target, call.headers, request.body)
            answer = await self._carry(sent, timeout, call.attempts)
            return ClientResponse(answer.status, answer.headers, answer.body)

        return await chain(over_http(request, len(request.body), self.seconds(timeout), carry))

    def seconds(self, timeout: float | None) -> float:
        """Return what a call may take that is given ``timeout`` seconds, or None."""
        return timeout or self.options.timeout or self.way.settings.http_timeout

    async def _carry(
        self,
        request: HttpRequest,
        timeout: float | None,  # noqa: ASYNC109 - as above
        attempts: Attempts | None = None,
    ) -> HttpResponse:
        way = self.way
        transport = way.transport or await way.ready()
        seconds = timeout or self.options.timeout or way.settings.http_timeout
        if trace.DELIVERED.get() is not None:
            request = _traced(request)
        send = transport.send if attempts is None else noted(transport.send, attempts)
        deadlines = way.deadlines
        deadline = deadlines.begin(seconds)
        try:
            try:
                return await send(request)
            except ConnectionLost as error:
                if not _repeatable(request):
                    raise
                return await self._again(transport, send, request, error)
        except asyncio.CancelledError:
            if not deadline.was_it():
                raise
            raise too_late(transport, request.method, request.target, seconds) from None
        finally:
            deadlines.end(deadline)

    async def call(self, request: HttpRequest) -> HttpResponse:
        """Carry ``request`` and return an answer that is not an error.

        Raises:
            SidecarError: the sidecar answered with an error, or did not answer.
        """
        response = await self.exchange(request, self.block_timeout)
        if response.status >= 300 or response.status < 200:  # noqa: PLR2004 - HTTP's success
            raise await self.failure(request, response)
        return response

    def call_of(self, endpoint: Endpoint[Any, Any]) -> "Call":
        """Return how ``endpoint`` is called, worked out once while it lives."""
        known = self._calls.get(endpoint)
        if known is None:
            from daprflow.client.addressing import call_of  # noqa: PLC0415 - see above

            known = self._calls[endpoint] = call_of(endpoint)
        return known

    def actor_methods(self, kind: "type[ActorInterface]") -> "Mapping[str, Invoke]":
        """Return how the methods of an actor's class are called, worked out once while it lives.

        Raises:
            TypeError: something in the class cannot be used.
        """
        known = self._actors.get(kind)
        if known is None:
            from daprflow.client.proxies import methods_of  # noqa: PLC0415 - see above

            known = self._actors[kind] = methods_of(kind, self)
        return known

    def decode(self, body: bytes, payload: type[T], what: str) -> T:
        """Decode JSON with a decoder that is made once per type.

        Raises:
            msgspec.ValidationError: ``what`` does not fit; the text says why, without the value.
        """
        decoder = self._decoders.get(payload)
        if decoder is None:
            decoder = self._decoders[payload] = self.codecs.decoder(payload)
        try:
            result: T = decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            # A UnicodeDecodeError carries the bytes; only its reason is passed on.
            reason = error.reason if isinstance(error, UnicodeDecodeError) else error
            text = f"{what} is not '{type_name(payload)}': {reason}"
            raise msgspec.ValidationError(text) from None
        return result

    def document(self, response: HttpResponse, shape: type[T], what: str) -> T:
        """Decode an answer that the sidecar itself wrote.

        Raises:
            SidecarError: it is something else, so that no sidecar answered, or a changed one.
        """
        try:
            return self.decode(response.body, shape, what)
        except (msgspec.ValidationError, RecursionError) as error:
            raise failures.garbage(response, str(error)) from None

    async def failure(self, request: HttpRequest, response: HttpResponse) -> SidecarError:
        """Return the exception for an error answer; say so where the runtime is too old."""
        failure = failures.of(response)
        feature = releases.needed(request) if releases.may_be_unknown(failure) else None
        if feature is None:
            return failure
        version = await self._version()
        release = releases.parsed(version)
        if release is None or release >= feature.since:
            return failure
        return failures.too_old(failure, feature, version)

    async def _again(
        self, transport: Transport, send: Send, request: HttpRequest, error: ConnectionLost
    ) -> HttpResponse:
        """Repeat a call that may be repeated: at once, then with back-off."""
        attempts = self.options.max_attempts
        if attempts is None:
            attempts = self.way.settings.max_attempts
        waits = chain((0.0,), pauses())
        done = 1
        while attempts < 0 or done < attempts:
            await asyncio.sleep(next(waits))
            if self.way.transport is not transport:
                raise RuntimeError(CLOSED)  # sending would open connections nobody closes
            done += 1
            what = _named(request.method, request.target)
            logger.debug("attempt %d of %s, after: %s", done, what, error)
            try:
                return await send(request)
            except ConnectionLost as again:
                error = again
        raise error

    async def _version(self) -> str:
        """Return the runtime's version; read at most once, and empty where it cannot be."""
        if self.way.version is None:
            response = await self.exchange(operations.METADATA)
            try:
                self.way.version = self.decode(response.body, Metadata, "metadata").version
            except msgspec.ValidationError:
                self.way.version = ""
        return self.way.version


def too_late(transport: Transport, method: str, target: str, seconds: float) -> SidecarUnavailable:
    """Return the error of a call that took longer than it may."""
    return SidecarUnavailable(
        f"the sidecar at {transport.address} did not answer {_named(method, target)} within "
        f"{seconds:g} s; allow it more with 'timeout', 'client.with_options(timeout=...)' or "
        "DAPR_API_TIMEOUT_SECONDS and DAPR_HTTP_TIMEOUT_SECONDS"
    )


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
