"""A turn: the state an actor sees while it answers a call, and what is to be done at its end."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daprflow.actors.memory import Memory
    from daprflow.protocol.actors import ReminderRequest, TimerRequest

CHAIN_HEADER = "daprflow-turns"
"""Names the turns that wait for a call and cannot be entered again, so that a cycle is told."""

ABSENT: Any = object()
"""Stands for a value that was deleted."""


class Turn:
    """What belongs to one turn of one actor; calls that come back into it share it.

    Attributes:
        address: type and id of the actor, for messages.
        reentrancy_id: names the turn to the runtime; calls made in it say it again.
        is_open: whether calls of that id may come back into it.
        chain: addresses of turns that wait for this one and cannot be entered again.
        values: what the actor read or set of its state, by key.
        baselines: what those values were as JSON when the turn began; None for nothing at all.
        reminders: what is asked of reminders, by name; None deletes one.
        timers: as ``reminders``.
        entered: how many calls have come back into it.
        inside: how many of them are in it now.
        is_torn: whether one of several calls that were in it at once failed.
        is_over: whether it has ended, so that its state is nobody's any more.
    """

    __slots__ = (
        "address",
        "baselines",
        "chain",
        "entered",
        "inside",
        "is_open",
        "is_over",
        "is_torn",
        "memory",
        "reentrancy_id",
        "reminders",
        "timers",
        "values",
    )

    def __init__(
        self,
        memory: "Memory",
        address: str,
        reentrancy_id: str = "",
        chain: tuple[str, ...] = (),
    ) -> None:
        self.memory: Memory = memory
        self.address: str = address
        self.reentrancy_id: str = reentrancy_id
        self.chain: tuple[str, ...] = chain
        self.values: dict[str, Any] = {}
        self.baselines: dict[str, bytes | None] = {}
        self.reminders: dict[str, ReminderRequest | None] = {}
        self.timers: dict[str, TimerRequest | None] = {}
        self.entered: int = 0
        self.inside: int = 0
        self.is_torn: bool = False
        self.is_over: bool = False
        self.is_open: bool = False

    @property
    def waiting(self) -> tuple[str, ...]:
        """Addresses of the turns that would wait for a call made in this one, for ever."""
        return self.chain if self.is_open else (*self.chain, self.address)

    def takes(self, reentrancy_id: str) -> bool:
        """Tell whether a call of that id belongs to this turn."""
        return self.is_open and self.reentrancy_id == reentrancy_id

    def changed(self, encode: Callable[[Any], bytes]) -> Mapping[str, bytes | None]:
        """Return the keys whose JSON is another than when the turn began; None where one is gone.

        Raises:
            ValueError: a value cannot be kept.
            TypeError: a value has no JSON form.
        """
        found: dict[str, bytes | None] = {}
        for key, value in self.values.items():
            document = None if value is ABSENT else encode(value)
            if document != self.baselines[key]:
                found[key] = document
        return found


class Savepoint:
    """A turn as it is when a call comes back into it, for when that call fails."""

    __slots__ = ("_documents", "_number", "_others", "_reminders", "_timers")

    def __init__(self, turn: Turn) -> None:
        self._documents = _documents(turn)
        self._reminders = dict(turn.reminders)
        self._timers = dict(turn.timers)
        self._others = turn.inside
        turn.entered += 1
        turn.inside += 1
        self._number = turn.entered

    def restore(self, turn: Turn) -> None:
        """Undo what was done since; where others did something, too, the whole turn is lost."""
        documents = _documents(turn)
        if documents == self._documents and (turn.reminders, turn.timers) == (
            self._reminders,
            self._timers,
        ):
            return
        if self._others or turn.entered != self._number:
            turn.is_torn = True
            return
        decode = turn.memory.format.decode
        turn.reminders, turn.timers = self._reminders, self._timers
        for key, document in documents.items():
            known = self._documents.get(key, document)
            if key not in self._documents:
                del turn.values[key], turn.baselines[key]
            elif known != document:
                turn.values[key] = ABSENT if known is None else decode(key, known)

    def end(self, turn: Turn) -> None:
        """Leave the turn."""
        turn.inside -= 1


def _documents(turn: Turn) -> dict[str, bytes | None]:
    encode = turn.memory.format.encode
    return {key: None if value is ABSENT else encode(value) for key, value in turn.values.items()}


TURN: ContextVar[Turn | None] = ContextVar("daprflow_turn", default=None)
"""The turn that the running code belongs to."""
