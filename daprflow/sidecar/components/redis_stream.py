"""One subscription to a Redis stream: reads, hands over, acknowledges, takes up what was left."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from daprflow.sidecar.clock import Clock, sleep_until
from daprflow.sidecar.components.base import ComponentError, Message, Nack, Receive, Undelivered
from daprflow.sidecar.components.redis_link import (
    CommandRefused,
    DedicatedLink,
    RedisLink,
    text_of,
)

logger = logging.getLogger(__name__)

_BLOCK_MILLISECONDS = 5000
_READ_TIMEOUT = 15.0
_AWAY_PAUSE = 0.5
_metadata = msgspec.json.Decoder(dict[str, str] | None)

Entry = tuple[bytes, dict[bytes, bytes]]
"""An entry of a stream: its id and fields."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How a component reads its streams; times in seconds, 0 switches redelivery off."""

    processing_timeout: float
    redeliver_interval: float
    queue_depth: int
    concurrency: int

    @property
    def redelivers(self) -> bool:
        """Whether entries that nobody finished are taken up again."""
        return self.processing_timeout > 0 and self.redeliver_interval > 0


class Slots:
    """How many messages one consumer may handle at one time, over all its topics."""

    def __init__(self, limit: int) -> None:
        self.free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Wait until one is free; it is not taken yet."""
        while self.free <= 0:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

    def take(self) -> None:
        """Take one, also where none is free: what was read already has to go somewhere."""
        self.free -= 1

    def give_back(self) -> None:
        """Give one back."""
        self.free += 1
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


class StreamReader:
    """Reads one stream for one consumer group; the consumer's name is the group's.

    New entries are read only as far as they can be handled now. Entries that were read and never
    acknowledged, by this process or another one of the group, are taken up again once they have
    been idle for the processing timeout. One that does not get to its app goes to another replica.
    """

    def __init__(
        self,
        *,
        pubsub: str,
        topic: str,
        group: str,
        receive: Receive,
        link: RedisLink,
        settings: StreamSettings,
        slots: Slots,
        clock: Clock,
        others: "Callable[[StreamReader], Sequence[Receive]]",
    ) -> None:
        self._place = f"{pubsub}/{topic}"
        self._topic = topic
        self._group = group
        self.receive = receive
        self.place = (topic, group)
        self._others = others
        self._link = link
        self._settings = settings
        self._slots = slots
        self._clock = clock
        self._connection_id = 0
        self._stopping = False
        self._away = False
        self._held: dict[bytes, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Make the group and begin to read.

        Raises:
            ComponentError: the server refused the group, or is away.
        """
        await self._make_group()
        self._spawn(self._read())
        if self._settings.redelivers:
            self._spawn(self._take_up())

    async def stop(self) -> None:
        """Read no more and let what is in flight end."""
        self._stopping = True
        reading, *others = self._loops
        for other in others:
            other.cancel()
        if not reading.done():
            await self._wake(reading)
        await asyncio.wait(self._loops)
        if self._held:
            await asyncio.wait(self._held.values())

    def _spawn(self, loop: Coroutine[Any, Any, None]) -> None:
        self._loops.append(asyncio.get_running_loop().create_task(loop))

    async def _wake(self, reading: asyncio.Task[None]) -> None:
        """End the wait for new entries; cancelling it could lose what just arrives."""
        try:
            if self._connection_id and self._slots.free > 0:
                await self._link.command("CLIENT", "UNBLOCK", self._connection_id)
                await asyncio.wait({reading}, timeout=1.0)
        except ComponentError as error:
            logger.debug("the wait for '%s' is cut off: %s", self._place, error)
        reading.cancel()

    # ---- reading --------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read new entries until stopped, with new connections where one broke."""
        while not self._stopping:
            line = self._link.dedicated(_READ_TIMEOUT)
            try:
                self._connection_id = await line.command("CLIENT", "ID")
                while not self._stopping:
                    await self._read_once(line)
            except ComponentError as error:
                await self._recover(error)
            finally:
                self._connection_id = 0
                await line.close()

    async def _read_once(self, line: DedicatedLink) -> None:
        await self._slots.wait()
        answer = await line.command(
            *("XREADGROUP", "GROUP", self._group, self._group),
            *("COUNT", min(self._slots.free, self._settings.queue_depth)),
            *("BLOCK", _BLOCK_MILLISECONDS, "STREAMS", self._topic, ">"),
        )
        if self._away:
            self._away = False
            logger.info("'%s' is read again", self._place)
        for _, entries in answer or ():
            for entry in entries:
                self._take(entry, 1)

    async def _recover(self, error: ComponentError) -> None:
        """Say once that the stream cannot be read, and wait; make a group that is gone."""
        if not self._away:
            logger.warning("'%s' cannot be read now, and is tried again: %s", self._place, error)
        self._away = True
        if not (isinstance(error, CommandRefused) and str(error).startswith("NOGROUP")):
            await sleep_until(self._clock, self._clock.now() + _AWAY_PAUSE)
            return
        try:
            await self._make_group()
        except ComponentError as again:
            logger.debug("the group of '%s' cannot be made yet: %s", self._place, again)
            await sleep_until(self._clock, self._clock.now() + _AWAY_PAUSE)

    async def _make_group(self) -> None:
        try:
            await self._link.command("XGROUP", "CREATE", self._topic, self._group, "0", "MKSTREAM")
        except CommandRefused as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    # ---- taking up what was left ----------------------------------------------------------------

    async def _take_up(self) -> None:
        while True:
            try:
                while await self._claim():
                    await self._slots.wait()
            except ComponentError as error:
                logger.debug("what was left of '%s' cannot be read: %s", self._place, error)
            await sleep_until(self._clock, self._clock.now() + self._settings.redeliver_interval)

    async def _claim(self) -> bool:
        """Take up entries that were idle for too long; tell whether there were any."""
        idle = round(self._settings.processing_timeout * 1000)
        pending: Sequence[dict[str, Any]] = await self._link.command(
            *("XPENDING", self._topic, self._group, "-", "+", self._settings.queue_depth),
            parse_detail=True,
        )
        attempts = {
            entry["message_id"]: int(entry["times_delivered"]) + 1
            for entry in pending
            if int(entry["time_since_delivered"]) >= idle and entry["message_id"] not in self._held
        }
        room = max(1, self._slots.free)
        wanted = list(attempts)[:room]
        if not wanted:
            return False
        claimed: Sequence[Entry | None] = await self._link.command(
            "XCLAIM", self._topic, self._group, self._group, idle, *wanted
        )
        entries = [entry for entry in claimed if entry and entry[0] is not None and entry[1]]
        for entry in entries:
            self._take(entry, attempts.get(entry[0], 2))
        await self._forget_trimmed(set(wanted) - {entry[0] for entry in entries})
        return bool(entries)

    async def _forget_trimmed(self, missing: set[bytes]) -> None:
        """Acknowledge entries that the stream no longer has; old servers keep them pending."""
        for entry_id in missing:
            if not await self._link.command("XRANGE", self._topic, entry_id, entry_id):
                await self._acknowledge(entry_id)

    # ---- handling -------------------------------------------------------------------------------

    def _take(self, entry: Entry, attempt: int) -> None:
        """Hand one entry over."""
        entry_id, fields = entry
        message = Message(
            self._topic, fields.get(b"data", b""), self._metadata_of(entry), attempt=attempt
        )
        self._slots.take()
        task = asyncio.get_running_loop().create_task(
            self._handle(entry_id, self._delivered(message, self.receive(message)))
        )
        self._held[entry_id] = task

    async def _delivered(self, message: Message, handling: Awaitable[None]) -> None:
        """Wait for a delivery; where it did not get to the app have another replica's made.

        Raises:
            Undelivered: it got to none.
        """
        try:
            await handling
        except Undelivered:
            for receive in self._others(self):
                try:
                    await receive(message)
                except Undelivered:
                    continue
                return
            raise

    async def _handle(self, entry_id: bytes, handling: Awaitable[None]) -> None:
        try:
            if await self._finished(handling):
                await self._acknowledge(entry_id)
        except ComponentError as error:
            logger.warning(
                "an event on '%s' was handled but could not be acknowledged, and will come "
                "again: %s",
                self._place,
                error,
            )
        finally:
            del self._held[entry_id]
            self._slots.give_back()

    async def _finished(self, handling: Awaitable[None]) -> bool:
        """Wait for a delivery; tell whether its entry is to be acknowledged."""
        settings = self._settings
        late = False
        task = asyncio.ensure_future(handling)

        def give_up() -> None:
            nonlocal late
            late = True
            task.cancel()

        due = self._clock.now() + settings.processing_timeout
        timer = self._clock.call_at(due, give_up) if settings.redelivers else None
        try:
            await task
        except asyncio.CancelledError:
            if not late:
                raise
            logger.warning(
                "handling an event on '%s' took longer than the processingTimeout (%g s), and it "
                "will come again",
                self._place,
                settings.processing_timeout,
            )
            return False
        except Undelivered as error:
            logger.debug("an event on '%s' did not get to the app: %s", self._place, error)
            return False
        except Nack as error:
            logger.warning(
                "an event on '%s' failed and is gone (pubsub.redis acknowledges what failed): %s",
                self._place,
                error,
            )
        except Exception:
            logger.exception("handling an event on '%s' failed", self._place)
        finally:
            if timer is not None:
                timer.cancel()
        return True

    async def _acknowledge(self, entry_id: bytes) -> None:
        await self._link.command("XACK", self._topic, self._group, entry_id)

    def _metadata_of(self, entry: Entry) -> dict[str, str] | None:
        raw = entry[1].get(b"metadata")
        if raw is None:
            return None
        try:
            found: dict[str, str] | None = _metadata.decode(raw)
        except msgspec.MsgspecError as error:
            logger.warning(
                "the metadata of entry %s on '%s' cannot be read: %s",
                text_of(entry[0]),
                self._place,
                error,
            )
            return None
        return found
