"""What one actor holds in memory: its stored state as JSON, and the turn that is under way."""

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from daprflow.actors.turn import ABSENT, TURN, Turn

if TYPE_CHECKING:
    from daprflow.actors.actor import Actor
    from daprflow.actors.part import Part


class Stored(NamedTuple):
    """One part of the state as the store has it.

    Attributes:
        document: its JSON; None where there is none.
        expires: when the store drops it, in epoch seconds; None for never.
    """

    document: bytes | None
    expires: float | None = None


NOTHING = Stored(None)


class Format(Protocol):
    """How values become JSON and back."""

    def encode(self, value: Any, /) -> bytes:
        """Return a value's JSON."""
        ...

    def decode(self, key: str, document: bytes, /) -> Any:
        """Return the value of a key from its JSON."""
        ...


class Memory:
    """State and turn of one actor.

    Between turns nothing but JSON is kept, so that a turn begins with what is stored and nobody
    changes it afterwards.

    Attributes:
        stored: the parts by key; None while they are not loaded.
        turn: the turn under way.
    """

    __slots__ = ("format", "stored", "turn")

    def __init__(self, form: Format) -> None:
        self.format: Format = form
        self.stored: dict[str, Stored] | None = None
        self.turn: Turn | None = None

    def current(self) -> Turn:
        """Return the turn that the running code may look into.

        Raises:
            RuntimeError: there is none, or it has ended.
        """
        turn, running = self.turn, TURN.get()
        if turn is None:
            raise RuntimeError(
                "an actor has its state during a turn only, and no turn is under way"
            )
        if running is not turn and running is not None and running.memory is self:
            raise RuntimeError(
                "the turn this code belongs to has ended, and with it its state; await what is "
                "started in a turn before the method returns"
            )
        return turn

    def read(self, actor: "Actor[Any]", part: "Part[Any]") -> Any:
        """Return the value of a part; made anew where nothing is stored."""
        turn = self.current()
        value = turn.values.get(part.key, turn)
        if value is ABSENT or value is turn:
            value = self._first(actor, part, turn) if value is turn else part.make(actor)
            turn.values[part.key] = value
        return value

    def write(self, part: "Part[Any]", value: Any) -> None:
        """Set the value of a part, or delete it with `ABSENT`."""
        turn = self.current()
        if part.key not in turn.baselines:
            turn.baselines[part.key] = self._document(part.key)
        turn.values[part.key] = value

    def _first(self, actor: "Actor[Any]", part: "Part[Any]", turn: Turn) -> Any:
        document = self._document(part.key)
        if document is not None:
            turn.baselines[part.key] = document
            return self.format.decode(part.key, document)
        value = part.make(actor)
        # A value that was only looked at is as good as none.
        turn.baselines[part.key] = self.format.encode(value)
        return value

    def _document(self, key: str) -> bytes | None:
        return (self.stored or {}).get(key, NOTHING).document

    def forget_expired(self, now: float) -> None:
        """Drop the parts whose time is over, as the store does."""
        stored = self.stored or {}
        for key, (_, expires) in list(stored.items()):
            if expires is not None and expires <= now:
                stored[key] = NOTHING


class Alone:
    """A format for an actor that nobody hosts: its state is what a test sets."""

    def encode(self, value: Any, /) -> bytes:
        """Return nothing: there is no store to compare with."""
        del value
        return b""

    def decode(self, key: str, document: bytes, /) -> Any:
        """Refuse: nothing is stored."""
        raise NotImplementedError(key, document)


def alone() -> Memory:
    """Return the memory of an actor that a test made by itself, in a turn that never ends."""
    memory = Memory(Alone())
    memory.stored = {}
    memory.turn = Turn(memory, "an actor without a runtime")
    return memory
