"""A bulk subscription: gathers messages into batches and settles each entry on its own."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Awaitable
from dataclasses import dataclass

import msgspec

from daprflow.protocol.deliveries import Status
from daprflow.protocol.expressions import ExpressionError
from daprflow.sidecar.app.postman import Reading, TopicEntry, Verdict
from daprflow.sidecar.blocks.pubsub_subscription import Place, TopicSubscription, Unreadable
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.clock import Timer
from daprflow.sidecar.components.base import Message, Undelivered
from daprflow.sidecar.identifiers import new_id

logger = logging.getLogger(__name__)

DEFAULT_COUNT = 100
DEFAULT_WAIT = 1.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message in a batch and the future of its verdict."""

    message: Message
    verdict: asyncio.Future[Verdict]


@dataclass(frozen=True, slots=True)
class Entry(TopicEntry):
    """A message on its way to one path, and where its verdict is awaited."""

    waiting: Waiting


class BulkSubscription(TopicSubscription):
    """Delivers events in batches.

    A batch goes out when it has ``max_count`` messages or ``max_wait`` seconds after its first;
    at once where nothing else can join it, because the broker delivers one by one or holds up what
    follows until this is done (events of one partition key). While a batch waits for its time it is
    no work in flight.
    """

    def __init__(self, place: Place, max_count: int, max_wait: float) -> None:
        super().__init__(place)
        self._max_count = 1 if place.component.serial else max_count
        self._max_wait = max_wait
        self._batch: list[Waiting] = []
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def receive(self, message: Message, /) -> Awaitable[None]:
        """Put one message into the batch; the awaitable ends when it is settled."""
        waiting = Waiting(message, asyncio.get_running_loop().create_future())
        self._batch.append(waiting)
        if len(self._batch) >= self._max_count or self.stopping:
            self._flush()
        elif self._timer is None:
            clock = self.place.clock
            self._timer = clock.call_at(clock.now() + self._max_wait, self._flush)
        return self._settled(waiting)

    def stop(self) -> None:
        """Send what waits, and take failures from now on for the stop's fault."""
        self.stopping = True
        self._flush()

    def hurry(self) -> None:
        """Send what waits now."""
        self._flush()

    async def _settled(self, waiting: Waiting) -> None:
        try:
            verdict = await waiting.verdict
            if self.place.observer is not None:
                self.place.observer.delivered(self.place.pubsub, waiting.message, verdict)
            if verdict.status is not Status.SUCCESS:
                await self.settle(waiting.message, verdict)
        finally:
            self.place.work.end()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._batch = self._batch, []
        if batch:
            for _ in batch:
                self.place.work.begin()
            task = asyncio.get_running_loop().create_task(self._deliver_batch(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver_batch(self, batch: list[Waiting]) -> None:
        try:
            for path, entries in self._grouped(batch).items():
                await self.post(path, entries)
        except Exception as error:
            logger.exception("a batch on '%s/%s' failed", self.place.pubsub, self.place.topic)
            _fail(batch, error)
        finally:
            _fail(batch, Undelivered("the delivery was given up"))

    def _grouped(self, batch: list[Waiting]) -> dict[str, list[Entry]]:
        """Sort a batch by route; entries that go nowhere get their verdict at once."""
        groups: dict[str, list[Entry]] = {}
        for waiting in batch:
            try:
                reading = self.read(waiting.message)
            except Unreadable as problem:
                answer(waiting, self.unreadable(problem))
                continue
            if reading.expired or reading.path is None:
                reason = "it expired" if reading.expired else "no route matches it"
                answer(waiting, Verdict(Status.DROP, reason))
                continue
            entry = Entry(new_id(), waiting.message, reading, waiting)
            groups.setdefault(reading.path, []).append(entry)
        return groups

    def read(self, message: Message) -> Reading:
        """Find out where a message goes; a raw one is its own text to the rules."""
        place = self.place
        if not place.raw:
            return super().read(message)
        body = msgspec.json.encode(b64encode(message.data).decode())
        if place.routes.only is not None:
            return Reading(body, None, place.routes.only)
        try:
            return Reading(body, None, place.routes.find({}))
        except ExpressionError as error:
            raise Unreadable(str(error)) from error

    async def post(self, path: str, entries: list[Entry]) -> None:
        """Deliver ``entries`` of one route and give each its verdict."""
        try:
            verdicts = await self.postman.deliver_bulk(path, entries)
        except AppUnreachable as error:
            self._unreached(entries, error)
            return
        for entry in entries:
            answer(entry.waiting, verdicts.get(entry.id, verdicts[""]))

    def _unreached(self, entries: list[Entry], error: AppUnreachable) -> None:
        for entry in entries:
            try:
                answer(entry.waiting, self.unreachable(error))
            except Undelivered as undelivered:
                entry.waiting.verdict.set_exception(undelivered)


def answer(waiting: Waiting, verdict: Verdict) -> None:
    """Give a message its verdict unless it has one."""
    if not waiting.verdict.done():
        waiting.verdict.set_result(verdict)


def _fail(batch: list[Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.verdict.done():
            waiting.verdict.set_exception(error)
