"""The events of one topic that wait for one consumer group, and who works them off."""

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from daprflow.sidecar.clock import Clock, Timer
from daprflow.sidecar.components.base import (
    ComponentError,
    Message,
    Nack,
    Receive,
    Undelivered,
)
from daprflow.sidecar.components.event_lanes import Lanes
from daprflow.sidecar.components.event_log import SEQUENCE_BITS, EventLog, Group, StoredEvent
from daprflow.sidecar.components.event_sharing import AWAY_PAUSE, Sharing

logger = logging.getLogger(__name__)

WINDOW = 512
WINDOW_SIZE = 16 * 1024 * 1024
PAGE = 256
PAGE_SIZE = 4 * 1024 * 1024
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
NARROW, NARROW_SIZE = 8, 64 * 1024
"""How much is read where the windows of all queues are full."""


NORMAL = 32
"""Events that a subscriber takes at one time; who takes more has them in batches, or on a stream,
so that each of them is less of a burden."""


@dataclass(slots=True)
class Subscriber:
    """One who takes events of the group; ``held_up`` is told when others wait for those it has.

    Attributes:
        room: how many it may have now: its limit; none while it is away, and others take them.
        back: when it is tried again then, with one event first.
    """

    receive: Receive
    limit: int
    held_up: Callable[[], None] | None = None
    running: int = 0
    room: int = field(init=False)
    back: Timer | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    stopped: bool = False
    weight: float = field(init=False)

    def __post_init__(self) -> None:
        many = max(1, self.limit // NORMAL)
        self.weight = 1 / (1 << many.bit_length() - 1)  # a power of two: its sums are exact
        self.room = self.limit

    def come_back(self, room: int) -> None:
        """Have it take events again, so many at one time."""
        self.room = room
        if self.back is not None:
            self.back.cancel()
            self.back = None


class EventQueue:
    """Hands the events of one group to its subscribers, in publish order, several at one time.

    The log keeps every event until it is done; here only a window of those that come next is in
    memory. A failed event waits aside for its next attempt, so that none blocks another; but events
    of one partition key (``partitionKey`` in the metadata) go one at a time, each when the one
    before it is done.

    Attributes:
        group: whose events they are.
        held: what is under way, by weight.
        unwanted_after: the key after which events come that no subscriber is expected for, so that
            those must be bounded; None while there is or will be one.
    """

    def __init__(
        self, pubsub: str, group: Group, log: EventLog, clock: Clock, sharing: Sharing
    ) -> None:
        self.group = group
        self.held = 0.0
        self.unwanted_after: int | None = None
        self._pubsub = pubsub
        self._log = log
        self._clock = clock
        self._sharing = sharing
        self._turns = sharing.of(group.consumer)
        self._base = group.id << SEQUENCE_BITS
        self._sequence = self._base + group.last
        self._subscribers: list[Subscriber] = []
        self._next_subscriber = 0
        self._unbegun = 0
        self._under_way = 0
        self._window: deque[StoredEvent] = deque()
        self._window_size = 0
        self._read_to = self._base
        self._behind = False
        self._again: list[tuple[int, int]] = []
        self._lanes = Lanes()
        self._waiting: list[tuple[float, int, int]] = []
        self._timer: Timer | None = None
        self._timer_due = 0.0
        self._away = False
        self._probing = False

    @property
    def taken(self) -> bool:
        """Whether anybody takes events now."""
        return bool(self._subscribers)

    def give_to(self, group: Group) -> None:
        """Have another consumer for all that waits."""
        self.group = group
        self._turns = self._sharing.of(group.consumer)

    def leave(self) -> None:
        """Expect no subscriber for what is published from now on; what waits already stays."""
        self.unwanted_after = self._sequence

    def make_event(self, message: Message, expires: float | None) -> StoredEvent:
        """Return ``message`` as an event of this group, numbered next."""
        self._sequence += 1
        return StoredEvent(
            self._sequence, message.data, message.metadata, message.content_type, expires=expires
        )

    def accept(self, event: StoredEvent) -> None:
        """Take over an event that the log keeps now."""
        if not self._subscribers or event.key <= self._read_to:
            return
        if self._behind or (
            self._log.bounded
            and (
                len(self._window) >= WINDOW
                or self._window_size >= WINDOW_SIZE
                or self._sharing.full
            )
        ):
            self._behind = True
        else:
            self._keep(event)
        self.pump()

    async def add(self, subscriber: Subscriber) -> None:
        """Begin to hand events to ``subscriber``; the first one finds the backlog."""
        await self._log.flush()
        self._subscribers.append(subscriber)
        self.unwanted_after = None
        if len(self._subscribers) == 1:
            self._read_to = self._base
            self._behind = True
        self.pump()

    async def remove(self, subscriber: Subscriber) -> None:
        """Stop handing events to ``subscriber`` and wait for those it has."""
        subscriber.stopped = True
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)
        subscriber.come_back(0)
        if not self._subscribers:
            self._forget_memory()
        if subscriber.tasks:
            await asyncio.wait(subscriber.tasks)
        self.pump()

    def _forget_memory(self) -> None:
        """Drop what is in memory only for speed: the log has it all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._away = self._probing = False
        self._turns.forget(self)
        self._sharing.hold(-len(self._window), -self._window_size)
        self._window.clear()
        self._window_size = 0
        self._again.clear()
        self._waiting.clear()
        self._lanes.clear()

    # ---- choosing -------------------------------------------------------------------------------

    def pump(self) -> None:
        """Start as many deliveries as there are events and room."""
        while not self._away and (subscriber := self._free()) is not None:
            if not self._turns.enter(self, subscriber.weight):
                self._tell_held_up()
                return
            event = self._take()
            if event is None:
                self._turns.leave(self, subscriber.weight)
                if self._lanes.holding:
                    self._tell_held_up()
                return
            self._next_subscriber += 1
            handling = subscriber.receive(self._message(event))
            subscriber.running += 1
            self._unbegun += 1
            self._under_way += 1
            task = asyncio.get_running_loop().create_task(self._work(subscriber, event, handling))
            subscriber.tasks.add(task)
            task.add_done_callback(subscriber.tasks.discard)

    def _tell_held_up(self) -> None:
        for subscriber in self._subscribers:
            if subscriber.held_up is not None:
                subscriber.held_up()

    def _free(self) -> Subscriber | None:
        """Return the next subscriber, in turn, that has room."""
        if self._probing and self._under_way:
            return None
        count = len(self._subscribers)
        for step in range(count):
            subscriber = self._subscribers[(self._next_subscriber + step) % count]
            if subscriber.running < subscriber.room:
                return subscriber
        return None

    def _take(self) -> StoredEvent | None:
        """Return the event that comes next; expired ones are dropped on the way."""
        try:
            while (event := self._next()) is not None:
                if event.expires is None or event.expires > self._clock.now():
                    return event
                self._done(event.key)
        except ComponentError as error:
            logger.error("events on '%s/%s' wait: %s", self._pubsub, self.group.topic, error)  # noqa: TRY400 - the text says it all
            self._try_later()
        return None

    def _next(self) -> StoredEvent | None:
        """Return the event that comes next; those that others of their key hold up go aside."""
        while (event := self._repeated() or self._new()) is not None:
            if self._lanes.enter(event):
                return event
        return None

    def _repeated(self) -> StoredEvent | None:
        """Return the first event whose turn has come again."""
        while self._again:
            key, attempt = self._again[0]
            event = self._log.find(key)  # where this fails, the event stays the first in line
            heapq.heappop(self._again)
            if event is not None:
                event.attempt = attempt
                return event
            self._follow(key)
        return None

    def _new(self) -> StoredEvent | None:
        """Return the first event that was not taken up yet."""
        if self._lanes.full:
            return None
        if not self._window and self._behind:
            self._read_page()
        if not self._window:
            return None
        event = self._window.popleft()
        self._window_size -= len(event.data)
        self._sharing.hold(-1, -len(event.data))
        return event

    def _keep(self, event: StoredEvent) -> None:
        """Put an event into the window."""
        self._read_to = event.key
        self._window.append(event)
        self._window_size += len(event.data)
        self._sharing.hold(1, len(event.data))

    def _read_page(self) -> None:
        """Fill the window from the log; events that wait for a later attempt go aside."""
        now = self._clock.now()
        while self._behind and not self._window:
            page = (NARROW, NARROW_SIZE) if self._sharing.full else (PAGE, PAGE_SIZE)
            events = self._log.page(self.group.id, self._read_to, *page)
            if not events:
                self._behind = False
                return
            for event in events:
                self._read_to = event.key
                if event.due > now:
                    if self._lanes.enter(event):
                        self._wait(event.due, event.key, event.attempt)
                else:
                    self._keep(event)

    # ---- delivering -----------------------------------------------------------------------------

    def _message(self, event: StoredEvent) -> Message:
        return Message(
            self.group.topic,
            event.data,
            event.metadata,
            event.content_type,
            event.attempt + 1,
            event.key - self._base,
        )

    async def _work(
        self, subscriber: Subscriber, event: StoredEvent, handling: Awaitable[None]
    ) -> None:
        """Deliver one event, then what comes next until nothing does."""
        self._unbegun -= 1
        while True:
            await self._settle(subscriber, event, handling)
            if self._unbegun:
                await asyncio.sleep(0)  # events taken up before begin before the next one
            ends = (
                subscriber.running > subscriber.room  # it is away, or has stopped
                or self._away
                or self._probing
                or self._turns.crowded(self)
            )
            following = None if ends else self._take()
            if following is None:
                subscriber.running -= 1
                self._under_way -= 1
                self._turns.leave(self, subscriber.weight)
                self.pump()  # there may be news since, and room again
                return
            event, handling = following, subscriber.receive(self._message(following))
            if subscriber.held_up is not None and self._lanes.holding:
                self.pump()  # which tells of it once nothing else can come

    async def _settle(
        self, subscriber: Subscriber, event: StoredEvent, handling: Awaitable[None]
    ) -> None:
        try:
            await handling
        except Undelivered as reason:
            self._hold(subscriber, event, reason)
        except Nack as nack:
            self._arrived(subscriber)
            self._postpone(event, str(nack))
        except Exception as error:
            logger.exception("handling an event on '%s/%s' failed", self._pubsub, self.group.topic)
            self._postpone(event, str(error))
        else:
            self._arrived(subscriber)
            self._done(event.key)

    def _done(self, key: int) -> None:
        """Forget an event; who waited behind it is next."""
        self._log.forget(key)
        self._follow(key)

    def _follow(self, key: int) -> None:
        following = self._lanes.leave(key)
        if following is not None:
            heapq.heappush(self._again, following)

    def _hold(self, subscriber: Subscriber, event: StoredEvent, reason: Undelivered) -> None:
        """Give an event back that did not get to the app; this was no attempt."""
        if not self._subscribers:
            return
        heapq.heappush(self._again, (event.key, event.attempt))
        if subscriber.stopped or self._away:
            return
        if self._subscribers != [subscriber]:
            self._pass_by(subscriber, reason)
        else:
            if self._turns.news(str(reason)):
                logger.warning(
                    "events on '%s/%s' for '%s' are kept until they can be delivered: %s; where "
                    "this does not pass by itself, the app's log tells why",
                    self._pubsub,
                    self.group.topic,
                    self.group.consumer,
                    reason,
                )
            self._try_later()

    def _pass_by(self, subscriber: Subscriber, reason: Undelivered) -> None:
        """Hand nothing to a subscriber for a while; while all are away, try none."""
        if subscriber.back is None:
            if self._turns.news(str(reason)):
                logger.info(
                    "events on '%s/%s' for '%s' go to its other replicas: %s",
                    self._pubsub,
                    self.group.topic,
                    self.group.consumer,
                    reason,
                )
            due = self._clock.now() + AWAY_PAUSE
            subscriber.back = self._clock.call_at(due, partial(self._try_again, subscriber))
        subscriber.room = 0
        if not any(each.room for each in self._subscribers):
            self._try_later()

    def _try_again(self, subscriber: Subscriber) -> None:
        subscriber.come_back(1)
        self.pump()

    def _try_later(self) -> None:
        if not self._away:
            self._away = True
            self._turns.absent(self)

    def look_again(self) -> None:
        """Try with one event whether it gets to the app."""
        self._away, self._probing = False, True
        for subscriber in self._subscribers:
            subscriber.come_back(subscriber.room or 1)
        self.pump()
        self._tell_held_up()  # nothing joins what is tried
        if not self._under_way:
            self._probing = False  # nothing is left to try with

    def _arrived(self, subscriber: Subscriber) -> None:
        """Note that an event got to the app; those that waited for this go on."""
        if subscriber.room != subscriber.limit and not subscriber.stopped:
            subscriber.come_back(subscriber.limit)
            if not self._probing:
                self.pump()
        if self._probing:
            self._probing = False
            self._turns.present()
            self.pump()

    def _postpone(self, event: StoredEvent, reason: str) -> None:
        """Note a failed attempt; the next one is due later each time."""
        event.attempt += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(event.attempt - 1, 16))
        event.due = self._clock.now() + pause
        logger.warning(
            "an event on '%s/%s' for '%s' failed (attempt %d), the next attempt is in %g s: %s",
            self._pubsub,
            self.group.topic,
            self.group.consumer,
            event.attempt,
            pause,
            reason,
        )
        self._log.postpone(event)
        if self._subscribers:
            self._wait(event.due, event.key, event.attempt)

    def _wait(self, due: float, key: int, attempt: int) -> None:
        heapq.heappush(self._waiting, (due, key, attempt))
        if self._timer is None or due < self._timer_due:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._timer_due = self._waiting[0][0]
            self._timer = self._clock.call_at(self._timer_due, self._come_due)

    def _come_due(self) -> None:
        self._timer = None
        now = self._clock.now()
        while self._waiting and self._waiting[0][0] <= now:
            _, key, attempt = heapq.heappop(self._waiting)
            heapq.heappush(self._again, (key, attempt))
        self._arm()
        self.pump()
