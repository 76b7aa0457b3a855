"""Turns of one actor: one at a time, in the order in which they were asked for."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")


class StackTooDeep(Exception):  # noqa: N818 - named for what happened
    """A call came back to its actor once more than is allowed."""


class Halted(Exception):  # noqa: N818 - named for what happened
    """The actor left before the turn began: nothing of it has reached the app."""


class TurnCut(Exception):  # noqa: N818 - named for what happened
    """The actor left while the turn was under way.

    Attributes:
        leaving: whether its host left, too; else it was idle for too long by its settings.
    """

    def __init__(self, *, leaving: bool) -> None:
        super().__init__("context canceled")
        self.leaving = leaving


class Turn:
    """One turn: every call of it has the same reentrancy id.

    Attributes:
        depth: calls in it.
        gates: what its calls wait for until it is first.
    """

    __slots__ = ("depth", "gates", "id")

    def __init__(self, reentrancy_id: str) -> None:
        self.id = reentrancy_id
        self.depth = 1
        self.gates: list[asyncio.Future[None]] = []

    def begin(self) -> None:
        """Let its calls go on."""
        gates, self.gates = self.gates, []
        for gate in gates:
            if not gate.done():
                gate.set_result(None)


class TurnLock:
    """The queue of turns of one actor; the first one is under way.

    Args:
        limit: how many calls may be in one turn; None lets none come back.
    """

    __slots__ = ("_calls", "_cut", "_ended", "_limit", "_turns", "closed")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._turns: deque[Turn] = deque()
        self._calls: set[asyncio.Task[object]] = set()
        self._ended: asyncio.Future[None] | None = None
        self._cut: TurnCut | None = None
        self.closed = False

    @property
    def busy(self) -> bool:
        """Whether calls are under way."""
        return bool(self._calls)

    async def run(
        self, reentrancy_id: str, operation: Callable[[], Coroutine[object, object, T]]
    ) -> T:
        """Wait for a turn and do ``operation`` in it.

        Args:
            reentrancy_id: of a turn that the call is part of, or its own.
            operation: called when the turn is there.

        Raises:
            StackTooDeep: too many calls are in that turn.
            Halted: the actor left before the turn began.
            TurnCut: the actor left in the course of the call.
        """
        turn = await self._enter(reentrancy_id)
        try:
            return await self._carry(operation())
        finally:
            self._withdraw(turn)

    def halt(self) -> None:
        """Let nobody in any more; who waits is refused, what is under way goes on."""
        self.closed = True
        for turn in self._turns:
            for gate in turn.gates:
                if not gate.done():
                    gate.set_exception(Halted())

    def cut(self, reason: TurnCut) -> None:
        """Cancel every call that is under way."""
        self._cut = reason
        for call in tuple(self._calls):
            call.cancel()

    async def ended(self) -> None:
        """Wait until nothing is under way."""
        if self._calls:
            if self._ended is None or self._ended.done():
                self._ended = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._ended)

    async def _enter(self, reentrancy_id: str) -> Turn:
        if self.closed:
            raise Halted
        turn = self._known(reentrancy_id)
        if turn is None:
            turn = Turn(reentrancy_id)
            self._turns.append(turn)
        if self._turns[0] is not turn:
            await self._wait(turn)
        return turn

    async def _carry(self, operation: Coroutine[object, object, T]) -> T:
        """Do one call in a task of its own, which can be cancelled without its caller."""
        call = asyncio.get_running_loop().create_task(operation)
        self._calls.add(call)
        try:
            return await call
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if self._cut is not None and caller is not None and not caller.cancelling():
                raise self._cut from None
            raise
        finally:
            self._calls.discard(call)
            if not self._calls and self._ended is not None and not self._ended.done():
                self._ended.set_result(None)

    def _known(self, reentrancy_id: str) -> Turn | None:
        """Return the turn that a call belongs to, with the call in it."""
        if self._limit is None or not reentrancy_id:
            return None
        for turn in self._turns:
            if turn.id == reentrancy_id:
                if turn.depth >= self._limit:
                    raise StackTooDeep
                turn.depth += 1
                return turn
        return None

    async def _wait(self, turn: Turn) -> None:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turn.gates.append(gate)
        try:
            await gate
        except BaseException:
            # Who gives up leaves the others in their places.
            if gate in turn.gates:
                turn.gates.remove(gate)
            self._withdraw(turn)
            raise
        if self.closed:
            self._withdraw(turn)
            raise Halted

    def _withdraw(self, turn: Turn) -> None:
        turn.depth -= 1
        if turn.depth:
            return
        first = self._turns[0] is turn
        self._turns.remove(turn)
        if first and self._turns:
            self._turns[0].begin()
