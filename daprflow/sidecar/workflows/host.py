"""The workers of one app: streams that take what is offered, each item by one of them."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from daprflow.protocol.configuration_file import WorkflowConfiguration
from daprflow.sidecar.workflows.items import TaskItem, TurnItem
from daprflow.sidecar.workflows.named_limits import NamedLimits

if TYPE_CHECKING:
    from daprflow.sidecar.engine import Work
    from daprflow.sidecar.workflows.instance import Instance
    from daprflow.sidecar.workflows.watch import WorkflowWatch

Item = TurnItem | TaskItem
SHARE = 95
"""Per cent of a message's limit that a turn or an activity may fill, as in the real runtime."""
WARM_LIMIT = 100_000
"""Instances of which it is remembered how much a stream has; one left out is sent as a whole."""


class StreamEnded(Exception):  # noqa: N818 - named for what happened
    """The sidecar ends a stream."""


class WorkStream:
    """One worker's stream.

    Args:
        stateful: whether the worker keeps histories between turns.
        limit: bytes that a message may have; negative means no limit.
        paged: whether the worker asks for histories, page by page, that no message can hold.
        replica: which of the app's sidecars the stream came to.
    """

    def __init__(
        self, *, stateful: bool, limit: int, paged: bool = False, replica: int = 1
    ) -> None:
        self.stateful = stateful
        self.limit = limit
        self.paged = paged
        self.replica = replica
        self.held: set[Item] = set()
        self.own: deque[TurnItem] = deque()
        self.news: asyncio.Future[None] | None = None
        self.ended = False
        self._warm: dict[str, tuple[int, int, int]] = {}

    def holds(self, size: int) -> bool:
        """Tell whether a message may be filled with so many bytes."""
        return self.limit < 0 or size * 100 <= self.limit * SHARE

    def known(self, instance: "Instance") -> int:
        """Return how many past events of an instance the worker has."""
        row = instance.row
        known = self._warm.get(row.instance_id)
        if known is None or known[:2] != (row.id, row.generation):
            return 0
        return known[2]

    def learn(self, instance: "Instance") -> None:
        """Note that the worker gets all past events of an instance now."""
        if self.stateful:
            row = instance.row
            self._warm.pop(row.instance_id, None)
            self._warm[row.instance_id] = (row.id, row.generation, instance.past)
            if len(self._warm) > WARM_LIMIT:
                del self._warm[next(iter(self._warm))]

    def forget(self, instance_id: str) -> None:
        """Have the whole history sent the next time."""
        self._warm.pop(instance_id, None)

    def tell(self) -> None:
        """Let the stream look for items."""
        if self.news is not None and not self.news.done():
            self.news.set_result(None)


class Host:
    """What one app's workers have to do, and who of them does it.

    A turn goes to the stream that had the last one of its instance, anything else to whoever takes
    it first. What a stream had when it ended is offered again at once.

    Args:
        app_id: the app.
        work: counts what is to be done while there is somebody to do it.
        prepare: called with an item before it goes to a stream; False where it must not.
        came: called when a worker came.

    Attributes:
        streams: those of the workers that are connected.
        settings: how much they are given at one time, and how long their instances are kept.
        missed: whether it was told that somebody calls the app while no worker is there.
    """

    def __init__(
        self,
        app_id: str,
        work: "Work",
        prepare: Callable[[Item, WorkStream], bool],
        came: Callable[["Host"], None],
    ) -> None:
        self.app_id = app_id
        self.streams: list[WorkStream] = []
        self.settings = WorkflowConfiguration()
        self.watch: WorkflowWatch | None = None
        self.missed = False
        self._work = work
        self._prepare = prepare
        self._came = came
        self._turns: deque[TurnItem] = deque()
        self._tasks: deque[TaskItem] = deque()
        self._items: set[Item] = set()
        self._tasks_by_id: dict[tuple[str, int], list[TaskItem]] = {}
        self._order = itertools.count(1)
        self._running = {True: 0, False: 0}
        self._by_name = NamedLimits()
        self._sticky: dict[str, WorkStream] = {}
        self._awaiting: dict[asyncio.Future[None], None] = {}

    @property
    def is_hosted(self) -> bool:
        """Whether a worker is connected."""
        return bool(self.streams)

    # ---- items ----------------------------------------------------------------------------------

    def offer(self, item: Item) -> None:
        """Have an item done."""
        item.order = next(self._order)
        self._items.add(item)
        if self.streams:
            self._work.begin()
        if isinstance(item, TaskItem):
            self._tasks_by_id.setdefault((item.instance_id, item.task_id), []).append(item)
        self._queue(item)

    def finish(self, item: Item) -> None:
        """Note that an item is done, or that nobody needs it any more."""
        if item not in self._items:
            return
        item.done = True
        self._items.discard(item)
        if isinstance(item, TaskItem):
            self._unlist(item)
        self._give_up(item)
        if self.streams:
            self._work.end()

    def task(self, instance_id: str, task_id: int, token: str) -> TaskItem | None:
        """Return the activity that an answer is about."""
        for item in self._tasks_by_id.get((instance_id, task_id), ()):
            if not token or item.token == token:
                return item
        return None

    def _unlist(self, item: TaskItem) -> None:
        key = (item.instance_id, item.task_id)
        items = self._tasks_by_id[key]
        items.remove(item)
        if not items:
            del self._tasks_by_id[key]

    def _queue(self, item: Item) -> None:
        if isinstance(item, TaskItem):
            self._tasks.append(item)
        else:
            owner = self._sticky.get(item.instance_id)
            if item.instance.refused:
                owner = self.untried(item.instance)
            if owner is not None:
                owner.own.append(item)
                owner.tell()
                return
            self._turns.append(item)
        self._tell_one()

    def _queue_following(self, item: Item | None) -> None:
        if item is not None:
            self._queue(item)

    def _give_up(self, item: Item) -> None:
        """Note that no stream has an item any more."""
        stream, item.stream = item.stream, None
        if stream is not None:
            stream.held.discard(item)
            limits = self.settings
            self._queue_following(self._by_name.leave(item))
            limit = limits.max_workflows if item.is_turn else limits.max_activities
            self._running[item.is_turn] -= 1
            if limit and self._running[item.is_turn] == limit - 1:
                self._tell_one()
                for other in self.streams:
                    if other.own:
                        other.tell()

    def _tell_one(self) -> None:
        """Let one of the streams that wait look for items; they take turns."""
        for index, stream in enumerate(self.streams):
            if stream.news is not None and not stream.news.done():
                stream.tell()
                self.streams.append(self.streams.pop(index))
                return

    # ---- streams --------------------------------------------------------------------------------

    def attach(self, stream: WorkStream) -> None:
        """Give items to a stream from now on."""
        if not self.streams:
            for _ in self._items:
                self._work.begin()
        self.streams.append(stream)
        awaiting, self._awaiting = self._awaiting, {}
        for waiter in awaiting:
            if not waiter.done():
                waiter.set_result(None)
        self._came(self)

    def detach(self, stream: WorkStream) -> None:
        """Offer what a stream had to others."""
        if stream not in self.streams:
            return
        self.streams.remove(stream)
        stream.ended = True
        owned = [each for each, owner in self._sticky.items() if owner is stream]
        for instance_id in owned:
            del self._sticky[instance_id]
        if not self.streams:
            for _ in self._items:
                self._work.end()
        lost = sorted((*stream.held, *stream.own), key=lambda item: item.order)
        stream.own.clear()
        for item in lost:
            self._give_up(item)
            if not item.done:
                self._queue(item)
        if self._turns or self._tasks:  # it may have been told of them, and left before it looked
            self._tell_one()

    def end(self, replica: int | None = None) -> None:
        """End the streams of one sidecar, or every stream."""
        for stream in self.streams:
            if replica in {None, stream.replica}:
                stream.ended = True
                stream.tell()

    def count(self, replica: int) -> int:
        """Return how many streams came to one sidecar."""
        return sum(stream.replica == replica for stream in self.streams)

    async def appears(self) -> None:
        """Wait for a worker."""
        while not self.streams:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaiting[waiter] = None
            try:
                await waiter
            finally:
                self._awaiting.pop(waiter, None)

    async def next(self, stream: WorkStream) -> bytes:
        """Wait for the next item for a stream.

        Raises:
            StreamEnded: the sidecar ends the stream.
        """
        while not stream.ended:
            while (item := self._pick(stream)) is not None:
                if item.done:
                    self._queue_following(self._by_name.after(item))
                    continue
                if not self._by_name.enter(item, self.settings):
                    continue
                if not self._prepare(item, stream):
                    self._queue_following(self._by_name.leave(item))
                    continue
                item.stream = stream
                stream.held.add(item)
                self._running[item.is_turn] += 1
                if item.is_turn:
                    self._sticky[item.instance_id] = stream
                if self.watch is not None and isinstance(item, TaskItem):
                    self.watch.sent(item)
                return item.encode(stream)
            stream.news = asyncio.get_running_loop().create_future()
            await stream.news
        raise StreamEnded

    def untried(self, instance: "Instance") -> WorkStream | None:
        """Return a stream whose worker was not found unable to go on with an instance."""
        return next((each for each in self.streams if each not in instance.refused), None)

    def forget(self, instance_id: str) -> None:
        """Note that an instance is over: whoever has it need not have the next of its name."""
        owner = self._sticky.pop(instance_id, None)
        if owner is not None:
            owner.forget(instance_id)

    def _pick(self, stream: WorkStream) -> Item | None:
        """Return the oldest item that a stream may have, within the limits of the app."""
        queues: list[deque[TurnItem] | deque[TaskItem]] = []
        limits = self.settings
        if not limits.max_workflows or self._running[True] < limits.max_workflows:
            queues += (stream.own, self._turns)
        if not limits.max_activities or self._running[False] < limits.max_activities:
            queues.append(self._tasks)
        first = min(
            (queue for queue in queues if queue), key=lambda queue: queue[0].order, default=None
        )
        return None if first is None else first.popleft()
