"""A bulk subscription: gathers messages into batches and settles each entry on its own."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

import msgspec

from daprflow.protocol.deliveries import BulkDelivery, BulkEntry, BulkVerdict, Status
from daprflow.protocol.envelopes import OCTET_STREAM
from daprflow.protocol.expressions import ExpressionError
from daprflow.protocol.http import CLOUDEVENTS_JSON, JSON, HttpRequest, HttpResponse
from daprflow.sidecar.blocks.pubsub_delivery import SUCCESS, HeaderMaker, Verdict
from daprflow.sidecar.blocks.pubsub_subscription import (
    Place,
    Reading,
    TopicSubscription,
    Unreadable,
)
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.clock import Timer
from daprflow.sidecar.components.base import Message, Undelivered
from daprflow.sidecar.identifiers import new_id

logger = logging.getLogger(__name__)

DEFAULT_COUNT = 100
DEFAULT_WAIT = 1.0
_GIVEN_UP = {"SUCCESS": SUCCESS, "DROP": Verdict(Status.DROP, "the app answered DROP")}

_verdicts = msgspec.json.Decoder(BulkVerdict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message in a batch and the future of its verdict."""

    message: Message
    verdict: asyncio.Future[Verdict]


@dataclass(frozen=True, slots=True)
class Entry:
    """A message on its way to one path."""

    id: str
    waiting: Waiting
    reading: Reading


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
        self._headers = HeaderMaker(place.pubsub, JSON)
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
            groups.setdefault(reading.path, []).append(Entry(new_id(), waiting, reading))
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
            verdicts = await self.send(path, entries)
        except AppUnreachable as error:
            self._unreached(entries, error)
            return
        for entry in entries:
            answer(entry.waiting, verdicts.get(entry.id, verdicts[""]))

    async def send(self, path: str, entries: Sequence[Entry]) -> dict[str, Verdict]:
        """Post ``entries`` and return the verdicts, as `judge_bulk` does.

        Raises:
            AppUnreachable: no answer came.
        """
        place = self.place
        content_type = OCTET_STREAM if place.raw else CLOUDEVENTS_JSON
        delivery = BulkDelivery(
            entries=tuple(
                BulkEntry(
                    entry.id,
                    msgspec.Raw(entry.reading.body),
                    _plain(entry.waiting.message),
                    content_type,
                )
                for entry in entries
            ),
            id=new_id(),
            metadata={"pubsubName": place.pubsub},
            pubsubname=place.pubsub,
            topic=place.topic,
        )
        headers = self._headers.make(None, _parent_of(entries))
        request = HttpRequest("POST", path, headers, msgspec.json.encode(delivery))
        return judge_bulk(await place.channel.send(request))

    def _unreached(self, entries: list[Entry], error: AppUnreachable) -> None:
        for entry in entries:
            try:
                answer(entry.waiting, self.unreachable(error))
            except Undelivered as undelivered:
                entry.waiting.verdict.set_exception(undelivered)


def judge_bulk(response: HttpResponse) -> dict[str, Verdict]:
    """Read the answer to a batch: a verdict for each entry id; ``""`` is that of all others.

    Unlike a single delivery, silence is no success: an entry that is not listed, and every entry
    when the answer cannot be read, comes again. 404 ends the whole batch without dead letters.
    """
    status = response.status
    if status == 404:  # noqa: PLR2004 - not found
        return {"": SUCCESS}
    if not 200 <= status < 300:  # noqa: PLR2004 - the class of success
        return {"": Verdict(Status.RETRY, f"the app answered {status}")}
    try:
        answer = _verdicts.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {"": Verdict(Status.RETRY, "the app's answer lists no statuses")}
    verdicts = {
        entry.entry_id: _GIVEN_UP.get(
            entry.status, Verdict(Status.RETRY, f"the app answered '{entry.status[:32]}'")
        )
        for entry in answer.statuses
    }
    verdicts[""] = Verdict(Status.RETRY, "the app's answer does not list the entry")
    return verdicts


def answer(waiting: Waiting, verdict: Verdict) -> None:
    """Give a message its verdict unless it has one."""
    if not waiting.verdict.done():
        waiting.verdict.set_result(verdict)


def _fail(batch: list[Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.verdict.done():
            waiting.verdict.set_exception(error)


def _parent_of(entries: Sequence[Entry]) -> str | None:
    """Return the ``traceparent`` of the last event that has one, None where no event does."""
    parents = (entry.reading.traceparent for entry in reversed(entries))
    return next((parent for parent in parents if parent is not None), None)


def _plain(message: Message) -> dict[str, str] | None:
    return None if message.metadata is None else dict(message.metadata)
