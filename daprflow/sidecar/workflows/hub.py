"""The workflows of an engine: which instances there are, what arrives for them, who runs them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.once import Once
from daprflow.sidecar.workflows import events
from daprflow.sidecar.workflows.alarms import Alarms, Key
from daprflow.sidecar.workflows.homes import Homes
from daprflow.sidecar.workflows.host import Host, Item, WorkStream
from daprflow.sidecar.workflows.instance import Instance
from daprflow.sidecar.workflows.items import TaskItem, Tokens, TurnItem
from daprflow.sidecar.workflows.management import Workflows
from daprflow.sidecar.workflows.steps import Steps
from daprflow.sidecar.workflows.store import Arrival, Changes, Row, WorkflowStore

if TYPE_CHECKING:
    from daprflow.sidecar.engine import Work

logger = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds before an instance is taken up again that could not be written."""
IDLE_LIMIT = 4096
SHED_AMONG = 8
"""Instances that are looked at for one that may be left to the store."""


class WorkflowHub:
    """Instances of all apps of a run, in memory as far as they are needed there.

    Args:
        clock: the engine's.
        work: counts what is under way.
        store: keeps everything.

    Attributes:
        homes: where else apps have their workflows.
        tokens: names turns.
        steps: turns what workers answer into what is kept.
        idle_limit: instances in memory above which those are left to the store that wait.
    """

    def __init__(self, clock: Clock, work: "Work", store: WorkflowStore) -> None:
        self.clock = clock
        self.work = work
        self.store = store
        self.tokens = Tokens()
        self.idle_limit = IDLE_LIMIT
        self.steps = Steps(self)
        self.alarms = Alarms(clock, self._ring)
        self._hosts: dict[str, Host] = {}
        self.live: dict[Key, Instance] = {}
        self.homes = Homes(self)
        self._opening = Once(self._open)
        self._watchers: dict[Key, list[Callable[[Instance], None]]] = {}
        self._closed = False

    async def open(self) -> None:
        """Read what has something to do; calling it again does nothing.

        Raises:
            ComponentError: the store cannot be used.
        """
        await self._opening.open()

    async def _open(self) -> None:
        found = await self.store.open()
        self.homes.open()
        for ready in found:
            self.expect((ready.app_id, ready.instance_id), ready.wake)

    def expect(self, key: Key, wake: float) -> None:
        """Take an instance up when it has something to do, as it is kept."""
        if wake > self.clock.now():
            self.alarms.set(key, wake)
        elif wake:
            self._ring(key)
        else:
            self.homes.visit(key, self.take_up)

    async def close(self) -> None:
        """End every stream, and close the store when all is written."""
        self._closed = True
        self.alarms.close()
        for host in self._hosts.values():
            host.end()
        saving = [each.saving for each in self.live.values() if each.saving is not None]
        if saving:
            await asyncio.wait(saving)
        await self.homes.close()
        if await self._opening.end():
            await self.store.close()
        self.live.clear()

    # ---- hosts ----------------------------------------------------------------------------------

    def host(self, app_id: str) -> Host:
        """Return an app's workers."""
        host = self._hosts.get(app_id)
        if host is None:
            host = Host(app_id, self.work, self._prepare, self._came)
            self._hosts[app_id] = host
        return host

    def _came(self, host: Host) -> None:
        """Let instances go on that waited for other workers."""
        for instance in list(self.live.values()):
            if instance.parked and instance.row.app_id == host.app_id:
                instance.parked = False
                self.pump(instance)

    def _prepare(self, item: Item, stream: WorkStream) -> bool:
        """Fix what a turn is given, when it first goes out."""
        if isinstance(item, TaskItem):
            return True
        instance = item.instance
        if not item.batch:
            start = events.turn_started(self.clock.now())
            if instance.row.generation and not instance.past:
                start.router.sourceAppID = instance.row.app_id
            item.taken = _fitting(instance, stream)
            taken = islice(instance.inbox, item.taken)
            item.batch = (start, *(waiting.event for waiting in taken))
        return self.steps.fits(item, stream)

    def of_app(self, app_id: str, namespace: str) -> Workflows:
        """Return what clients can do with the workflows of an app."""
        return Workflows(self, app_id, namespace)

    # ---- instances ------------------------------------------------------------------------------

    def find(self, app_id: str, instance_id: str) -> Instance | None:
        """Return an instance; one that is over is read anew each time."""
        instance = self.live.get((app_id, instance_id))
        if instance is not None:
            return instance
        if self.homes.has(app_id):
            return self.homes.known(app_id, instance_id)
        row = self.store.find(app_id, instance_id)
        if row is None:
            return None
        instance = Instance(row)
        instance.restore(self.store.history(row.id), self.store.inbox(row.id))
        self.take_in(instance)
        return instance

    def take_in(self, instance: Instance) -> None:
        """Have an instance in memory that was read, if anything may happen with it."""
        tasks = instance.open_tasks()
        if instance.execution.completed is None or tasks:
            self.live[instance.key] = instance
            instance.roused = instance.wake() == 0.0
            self._set_alarm(instance)
            for scheduled in tasks:
                self.begin_task(instance, scheduled)
            if instance.inbox:  # who looked for it may want something else than that it goes on
                asyncio.get_running_loop().call_soon(self._go_on, instance)
            if len(self.live) > self.idle_limit:
                self._shed()

    def _shed(self) -> None:
        """Leave one that waits to the store: whoever looks at many has them all read."""
        for key in tuple(islice(self.live, min(SHED_AMONG, len(self.live) - 1))):
            instance = self.live.pop(key)
            if instance.is_idle:
                return
            self.live[key] = instance

    def _go_on(self, instance: Instance) -> None:
        if self.live.get(instance.key) is instance and not self._closed:
            self.pump(instance)

    def admit(
        self, app_id: str, start: wf.HistoryEvent, changes: Changes, received: bytes | None = None
    ) -> Instance:
        """Make a new instance; it begins with `pump`, when ``changes`` are kept.

        Args:
            app_id: the app that runs it.
            start: how it begins.
            changes: what is kept together with it.
            received: the history that is passed on to it.
        """
        instance_id = start.executionStarted.workflowInstance.instanceId
        if not start.HasField("router"):
            start.router.sourceAppID = app_id
        instance = Instance(self._new_row(app_id, instance_id, received))
        key = self.store.next_key()
        instance.arrive(start, key)
        instance.roused = instance.begins_at() == 0.0
        changes.insert(instance.row, instance.begins_at())
        changes.arrive(instance.row, Arrival(key, start.SerializeToString()))
        self.live[instance.key] = instance
        return instance

    def adopt(
        self,
        app_id: str,
        instance_id: str,
        history: Sequence[wf.HistoryEvent],
        changes: Changes,
        received: bytes | None,
    ) -> Instance:
        """Make an instance that begins with a history; it goes on when that is kept."""
        instance = Instance(self._new_row(app_id, instance_id, received))
        number, data = instance.grow(history)
        changes.insert(instance.row, 0.0)
        changes.append(instance.row, number, data)
        self.live[instance.key] = instance
        return instance

    def _new_row(self, app_id: str, instance_id: str, received: bytes | None) -> Row:
        kept = self.homes.keep(app_id, instance_id, received)
        return Row(self.store.next_row(), app_id, instance_id, 0, None, received, kept)

    def begin_task(self, instance: Instance, scheduled: wf.HistoryEvent) -> None:
        """Have an activity done."""
        target = scheduled.router.targetAppID or instance.row.app_id
        item = TaskItem(instance, scheduled, target)
        instance.tasks[scheduled.eventId] = item
        host = self.host(target)
        if target != instance.row.app_id and not host.streams and not host.missed:
            host.missed = True
            logger.info(
                "activity '%s' of workflow '%s' waits for app '%s', which does not run here",
                scheduled.taskScheduled.name,
                instance.row.instance_id,
                target,
            )
        host.offer(item)

    def forget(self, instance: Instance) -> None:
        """Take an instance out of memory, with all that is under way of it."""
        instance.gone = True
        host = self.host(instance.row.app_id)
        if instance.turn is not None:
            host.finish(instance.turn)
            instance.turn = None
        for task in instance.tasks.values():
            self.host(task.app_id).finish(task)
        instance.tasks.clear()
        host.forget(instance.row.instance_id)
        if self.live.get(instance.key) in {instance, None}:
            self.live.pop(instance.key, None)
            self.homes.forget(instance.key)
            self.alarms.set(instance.key, None)

    # ---- what arrives ---------------------------------------------------------------------------

    def add(self, instance: Instance, event: wf.HistoryEvent) -> asyncio.Future[None]:
        """Let an event arrive; done when it is kept."""
        changes = Changes()
        self.enter(instance, event, changes)
        if instance.execution.completed is not None:
            changes.update(instance.row, instance.wake())
        future = self.commit(instance, changes)
        self.pump(instance)
        return future

    def enter(self, instance: Instance, event: wf.HistoryEvent, changes: Changes) -> None:
        """Put an event into an inbox."""
        key = self.store.next_key()
        instance.arrive(event, key)
        changes.arrive(instance.row, Arrival(key, event.SerializeToString()))
        unsure = not instance.roused or instance.saving is not None  # which may yet fail
        if unsure and instance.execution.completed is None:
            instance.roused = True
            instance.described = None
            changes.rouse(instance.row)

    def commit(self, instance: Instance, changes: Changes) -> asyncio.Future[None]:
        """Hand changes over that concern an instance first of all."""
        future = self.store.commit(changes)
        instance.saving = future
        future.add_done_callback(partial(self._saved, instance))
        return future

    def _saved(self, instance: Instance, future: asyncio.Future[None]) -> None:
        if instance.saving is future:
            instance.saving = None
        if future.cancelled() or (error := future.exception()) is None:
            if instance.gone:
                self.read_again(instance)
            elif instance.execution.completed is not None and instance.is_idle:
                self.live.pop(instance.key, None)
            return
        logger.error("workflow '%s' could not be written: %s", instance.row.instance_id, error)
        if not instance.gone:
            self.give_up(instance)

    def give_up(self, instance: Instance, delay: float = RETRY) -> None:
        """Take an instance out of memory that could not go on, and up again in a while.

        While a step of it is on its way it is not read: what is kept is about to change.
        """
        self.forget(instance)
        if instance.is_stepping:
            self.live[instance.key] = instance
        elif not self._closed:
            self.alarms.set(instance.key, self.clock.now() + delay)

    def read_again(self, written: Instance) -> None:
        """Read an instance again that was written though an earlier write had failed.

        What is in memory of it may have been read between the two.
        """
        live = self.live.get(written.key)
        if live is not None and live.row.id == written.row.id:
            if live.is_stepping:
                self.give_up(live)
                return
            self.forget(live)
        if not self._closed:
            again = partial(self.homes.visit, written.key, self._read_again)
            asyncio.get_running_loop().call_soon(again)

    def _read_again(self, key: Key) -> None:
        instance = self.take_up(key)
        if instance is not None:
            self._retain(instance)
            self.tell(instance)

    # ---- what is to be done ---------------------------------------------------------------------

    def pump(self, instance: Instance) -> None:
        """Offer an instance's next turn, if there is something for it and none is under way."""
        if instance.turn is not None or instance.gone or instance.parked:
            return  # what is due then arrives when that is over
        if instance.execution.completed is not None:
            if instance.is_idle:
                self.live.pop(instance.key, None)
            return
        instance.fire(self.clock.now())
        self._set_alarm(instance)
        if instance.inbox and instance.begins_at() <= self.clock.now():
            instance.turn = TurnItem(instance, self.tokens.next())
            self.host(instance.row.app_id).offer(instance.turn)
        elif len(self.live) > self.idle_limit and instance.is_idle:
            del self.live[instance.key]

    def _set_alarm(self, instance: Instance) -> None:
        if instance.execution.completed is None:
            begun = instance.execution.started is not None
            due = instance.next_timer() if begun else instance.begins_at()
            self.alarms.set(instance.key, due or None)

    def _ring(self, key: Key) -> None:
        self.homes.visit(key, self.ring)

    def ring(self, key: Key) -> None:
        """Do what an instance waits for whose time has come: one that is over is forgotten."""
        instance = self.take_up(key)
        if instance is not None:
            self._retain(instance)

    def _retain(self, instance: Instance) -> None:
        """Forget an instance that was kept long enough; the alarm may have been for another thing.

        A timer may ring while the end is being kept, of which nobody knows yet.
        """
        if instance.execution.completed is None or instance.tasks or instance.saving is not None:
            return
        until = self.store.wake(instance.row)
        if not until:
            return
        if until > self.clock.now():
            self.alarms.set(instance.key, until)
            return
        logger.info("workflow '%s' was kept long enough and is forgotten", instance.row.instance_id)
        self.purge([instance]).add_done_callback(partial(self._saved, instance))

    def take_up(self, key: Key) -> Instance | None:
        """Have an instance go on, if it is there."""
        instance = self.find(*key)
        if instance is not None and instance.execution.completed is None:
            self.pump(instance)
        return instance

    def purge(self, instances: Sequence[Instance]) -> asyncio.Future[None]:
        """Forget instances, and all that is kept of them."""
        changes = Changes()
        for instance in instances:
            self.forget(instance)
            changes.drop(instance.row)
        return self.store.commit(changes)

    # ---- who waits ------------------------------------------------------------------------------

    async def until(
        self, app_id: str, instance_id: str, condition: Callable[[Instance], bool]
    ) -> Instance:
        """Wait until an instance exists and is as it should be."""
        held = await self.homes.fetch((app_id, instance_id))
        while (instance := self.find(app_id, instance_id)) is not None:
            await instance.settled()
            if instance.gone:  # it could not be kept as it was in memory
                held = await self.homes.fetch((app_id, instance_id))
                continue
            if condition(instance):
                return instance
            break
        del held
        found: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()

        def look(changed: Instance) -> None:
            if not found.done() and condition(changed):
                found.set_result(changed)

        watchers = self._watchers.setdefault((app_id, instance_id), [])
        watchers.append(look)
        try:
            return await found
        finally:
            watchers.remove(look)
            if not watchers:
                self._watchers.pop((app_id, instance_id), None)

    def tell(self, instance: Instance) -> None:
        """Let those know who wait for an instance that it changed."""
        for look in tuple(self._watchers.get(instance.key, ())):
            look(instance)


def _fitting(instance: Instance, stream: WorkStream) -> int:
    """Return how many events of an inbox a turn is given: all that a message holds.

    A worker that does not take histories in pages is given all, and stalls, as in a real runtime.
    """
    if stream.paged:
        size = len(instance.row.received or b"")
        for count, waiting in enumerate(instance.inbox):
            size += waiting.event.ByteSize()
            if count and not stream.holds(size):
                return count
    return len(instance.inbox)
