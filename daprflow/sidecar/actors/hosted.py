"""One actor type on one host: its active actors, their turns and their ends."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeVar

import msgspec

from daprflow.protocol.actors import REENTRANCY_ID
from daprflow.sidecar.actors.host import (
    ActorAnswer,
    ActorCall,
    ActorHost,
    HostAway,
    HostFailed,
    TimerDue,
)
from daprflow.sidecar.actors.settings import TypeSettings
from daprflow.sidecar.actors.turns import Halted, TurnCut, TurnLock
from daprflow.sidecar.clock import Clock, Timer, sleep_until
from daprflow.sidecar.resiliency.deadline import Deadline

if TYPE_CHECKING:
    from daprflow.sidecar.engine import Work
    from daprflow.sidecar.telemetry.metrics import Cell

logger = logging.getLogger(__name__)

T = TypeVar("T")
LONG_WAIT = 5.0
"""Seconds in the queue of an actor after which the log says so."""
FAREWELLS = 64
"""Actors of a leaving host that are told of their end at one time: as many as keep connections."""
UNWINDING = 1.0
"""Seconds of real time that a call which was cut may take to notice."""


class ActiveActor:
    """An actor that has been called and not left.

    Attributes:
        idle_at: when it has had no turn for too long, by the engine's clock.
        doing: what its last turn is about.
    """

    __slots__ = ("doing", "id", "idle_at", "lock")

    def __init__(self, actor_id: str, limit: int | None, idle_at: float) -> None:
        self.id = actor_id
        self.idle_at = idle_at
        self.doing = ""
        self.lock = TurnLock(limit)


class Leave(Enum):
    """How the actors of a host leave.

    ``IN_TIME`` gives turns under way the time of their settings, ``AT_ONCE`` gives them none, and
    ``SILENTLY`` tells the app nothing, either: it is not there to listen.
    """

    IN_TIME = auto()
    AT_ONCE = auto()
    SILENTLY = auto()


@dataclass(frozen=True, slots=True)
class _End:
    """How an actor leaves.

    Attributes:
        drain: seconds that turns under way get.
        leaving: whether its host leaves.
        told: whether the app is told.
    """

    drain: float
    leaving: bool
    told: bool


_IDLE = _End(0.0, leaving=False, told=True)


class HostedType:
    """The actors of one type that one host has.

    Args:
        kind: the type's name.
        app_id: whose sidecar the host belongs to.
        host: takes the calls.
        settings: of this type.
        clock: the engine's.
        work: the engine's; the ends of actors count in it.
        timeout: tells how many seconds a call may take; None is no limit.
        replica: which of the app's sidecars it is.
    """

    def __init__(
        self,
        kind: str,
        app_id: str,
        host: ActorHost,
        settings: TypeSettings,
        *,
        clock: Clock,
        work: "Work",
        timeout: Callable[[], float | None],
        replica: int = 1,
    ) -> None:
        self.kind = kind
        self.app_id = app_id
        self.place = f"{app_id}\n{replica}"
        self._host = host
        self._settings = settings
        self._clock = clock
        self._work = work
        self._timeout = timeout
        self._active: OrderedDict[str, ActiveActor] = OrderedDict()
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._draining: set[str] = set()
        self._farewells = asyncio.Semaphore(FAREWELLS)
        self._untold = 0
        self._ends: set[asyncio.Task[None]] = set()
        self._timer: Timer | None = None
        self._closed = False
        self.waiting: Cell | None = None

    @property
    def count(self) -> int:
        """How many actors are active."""
        return len(self._active)

    def is_active(self, actor_id: str) -> bool:
        """Whether an actor has been called and not left; turns that it may end yet count."""
        return actor_id in self._active or actor_id in self._draining

    # ---- calls ----------------------------------------------------------------------------------

    async def invoke(self, actor_id: str, call: ActorCall) -> ActorAnswer:
        """Call a method in a turn of its own, or in that in which it was asked for.

        Raises:
            HostFailed: it did not work.
            StackTooDeep: the turn has too many calls in it.
            Halted: the actor left, or its host, before the turn began.
            TurnCut: it left in the course of the turn.
        """
        turn_id = call.reentrancy_id
        if self._settings.depth is not None and not turn_id:
            turn_id = call.new_id
        made = call
        if turn_id:
            headers = (*call.headers, (REENTRANCY_ID, turn_id))
            made = replace(call, headers=headers, reentrancy_id=turn_id)
        return await self._turn(
            actor_id,
            turn_id,
            call.method,
            lambda: self._host.invoke(self.kind, actor_id, made),
        )

    async def remind(self, actor_id: str, name: str, data: msgspec.Raw | msgspec.UnsetType) -> None:
        """Deliver a tick of a reminder, in a turn that nothing can come back to."""
        await self._turn(
            actor_id,
            "",
            f"remind/{name}",
            lambda: self._host.remind(self.kind, actor_id, name, data),
        )

    async def fire(self, actor_id: str, timer: TimerDue) -> None:
        """Deliver a tick of a timer, in a turn that nothing can come back to."""
        await self._turn(
            actor_id,
            "",
            f"timer/{timer.name}",
            lambda: self._host.fire(self.kind, actor_id, timer),
        )

    async def _turn(
        self, actor_id: str, turn_id: str, what: str, operation: Callable[[], Awaitable[T]]
    ) -> T:
        actor = self._active.get(actor_id)
        if actor is None:
            actor = await self._activate(actor_id)

        def begin() -> Coroutine[object, object, T]:
            actor.idle_at = self._clock.now() + self._settings.idle
            self._active.move_to_end(actor_id)
            actor.doing = what
            if watch is not None:
                watch.cancel()
            if waiting is not None:
                begun.append(True)
                waiting.value -= 1
            return self._limited(operation)

        begun: list[bool] = []
        watch = self._watch(actor, what) if actor.lock.busy else None
        waiting = self.waiting
        if waiting is not None:
            waiting.value += 1
        try:
            return await actor.lock.run(turn_id, begin)
        finally:
            if waiting is not None and not begun:
                waiting.value -= 1
            if watch is not None:
                watch.cancel()

    def _watch(self, actor: ActiveActor, what: str) -> Timer:
        """Say so when a call has waited long for its turn: it may wait for itself."""

        def tell() -> None:
            logger.warning(
                "'%s' of actor '%s/%s' has waited %g s for the end of '%s'; an actor that calls "
                "itself, also through others, waits for ever unless its type is reentrant",
                what,
                self.kind,
                actor.id,
                LONG_WAIT,
                actor.doing,
            )

        return self._clock.call_at(self._clock.now() + LONG_WAIT, tell)

    async def _limited(self, operation: Callable[[], Awaitable[T]]) -> T:
        timeout = self._timeout()
        if timeout is None:
            return await operation()
        async with Deadline(self._clock, timeout):
            return await operation()

    async def _activate(self, actor_id: str) -> ActiveActor:
        """Take an actor up; one that is just leaving has left before."""
        while (leaving := self._leaving.get(actor_id)) is not None:
            await asyncio.shield(leaving)
        if self._closed:
            raise Halted
        known = self._active.get(actor_id)
        if known is not None:
            return known
        idle_at = self._clock.now() + self._settings.idle
        actor = self._active[actor_id] = ActiveActor(actor_id, self._settings.depth, idle_at)
        self._arm()
        return actor

    # ---- ends -----------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Look after idle actors when the first can be one."""
        if self._timer is None and self._active and not self._closed:
            first = next(iter(self._active.values()))
            self._timer = self._clock.call_at(first.idle_at, self._end_idle)

    def _end_idle(self) -> None:
        self._timer = None
        now = self._clock.now()
        while self._active:
            actor = next(iter(self._active.values()))
            if actor.idle_at > now:
                break
            if actor.lock.busy:
                logger.warning(
                    "a turn of actor '%s/%s' takes longer than its idle timeout of %g s and is cut",
                    self.kind,
                    actor.id,
                    self._settings.idle,
                )
            self._end(actor, _IDLE)
        self._arm()

    def _end(self, actor: ActiveActor, end: "_End") -> None:
        """Have an actor leave; whoever calls it from now on finds another one."""
        del self._active[actor.id]
        loop = asyncio.get_running_loop()
        self._leaving[actor.id] = loop.create_future()
        actor.lock.halt()
        self._work.begin()
        task = loop.create_task(self._deactivate(actor, end))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _deactivate(self, actor: ActiveActor, end: "_End") -> None:
        try:
            if actor.lock.busy:
                self._draining.add(actor.id)
                try:
                    await self._stop(actor.lock, end)
                finally:
                    self._draining.discard(actor.id)
            if end.told:
                await self._tell(actor.id, end)
        finally:
            if actor.lock.busy:
                actor.lock.cut(TurnCut(leaving=end.leaving))
            self._leaving.pop(actor.id).set_result(None)
            self._work.end()

    async def _tell(self, actor_id: str, end: "_End") -> None:
        """Tell an actor of its end, unless its host has gone before all were told."""
        try:
            if not end.leaving:
                await self._host.deactivate(self.kind, actor_id)
                return
            async with self._farewells:
                if self._untold:
                    self._untold += 1
                else:
                    await self._host.deactivate(self.kind, actor_id)
        except HostAway as error:
            self._untold += end.leaving
            level = logging.DEBUG if end.leaving else logging.INFO
            logger.log(level, "actor '%s/%s' has no host to leave: %s", self.kind, actor_id, error)
        except HostFailed as error:
            logger.error("deactivating actor '%s/%s' failed: %s", self.kind, actor_id, error)  # noqa: TRY400 - the text says it all

    async def _stop(self, lock: TurnLock, end: "_End") -> None:
        """Give what is under way its time, then cut it."""
        ended = asyncio.ensure_future(lock.ended())
        if end.drain > 0:
            limit = self._clock.now() + end.drain
            over = asyncio.ensure_future(sleep_until(self._clock, limit))
            try:
                await asyncio.wait({ended, over}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                over.cancel()
        if not ended.done():
            lock.cut(TurnCut(leaving=end.leaving))
            await asyncio.wait({ended}, timeout=UNWINDING)
            ended.cancel()

    async def release(self, ids: Iterable[str] | None = None, how: Leave = Leave.IN_TIME) -> None:
        """Have actors leave, as `dismiss` does, and wait until they have."""
        self.dismiss(ids, how)
        await self.emptied()

    def dismiss(self, ids: Iterable[str] | None = None, how: Leave = Leave.IN_TIME) -> None:
        """Have actors leave: those of ``ids``, or all, and then none comes any more."""
        if ids is None:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            ids = tuple(self._active)
        drain = self._settings.drain if how is Leave.IN_TIME else 0.0
        end = _End(drain, leaving=True, told=how is not Leave.SILENTLY)
        for actor_id in ids:
            actor = self._active.get(actor_id)
            if actor is not None:
                self._end(actor, end)

    async def emptied(self) -> None:
        """Wait until those have left that are leaving; when it is cancelled they leave at once."""
        ends = tuple(self._ends)
        try:
            if ends:
                await asyncio.wait(ends)
        except asyncio.CancelledError:
            for task in ends:
                task.cancel()
            raise
        untold, self._untold = self._untold, 0
        if untold:
            logger.info(
                "app '%s' cannot be reached: actors of type '%s' were not told of their end (%d)",
                self.app_id,
                self.kind,
                untold,
            )

    def leaving(self, actor_id: str) -> asyncio.Future[None] | None:
        """Return what is done when an actor that is leaving has left."""
        return self._leaving.get(actor_id)

    def active_ids(self) -> tuple[str, ...]:
        """Return the ids of all active actors."""
        return tuple(self._active)
