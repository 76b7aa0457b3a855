"""The path every call of the client takes: ready sidecar, retries, errors as exceptions."""

import asyncio
import os
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from daprflow.addresses import type_name
from daprflow.client import failures
from daprflow.client.readiness import wait_until_ready
from daprflow.handlers import codec
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from daprflow.transports.base import ConnectionLost, Transport

T = TypeVar("T")

RETRY_ATTEMPTS = 6
RETRY_SECONDS = 5.0
CLOSED = "the client is closed; open it again with 'open()' or 'async with'"
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


class Caller:
    """Carries requests to one sidecar; opened by its first call, or by ``open``."""

    def __init__(self, settings: Settings | None, transport: Transport | None) -> None:
        self._settings = settings
        self._given = transport
        self._transport: Transport | None = None
        self._opening: asyncio.Task[Transport] | None = None
        self._closed = False
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}

    @property
    def opened(self) -> bool:
        """Whether there is something to close."""
        return self._transport is not None or self._opening is not None

    async def open(self) -> None:
        """Wait for the sidecar; also after ``close``.

        Raises:
            SidecarUnavailable: it was not ready within the settings' health timeout.
        """
        self._closed = False
        await self._ready()

    async def prepare(self) -> None:
        """Load what the first call needs; opens nothing."""
        if self._given is None:
            await asyncio.to_thread(_http_transport)

    async def close(self) -> None:
        """Give back every connection; calls after this are refused until ``open``."""
        self._closed = True
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.wait([opening])
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def exchange(self, request: HttpRequest) -> HttpResponse:
        """Carry ``request`` and return whatever was answered.

        Raises:
            SidecarUnavailable: no sidecar answered.
        """
        transport = self._transport or await self._ready()
        try:
            return await transport.send(request)
        except ConnectionLost:
            if not _repeatable(request):
                raise
        return await self._again(transport, request)

    async def call(self, request: HttpRequest) -> HttpResponse:
        """Carry ``request`` and return an answer that is not an error.

        Raises:
            SidecarError: the sidecar answered with an error, or did not answer.
        """
        response = await self.exchange(request)
        if not failures.succeeded(response):
            raise failures.of(response)
        return response

    def decode(self, body: bytes, payload: type[T], what: str) -> T:
        """Decode JSON with a decoder that is made once per type.

        Raises:
            msgspec.ValidationError: ``what`` does not fit; the text says why, without the value.
        """
        decoder = self._decoders.get(payload)
        if decoder is None:
            decoder = self._decoders[payload] = codec.decoder(payload)
        try:
            result: T = decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            # A UnicodeDecodeError carries the bytes; only its reason is passed on.
            reason = error.reason if isinstance(error, UnicodeDecodeError) else error
            text = f"{what} is not '{type_name(payload)}': {reason}"
            raise msgspec.ValidationError(text) from None
        return result

    async def _again(self, transport: Transport, request: HttpRequest) -> HttpResponse:
        """Repeat a call that may be repeated: at once, then with back-off."""
        import stamina  # noqa: PLC0415 - only paid for when a connection fails

        async for attempt in stamina.retry_context(
            on=ConnectionLost,
            attempts=RETRY_ATTEMPTS,
            timeout=RETRY_SECONDS,
            wait_initial=0.05,
            wait_max=1.0,
            wait_jitter=0.05,
        ):
            with attempt:
                if self._transport is not transport:
                    raise RuntimeError(CLOSED)  # sending would open connections nobody closes
                return await transport.send(request)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def _ready(self) -> Transport:
        """Return the transport once the sidecar is ready; callers that come together wait once."""
        if self._closed:
            raise RuntimeError(CLOSED)
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="daprflow client opens")
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if opening.cancelled() and task is not None and not task.cancelling():
                # close() ended the wait; who waits was not cancelled and must not look so.
                raise RuntimeError(CLOSED) from None
            raise

    def _opened(self, task: asyncio.Task[Transport]) -> None:
        if self._opening is task:
            self._opening = None
        if not task.cancelled():
            task.exception()  # every caller may have been cancelled; then nobody else asks

    async def _open(self) -> Transport:
        settings = self._settings or Settings.from_env(os.environ)
        transport = self._given or await _over_http(settings)
        try:
            await wait_until_ready(transport, settings.health_timeout)
        except BaseException:
            await transport.close()
            raise
        self._transport = transport
        return transport


def _repeatable(request: HttpRequest) -> bool:
    """Tell whether doing ``request`` twice is the same as doing it once.

    A delete with an ETag is not: the second one would report a conflict with the first.
    """
    if request.method == "DELETE":
        return not any(name == "if-match" for name, _ in request.headers)
    return request.method in REPEATABLE


async def _over_http(settings: Settings) -> Transport:
    # In a thread: on the loop it would hold up every other request for a tenth of a second.
    make = await asyncio.to_thread(_http_transport)
    return make(settings)


def _http_transport() -> Callable[[Settings], Transport]:
    from daprflow.transports.http import HttpTransport  # noqa: PLC0415 - aiohttp is not for everybody

    return HttpTransport
