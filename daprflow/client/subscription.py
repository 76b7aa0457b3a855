"""Streaming subscriptions: the events of a topic, one after the other, each with its verdict."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar
from weakref import ref

from daprflow.client import failures, readiness, releases
from daprflow.client.backoff import SOON, reconnections
from daprflow.client.caller import Caller
from daprflow.client.describing import Purpose
from daprflow.client.event_message import EventMessage
from daprflow.client.grpc_calls import GrpcCall, carry
from daprflow.client.open_stream import OpenStream
from daprflow.errors import SidecarError, SidecarUnavailable
from daprflow.handlers.decoding import EventDecoder, Undecodable
from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import Headers
from daprflow.transports.events import CallRefused, StreamLost, TopicEvent, Wanted

if TYPE_CHECKING:
    from daprflow.transports.grpc_events import EventStream

logger = logging.getLogger(__name__)

T = TypeVar("T")

GOODBYE = 2.0
"""Seconds that the end may take: verdicts are still sent, and the sidecar says that it has them."""

FOR_GOOD: Final = frozenset({401, 403, 501})
"""What ends a subscription that had begun. Anything else may be a sidecar that stops, or one that
starts and does not know its components yet."""

STREAMING: Final = releases.Feature("streaming subscriptions", "", (1, 14))
_ENDED = "the subscription is closed"
_UNKNOWN_METHOD = "failed to proxy request"


class Subscription(Generic[T]):
    """The events of a topic as they come, without end. Make it with ``client.subscribe(topic)``.

    ``async with client.subscribe(orders) as messages: async for message in messages: ...``. Leaving
    the block ends the subscription; the sidecar takes back every event without a verdict. Tasks may
    share one: each event goes to one of them.

    Example:
        ```python
        async with client.subscribe(orders) as events:
            async for message in events:
                await message.ack()
        ```
    """

    def __init__(
        self, caller: Caller, wanted: Wanted, decoder: EventDecoder, max_in_flight: int
    ) -> None:
        self._caller = caller
        self._wanted = wanted
        self._decoder = decoder
        self._limit = max_in_flight
        self._stream: EventStream | None = None
        self._begun = False
        self._over = asyncio.Event()
        self._turn = asyncio.Lock()
        self._undecided = 0
        self._freed = asyncio.Event()
        self._last: tuple[ref[EventMessage[T]], int] | None = None
        self._pauses: Iterator[float] | None = None

    async def __aenter__(self) -> Self:
        """Subscribe now.

        Raises:
            NotFound: there is no such pub/sub component.
            SidecarUnavailable: no sidecar was ready within the settings' health timeout.
            SidecarError: the sidecar or the broker refused.
        """
        if self._over.is_set():
            raise RuntimeError(f"{self!r} has ended; make another one")
        async with self._turn:
            await self._connected()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventMessage[T]:
        message = await self.next(id(asyncio.current_task()))
        if message is None:
            raise StopAsyncIteration
        return message

    async def next(self, owner: int, /) -> EventMessage[T] | None:
        """Return the next message, None when the subscription is closed, or its client.

        Args:
            owner: a number of who takes it; the task itself would keep all this alive.

        Raises:
            SidecarError: the sidecar refused for good.
        """
        self._give_back(owner)
        async with self._turn:
            while not self._over.is_set() and self._undecided >= self._limit:
                self._freed.clear()
                await self._freed.wait()
            while not self._over.is_set():
                try:
                    stream = await self._connected()
                    event = await stream.read()
                except StreamLost as lost:
                    await self._lose(lost)
                except CallRefused as refused:
                    await self._lose(refused)
                    if not refused.unavailable:
                        raise failures.of_call(refused) from None
                else:
                    message = self._message(stream, event)
                    if message is not None:
                        self._last = (ref(message), owner)
                        return message
        return None

    @property
    def connected(self) -> bool:
        """Whether events come now, as far as it was looked; true before it has begun."""
        return not self._begun or (self._stream is not None and not self._stream.ended)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

    async def close(self) -> None:
        """End the subscription: what has a verdict is told, the rest is delivered again.

        Example:
            ```python
            events = client.subscribe(orders)
            await events.close()
            ```
        """
        self._over.set()
        self._freed.set()
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.end(GOODBYE)

    def __repr__(self) -> str:
        return f"Subscription({self._wanted.pubsub!r}, {self._wanted.topic!r})"

    def __del__(self) -> None:
        stream = getattr(self, "_stream", None)
        if stream is not None:
            stream.drop(GOODBYE)

    # ---- messages

    def _message(self, stream: "EventStream", event: TopicEvent) -> EventMessage[T] | None:
        """Return an event as a message; None where it cannot be decoded, which is its verdict."""
        self._pauses = None
        if self._over.is_set():
            return None
        try:
            found = self._decoder.parted_event(event.attributes, event.data, event.content_type)
        except Undecodable as error:
            verdict = Status.DROP if self._wanted.dead_letter else Status.RETRY
            logger.error(  # noqa: TRY400 - the traceback would say nothing of the payload's mistake
                "%r cannot decode event '%s' (%d bytes): %s; it %s",
                self,
                event.id,
                len(event.data),
                error,
                "goes to the dead letter topic" if verdict is Status.DROP else "is delivered again",
            )
            stream.answer(event.id, verdict)
            return None
        self._undecided += 1
        decide = partial(self._decide, stream, event.id)
        loop = asyncio.get_running_loop()
        forget = partial(_forgotten, loop, self, decide, event.id)
        return EventMessage(found, decide, forget, self._caller.way.messages)

    def _decide(self, stream: "EventStream", event: str, status: Status) -> None:
        if stream.ended:
            logger.debug("event '%s' comes again: its stream broke before the verdict", event)
        else:
            stream.answer(event, status)
        self._undecided -= 1
        self._freed.set()

    def _give_back(self, owner: int) -> None:
        """Have the last message delivered again when its taker goes on without a verdict.

        Only where one is handed out at a time: then nobody else can be at work on it.
        """
        if self._limit > 1 or self._last is None:
            return
        found, taker = self._last
        message = found()
        if message is not None and message.status is None and taker == owner:
            _warn(self, message.id)
            message.decide(Status.RETRY)

    # ---- streams

    async def _connected(self) -> "EventStream":
        """Return the stream; a broken one is replaced, however long that takes.

        Raises:
            StreamLost: it was closed meanwhile.
            CallRefused: the sidecar refused for good.
            SidecarError: it refused the first stream, or did not come in time for it.
        """
        if self._stream is not None:
            return self._stream
        if not self._begun:
            self._stream = await self._first()
            self._begun = True
            return self._stream
        while True:
            if self._pauses is None:
                self._pauses = reconnections(SOON)
            closed_for = self._caller.way.grpc_circuit.state.retry_in
            await self._pause(max(next(self._pauses), closed_for))
            try:
                await self._probe()
                self._stream = await self._begin()
            except CallRefused as refused:
                if refused.status in FOR_GOOD:
                    raise
                logger.debug("%r cannot begin again yet: %s", self, refused)
            except (StreamLost, SidecarUnavailable) as error:
                logger.debug("%r cannot begin again yet: %s", self, error)
            else:
                logger.info("%r goes on", self)
                return self._stream

    async def _first(self) -> "EventStream":
        """Begin; a sidecar that is still starting is waited for."""
        seconds = self._caller.way.settings.health_timeout
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        for pause in reconnections(SOON):
            try:
                return await self._begin()
            except StreamLost as lost:
                raise SidecarUnavailable(f"{self!r} was ended at once: {lost}") from None
            except CallRefused as refused:
                if not refused.unavailable or loop.time() + pause > end:
                    raise _refusal(refused) from None
            except SidecarUnavailable:
                if loop.time() + pause > end:
                    raise
            await self._pause(pause)
        raise AssertionError("pauses have no end")

    async def _begin(self) -> "EventStream":
        """Open a stream; interceptors see that as a call.

        Raises:
            StreamLost: the subscription was closed meanwhile, or the stream ended at once.
            CallRefused: the sidecar refused.
            SidecarUnavailable: there is none.
        """
        channels, life = self._caller.way.channels, OpenStream()
        wanted = self._wanted
        call = GrpcCall(
            Purpose("pubsub", "subscribe", wanted.pubsub, wanted.topic),
            "SubscribeTopicEventsAlpha1",
            None,
            self._open,
            stream=life,
        )
        try:
            stream = await carry(self._caller.way, call)
        except RuntimeError:
            if self._over.is_set():  # the client was closed, too
                raise StreamLost(_ENDED) from None
            raise
        if self._caller.way.chain is not None:
            channels.beside(_follow(stream.ending(), life))
        if self._over.is_set():
            await stream.abandon()
            raise StreamLost(_ENDED)
        return stream

    async def _open(self, headers: Headers, _: float | None) -> "EventStream":
        channels = self._caller.way.channels
        channel = await channels.to_sidecar(self._wanted.pubsub, "publish")
        from daprflow.transports.grpc_events import EventStream  # noqa: PLC0415 - needs gRPC

        stream = EventStream(channel, self._wanted, channels.token, headers)
        channels.keep(self)
        try:
            await stream.begin()
        except BaseException as error:
            await stream.abandon()
            if isinstance(error, StreamLost) and error.refused is not None:
                raise error.refused from None
            raise
        return stream

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the subscription is closed.

        Raises:
            StreamLost: it is.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        if self._over.is_set():
            raise StreamLost(_ENDED)

    async def _probe(self) -> None:
        """Ask for the sidecar's health: one that is starting does not know its components yet."""
        way = self._caller.way
        if way.transport is not None and way.settings.health_timeout > 0:
            await readiness.probe(way.transport)

    async def _lose(self, reason: Exception) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        await stream.abandon()
        if not self._over.is_set():
            logger.warning("%r broke: %s; it begins again", self, reason)


async def _follow(ending: Awaitable[CallRefused | None], life: OpenStream) -> None:
    """Tell interceptors of the end of a stream."""
    refused = await ending
    if refused is None:
        life.finish()
    else:
        life.finish(refused.status, refused.fault.code)


def _forgotten(
    loop: asyncio.AbstractEventLoop, subscription: Subscription[Any], decide: Any, event: str
) -> None:
    """Have a message delivered again that nobody holds any more; from whatever thread."""

    def give_back() -> None:
        if not subscription.closed:
            _warn(subscription, event)
        decide(Status.RETRY)

    if not loop.is_closed():
        loop.call_soon_threadsafe(give_back)


def _warn(subscription: Subscription[Any], event: str) -> None:
    logger.warning(
        "%r: event '%s' was left without a verdict and is delivered again; call ack(), retry() or "
        "drop(), or use 'async with message'",
        subscription,
        event,
    )


def _refusal(refused: CallRefused) -> SidecarError:
    failure = failures.of_call(refused)
    if _UNKNOWN_METHOD in refused.fault.message:
        return failures.too_old(failure, STREAMING, "older")
    return failure
