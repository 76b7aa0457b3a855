"""The transactional outbox: what a transaction stores is published, and only then."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec

from daprflow.protocol import faults
from daprflow.protocol.envelopes import Stamp, wrap
from daprflow.protocol.gojson import normalise
from daprflow.protocol.gotext import text_of
from daprflow.protocol.http import CLOUDEVENTS_JSON, JSON
from daprflow.sidecar.blocks.pubsub_publish import NO_CONTEXT, Trace, rfc3339
from daprflow.sidecar.clock import Timer
from daprflow.sidecar.components.base import (
    ComponentError,
    Message,
    Nack,
    StateStore,
    StateWrite,
    Undelivered,
)
from daprflow.sidecar.identifiers import new_id

if TYPE_CHECKING:
    from daprflow.sidecar.blocks.pubsub import PubSubBlock
    from daprflow.sidecar.blocks.state import StateChange
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

SCAN_DELAY = 1.0
"""Seconds between an internal event and the first look for its marker."""
FIRST_WAIT, GROWTH, LONGEST_WAIT, GIVE_UP = 0.5, 3.0, 3.0, 10.0
MARKER = b'"0"'
CONCURRENCY = 256
"""Internal events that wait for their markers at one time."""
_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})
_KEPT = frozenset({"data", "id"})
_event = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class Outbox:
    """The outbox of one state store.

    Attributes:
        inner: the pub/sub component that carries the internal events, which say what may be
            published once it is stored.
        discard: whether an internal event without a marker is dropped; else it is offered again.
    """

    pubsub: str
    topic: str
    inner: str
    inner_topic: str
    store: StateStore
    discard: bool


class OutboxBlock:
    """The outboxes of one app's state stores.

    Before a transaction is committed, one internal event for each value is published, and a marker
    row for each joins the transaction. Whoever takes an internal event looks for its marker: where
    it is, the event is published for all and the marker deleted. So a crash at any point leaves
    either nothing, or an internal event that ends in the published one.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._clock = runtime.engine.clock
        self._outboxes: dict[str, Outbox] = {}
        self._lines: dict[Outbox, _Line] = {}
        self.read()

    def read(self) -> None:
        """Read which stores have an outbox now; `start` moves the subscriptions."""
        self._outboxes = {}
        app = f"{self._runtime.options.namespace}{self._runtime.app_id}"
        for loaded in self._runtime.components:
            metadata = loaded.context.metadata
            pubsub, topic = metadata.get("outboxpublishpubsub"), metadata.get("outboxpublishtopic")
            if loaded.kind == "state" and pubsub and topic:
                self._outboxes[loaded.resource.name] = Outbox(
                    pubsub,
                    topic,
                    metadata.get("outboxpubsub") or pubsub,
                    f"{app}{topic}outbox",
                    cast("StateStore", loaded.instance),
                    metadata.get("outboxdiscardwhenmissingstate", "").lower() in _TRUE,
                )

    async def announce(
        self, store: str, changes: "Sequence[StateChange]", trace: Trace = NO_CONTEXT
    ) -> "tuple[Sequence[StateChange], list[StateWrite]]":
        """Publish internally what a transaction is about to store.

        Returns:
            the changes without projections, and the markers that the transaction must write.

        Raises:
            Fault: it could not be published; the transaction must not be done.
        """
        outbox = self._outboxes.get(store)
        if outbox is None:
            return changes, []
        projections = {each.key: each for each in changes if _is_projection(each)}
        stored = [each for each in changes if not _is_projection(each)]
        markers = []
        for change in stored:
            if change.data is None:
                continue
            marker = f"outbox-{new_id()}"
            event = self._event(outbox, marker, change, projections.get(change.key, change), trace)
            message = Message(outbox.inner_topic, event, {}, CLOUDEVENTS_JSON)
            try:
                await self._runtime.pubsub.forward(outbox.inner, message)
            except ComponentError as error:
                raise faults.outbox_publish(self._runtime.app_id, str(error)) from error
            markers.append(StateWrite(marker, MARKER))
        return stored, markers

    async def start(self) -> None:
        """Take internal events from now on; those of outboxes that are gone no more."""
        wanted = set(self._outboxes.values())
        await self._end([outbox for outbox in self._lines if outbox not in wanted])
        for outbox in wanted:
            line = self._lines.get(outbox)
            if line is None or not line.still_right():
                await self._end([outbox] if line else [])
                await self._begin(outbox)

    async def stop(self) -> None:
        """Take no more; what waits is offered again."""
        await self._end(list(self._lines))

    async def _begin(self, outbox: Outbox) -> None:
        line = _Line(self._runtime, outbox)
        try:
            if await line.subscribe():
                self._lines[outbox] = line
        except ComponentError as error:
            logger.error("the outbox topic '%s' cannot be taken: %s", outbox.inner_topic, error)  # noqa: TRY400 - the text says all

    async def _end(self, outboxes: Sequence[Outbox]) -> None:
        await asyncio.gather(*(self._lines.pop(outbox).stop() for outbox in outboxes))

    def _event(
        self,
        outbox: Outbox,
        marker: str,
        change: "StateChange",
        published: "StateChange",
        trace: Trace,
    ) -> bytes:
        """Return the event as it goes to the internal topic; a change's metadata are attributes."""
        content_type = (published.metadata or {}).get("contentType", "")
        body = _body(published, content_type)
        now = rfc3339(int(self._clock.now()))
        stamp = Stamp(marker, self._runtime.app_id, outbox.inner, "", now, "", trace.tracestate)
        event = _event.decode(wrap(body, content_type, stamp))
        event["traceid"] = _raw(trace.traceparent)
        for name, value in (change.metadata or {}).items():
            if name not in _KEPT:
                event[name] = _raw(value)
        return normalise(msgspec.json.encode(event))


def _body(published: "StateChange", content_type: str) -> bytes:
    """Return the event's data: raw bytes as they are, JSON as its content type has it printed."""
    if published.raw:
        return published.data or b""
    data = published.data or b"null"
    return data if content_type.lower() == JSON else text_of(data).encode()


class _Line:
    """The subscription to one outbox's internal topic."""

    def __init__(self, runtime: "Runtime", outbox: Outbox) -> None:
        self._pubsub: PubSubBlock = runtime.pubsub
        self._outbox = outbox
        self._clock = runtime.engine.clock
        self._work = runtime.engine.work
        self._door = runtime.pubsub.door(outbox.inner)
        self._stop: Callable[[], Awaitable[None]] | None = None
        self._stopping = False
        self._waiting: dict[asyncio.Future[None], Timer] = {}

    def still_right(self) -> bool:
        """Tell whether the broker is still the one that was subscribed to."""
        return self._pubsub.door(self._outbox.inner) == self._door

    async def subscribe(self) -> bool:
        """Begin; False where the broker is not loaded."""
        if self._door is None:
            logger.warning(
                "the outbox of topic '%s' waits: no pub/sub component '%s' is loaded",
                self._outbox.topic,
                self._outbox.inner,
            )
            return False
        self._stop = await self._door.component.subscribe(
            self._outbox.inner_topic,
            self._door.consumer,
            {},
            self._receive,
            concurrency=CONCURRENCY,
            member=self._pubsub.member,
        )
        return True

    async def stop(self) -> None:
        """End; what waits for its marker is left to the broker."""
        self._stopping = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        if self._stop is not None:
            await self._stop()

    def _receive(self, message: Message, /) -> Awaitable[None]:
        self._work.begin()
        return self._handle(message)

    async def _handle(self, message: Message) -> None:
        outbox = self._outbox
        try:
            event = _event.decode(message.data)
            marker = _text.decode(event["id"])
            if not await self._stored(marker):
                return
            event["topic"], event["pubsubname"] = _raw(outbox.topic), _raw(outbox.pubsub)
            data = normalise(msgspec.json.encode(event))
            await self._pubsub.forward(
                outbox.pubsub, Message(outbox.topic, data, {}, CLOUDEVENTS_JSON)
            )
            await self._forget(marker)
        except (ComponentError, msgspec.MsgspecError, KeyError) as error:
            raise Nack(f"the outbox event was not published: {error}") from error
        finally:
            self._work.end()

    async def _stored(self, marker: str) -> bool:
        """Wait for the marker; False where the event is to be dropped without it.

        Raises:
            Nack: it did not come.
        """
        outbox = self._outbox
        await self._sleep(SCAN_DELAY)
        found = await self._tried(lambda: _present(outbox.store, marker))
        if found:
            return True
        text = f"an outbox event for '{outbox.pubsub}/{outbox.topic}' has no stored state"
        if outbox.discard:
            logger.error("%s and is dropped", text)
            return False
        logger.error("%s; it is offered again", text)
        raise Nack(text)

    async def _forget(self, marker: str) -> None:
        """Delete a marker; where that fails the event will be published once more."""
        store = self._outbox.store

        async def attempt() -> bool:
            await store.write(StateWrite(marker, None))
            return True

        if not await self._tried(attempt):
            raise Nack("the marker of an outbox event could not be deleted")

    async def _tried(self, attempt: Callable[[], Awaitable[bool]]) -> bool:
        """Try until it is true, with the runtime's pauses; False when the time is over."""
        give_up = self._clock.now() + GIVE_UP
        pause = FIRST_WAIT
        while True:
            try:
                if await attempt():
                    return True
            except ComponentError as error:
                logger.warning("the outbox of '%s' waits: %s", self._outbox.topic, error)
            if self._clock.now() + pause > give_up:
                return False
            await self._sleep(pause)
            pause = min(pause * GROWTH, LONGEST_WAIT)

    async def _sleep(self, seconds: float) -> None:
        """Suspend; the count of work leaves it out, for only the clock ends it.

        Raises:
            Undelivered: the subscription is stopping.
        """
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not waiting.done():
                waiting.set_result(None)

        if not self._stopping:
            self._waiting[waiting] = self._clock.call_at(self._clock.now() + seconds, wake)
            self._work.rest()
            try:
                await waiting
            finally:
                self._work.resume()
                self._waiting.pop(waiting).cancel()
        if self._stopping:
            raise Undelivered("the sidecar is stopping")


async def _present(store: StateStore, marker: str) -> bool:
    found = await store.get(marker)
    return found is not None and bool(found.data)


def _is_projection(change: "StateChange") -> bool:
    """Tell whether a change is only to be published in place of another one of its key."""
    metadata: Mapping[str, str] = change.metadata or {}
    return change.data is not None and metadata.get("outbox.projection", "").lower() in _TRUE


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(text))
