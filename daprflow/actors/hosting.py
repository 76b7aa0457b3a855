"""The actors of one type that are in memory: activation, turns, deactivation."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from daprflow.actors.memory import Memory
from daprflow.actors.plan import ActorCall, ActorPlan
from daprflow.actors.saving import Keeper
from daprflow.actors.turn import CHAIN_HEADER, TURN, Savepoint, Turn
from daprflow.handlers.handler import Outcome
from daprflow.handlers.verdicts import DONE
from daprflow.protocol.actors import REENTRANCY_ID

if TYPE_CHECKING:
    from daprflow.actors.actor import Actor
    from daprflow.client import Client

logger = logging.getLogger(__name__)

Work = Callable[[Turn, "Actor[Any]"], Awaitable[Outcome]]
"""What is done in a turn, and answered when it is saved."""

PATIENCE = 5.0
"""Seconds that actors may take to go when their app ends."""
_REENTRANCY_ID = REENTRANCY_ID.encode()
_CHAIN = CHAIN_HEADER.encode()


class CallerLost(Exception):  # noqa: N818 - named for the caller
    """Nobody waits for the answer any more, so the turn is given up."""


class TornTurn(Exception):  # noqa: N818 - named for the turn
    """Calls that came back into a turn at once changed its state, and one of them failed."""


class Activation:
    """One actor in memory.

    Attributes:
        actor: None until it is activated.
        lock: held by its turn; calls wait in order.
        is_gone: whether it was deactivated while calls waited.
        is_stale: whether somebody else may have changed its state.
    """

    __slots__ = ("actor", "is_gone", "is_stale", "lock", "memory")

    def __init__(self, memory: Memory) -> None:
        self.memory: Memory = memory
        self.actor: Actor[Any] | None = None
        self.lock: asyncio.Lock = asyncio.Lock()
        self.is_gone: bool = False
        self.is_stale: bool = False


class _Timed:
    """A lock that tells how long it was waited for."""

    __slots__ = ("_lock", "_waited")

    def __init__(self, lock: asyncio.Lock, waited: Callable[[float], None]) -> None:
        self._lock = lock
        self._waited = waited

    async def __aenter__(self) -> None:
        began = time.perf_counter()
        await self._lock.acquire()
        self._waited(time.perf_counter() - began)

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


class TypeHost:
    """Holds the actors of one type.

    Attributes:
        now: the time by which parts of a state expire, in epoch seconds.
        is_reentrant: whether a call may come back to an actor in whose turn it began.
        waited: told the seconds that each call waited for the turns before its own; None: nobody.
    """

    def __init__(self, plan: ActorPlan) -> None:
        self.plan = plan
        self.keeper: Keeper = Keeper(plan.kind, plan.parts)
        self.now: Callable[[], float] = time.time
        self.is_reentrant = False
        self.waited: Callable[[float], None] | None = None
        self._active: dict[str, Activation] = {}

    def open(self, client: "Client") -> None:
        """Begin to host actors, which reach their sidecar by ``client``."""
        self.keeper.caller = client._caller  # noqa: SLF001 - the client's own way to its sidecar

    async def close(self) -> None:
        """Let every actor go; what takes longer than a few seconds is left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(self.deactivate(actor_id) for actor_id in self.active))
        for activation in self._active.values():
            activation.is_gone = True
        self._active.clear()
        self.keeper.caller = None

    def knows(self, method: str, /) -> bool:
        """Tell whether the type has a method of that name."""
        return method in self.plan.methods

    @property
    def active(self) -> tuple[str, ...]:
        """The ids of the actors in memory."""
        return tuple(self._active)

    async def turn(self, call: ActorCall, work: Work) -> Outcome:
        """Do ``work`` in a turn of its own, or in the one that the call belongs to.

        Raises:
            BaseException: what the work raised; the turn has left no trace then.
            StateError: the state could not be loaded or saved.
        """
        origin = _origin(call)
        work = _whole(work, call)
        while True:
            activation = self._activation(call.actor_id)
            turn, actor = activation.memory.turn, activation.actor
            if turn is not None and actor is not None and turn.takes(origin.reentrancy_id):
                return await _joined(turn, actor, work)
            lock, waited = activation.lock, self.waited
            async with lock if waited is None else _Timed(lock, waited):
                if activation.is_gone:
                    continue
                actor = await self._prepared(activation, call.actor_id, origin)
                turn = Turn(activation.memory, self._address(call.actor_id), *origin)
                turn.is_open = self.is_reentrant and origin.reentrancy_id != ""
                return await self._within(turn, actor, work)

    async def deactivate(self, actor_id: str) -> None:
        """Let an actor go, after its turn; its id begins anew with the next call."""
        while (activation := self._active.get(actor_id)) is not None:
            async with activation.lock:
                if activation.is_gone:
                    continue  # somebody has called the actor anew since
                try:
                    if self.plan.deactivates and activation.actor is not None:
                        await self._last_words(activation, actor_id)
                finally:
                    self._drop(activation, actor_id)
            return

    def sidecar_started(self) -> None:
        """Read every state again: while the sidecar was away, another host may have changed it."""
        for activation in self._active.values():
            activation.is_stale = True

    def _activation(self, actor_id: str) -> Activation:
        found = self._active.get(actor_id)
        if found is None:
            found = self._active[actor_id] = Activation(Memory(self.plan.format))
        return found

    def _drop(self, activation: Activation, actor_id: str) -> None:
        activation.is_gone = True
        if self._active.get(actor_id) is activation:
            del self._active[actor_id]

    async def _prepared(
        self, activation: Activation, actor_id: str, origin: "Origin"
    ) -> "Actor[Any]":
        """Load what is stored where that is not known, and activate an actor that is new.

        No call comes back into the turn of an activation, so one that would is told.
        """
        memory, actor = activation.memory, activation.actor
        if actor is not None and memory.stored is not None and not activation.is_stale:
            memory.forget_expired(self.now())
            return actor
        try:
            activation.is_stale = False
            memory.stored = None
            memory.stored = await self.keeper.load(actor_id)
            if actor is None:
                actor = self.plan.make()
                actor.id = actor_id
                actor._memory = memory  # noqa: SLF001 - of the same package
                if self.plan.activates:
                    turn = Turn(memory, self._address(actor_id), *origin)
                    await self._within(turn, actor, _activating)
                activation.actor = actor
        except BaseException:
            if activation.actor is None:
                self._drop(activation, actor_id)
            raise
        return actor

    async def _within(self, turn: Turn, actor: "Actor[Any]", work: Work) -> Outcome:
        """Do the work of a turn and save what came of it."""
        memory = turn.memory
        memory.turn = turn
        token = TURN.set(turn)
        try:
            outcome = await work(turn, actor)
            await self.keeper.save(turn, actor.id, self.now())
        finally:
            turn.is_over = True
            memory.turn = None
            TURN.reset(token)
        return outcome

    async def _last_words(self, activation: Activation, actor_id: str) -> None:
        """Call ``on_deactivate``; its actor is the runtime's no more, so nothing can be saved."""
        memory = activation.memory
        turn = Turn(memory, self._address(actor_id))
        token = TURN.set(turn)
        try:
            actor = await self._prepared(activation, actor_id, Origin())
            memory.turn = turn
            await actor.on_deactivate()
            if turn.changed(memory.format.encode) or turn.reminders or turn.timers:
                logger.error(
                    "%s changes its state, reminders or timers in 'on_deactivate', which nobody "
                    "keeps; change them in a method",
                    self.plan.title,
                )
        except Exception:
            logger.exception("'on_deactivate' of %s failed", self.plan.title)
        finally:
            turn.is_over = True
            memory.turn = None
            TURN.reset(token)

    def _address(self, actor_id: str) -> str:
        return f"{self.plan.kind}/{actor_id}"


def _whole(work: Work, call: ActorCall) -> Work:
    """Return what refuses to save where the work is not whole, or nobody waits for it."""

    async def run(turn: Turn, actor: "Actor[Any]") -> Outcome:
        outcome = await work(turn, actor)
        if turn.is_torn:
            raise TornTurn(
                "calls that came back into this turn at once changed its state, and one of them "
                "failed; await them one after the other"
            )
        if call.peer is not None and call.peer.gone():
            raise CallerLost("nobody waits for the answer any more")
        return outcome

    return run


async def _activating(_: Turn, actor: "Actor[Any]") -> Outcome:
    await actor.on_activate()
    return DONE


async def _joined(turn: Turn, actor: "Actor[Any]", work: Work) -> Outcome:
    """Do the work of a call that came back into a turn; the outermost call saves."""
    before = Savepoint(turn)
    token = TURN.set(turn)
    try:
        return await work(turn, actor)
    except BaseException:
        before.restore(turn)
        raise
    finally:
        before.end(turn)
        TURN.reset(token)


class Origin(NamedTuple):
    """The reentrancy id of a call, and the turns that wait for it."""

    reentrancy_id: str = ""
    chain: tuple[str, ...] = ()


def _origin(call: ActorCall) -> Origin:
    """Return where a call comes from."""
    reentrancy_id, chain = "", b""
    for name, value in call.raw_headers:
        if name == _REENTRANCY_ID:
            reentrancy_id = value.decode("latin-1")
        elif name == _CHAIN:
            chain = value
    if not chain:
        return Origin(reentrancy_id)
    names = chain.decode("latin-1").split(",")
    return Origin(reentrancy_id, tuple(map(unquote, names)))
