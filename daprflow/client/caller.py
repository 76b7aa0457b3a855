"""The path every call of the client takes: ready sidecar, deadline, retries, errors."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from daprflow.addresses import Endpoint, type_name
from daprflow.client import failures, releases
from daprflow.client.carrying import carry
from daprflow.client.interception import ClientCall, ClientResponse, over_http
from daprflow.client.opening import CLIENT_IN_WORKFLOW, Opening
from daprflow.errors import SidecarError
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.protocol import operations
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.protocol.metadata import Metadata
from daprflow.settings import Settings
from daprflow.transports.base import Transport
from daprflow.workflows.trap import refuse_in_workflow

# Loaded with the first invocation: it looks into signatures, which importing does not pay for.
if TYPE_CHECKING:
    from collections.abc import Mapping

    from daprflow.actors.actor import ActorInterface
    from daprflow.client.addressing import Call
    from daprflow.client.proxies import Invoke

T = TypeVar("T")


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
        self.way: Opening = Opening(settings, transport)
        self.codecs = codecs
        self.options: CallOptions = CallOptions()
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

    @property
    def max_attempts(self) -> int:
        """How often a repeatable call is tried; -1 until its time is up."""
        own = self.options.max_attempts
        return self.way.settings.max_attempts if own is None else own

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
            return await carry(self, request, timeout)

        async def innermost(call: ClientCall) -> ClientResponse:
            sent = HttpRequest(request.method, request.target, call.headers, request.body)
            answer = await carry(self, sent, timeout, call.attempts)
            return ClientResponse(answer.status, answer.headers, answer.body)

        return await chain(over_http(request, len(request.body), self.seconds(timeout), innermost))

    def seconds(self, timeout: float | None) -> float:
        """Return what a call may take that is given ``timeout`` seconds, or None."""
        return timeout or self.options.timeout or self.way.settings.http_timeout

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

    async def _version(self) -> str:
        """Return the runtime's version; read at most once, and empty where it cannot be."""
        if self.way.version is None:
            response = await self.exchange(operations.METADATA)
            try:
                self.way.version = self.decode(response.body, Metadata, "metadata").version
            except msgspec.ValidationError:
                self.way.version = ""
        return self.way.version
