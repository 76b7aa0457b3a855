"""Flags in the forms of the official command line: ``--k v``, ``--k=v``, ``-k v``, ``-kv``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from daprflow.launcher.exits import Exit, LaunchError

TRUE = frozenset({"1", "t", "true"})
FALSE = frozenset({"0", "f", "false"})


class Kind(Enum):
    """What a flag takes."""

    TEXT = "text"
    NUMBER = "number"
    SWITCH = "switch"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of a command; ``help`` is empty where it has no effect here."""

    name: str
    kind: Kind = Kind.TEXT
    short: str = ""
    help: str = ""


class FlagError(LaunchError):
    """A flag that the command does not have, or a value that it cannot have."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.USAGE)


@dataclass(frozen=True, slots=True)
class Given:
    """What a command was given.

    Attributes:
        values: of each flag, in order; a switch has ``true`` or ``false``.
        words: everything that is no flag.
        command: what follows ``--``; None where there is no ``--``.
    """

    values: Mapping[str, tuple[str, ...]]
    words: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None

    def has(self, name: str) -> bool:
        """Tell whether a flag was given."""
        return name in self.values

    def text(self, name: str, default: str = "") -> str:
        """Return the last value of a flag."""
        return self.values[name][-1] if name in self.values else default

    def number(self, name: str) -> int | None:
        """Return a number; None where it is missing, zero or negative, which stand for none."""
        value = int(self.text(name, "0"))
        return value if value > 0 else None

    def on(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self.text(name, "false") == "true"

    def many(self, name: str) -> tuple[str, ...]:
        """Return every value of a list; one that has commas is several."""
        return tuple(part for value in self.values.get(name, ()) for part in value.split(","))


def parse(words: Sequence[str], flags: Sequence[Flag], command: str) -> Given:
    """Take flags and words apart; flags may follow words, and ``--`` ends them.

    Args:
        words: the command line after the command.
        flags: what the command takes.
        command: its name, for errors.

    Raises:
        FlagError: a flag is unknown, has no value, or one that it cannot have.
    """
    reader = _Reader(flags, command)
    return reader.read(words)


class _Reader:
    def __init__(self, flags: Sequence[Flag], command: str) -> None:
        self._long = {flag.name: flag for flag in flags}
        self._short = {flag.short: flag for flag in flags if flag.short}
        self._command = command
        self._values: dict[str, list[str]] = {}

    def read(self, words: Sequence[str]) -> Given:
        plain: list[str] = []
        left = list(words)
        after: tuple[str, ...] | None = None
        while left:
            word = left.pop(0)
            if word == "--":
                after = tuple(left)
                break
            if word.startswith("--"):
                self._take_long(word, left)
            elif word.startswith("-") and word != "-":
                self._take_short(word, left)
            else:
                plain.append(word)
        values = {name: tuple(given) for name, given in self._values.items()}
        return Given(values, tuple(plain), after)

    def _take_long(self, word: str, left: list[str]) -> None:
        name, equals, value = word[2:].partition("=")
        flag = self._long.get(name)
        if flag is None:
            raise FlagError(
                f"'dapr {self._command}' has no flag '--{name}'; see 'dapr {self._command} --help'"
            )
        self._keep(flag, value if equals else self._next(flag, left))

    def _take_short(self, word: str, left: list[str]) -> None:
        letters = word[1:]
        while letters:
            flag = self._short.get(letters[0])
            if flag is None:
                raise FlagError(
                    f"'dapr {self._command}' has no flag '-{letters[0]}'; "
                    f"see 'dapr {self._command} --help'"
                )
            rest = letters[1:]
            if flag.kind is Kind.SWITCH and not rest.startswith("="):
                self._keep(flag, "true")
                letters = rest
                continue
            self._keep(flag, rest.removeprefix("=") if rest else self._next(flag, left))
            return

    def _next(self, flag: Flag, left: list[str]) -> str:
        if flag.kind is Kind.SWITCH:
            return "true"
        if not left:
            raise FlagError(f"flag '--{flag.name}' needs a value")
        return left.pop(0)

    def _keep(self, flag: Flag, value: str) -> None:
        self._values.setdefault(flag.name, []).append(_checked(flag, value))


def _checked(flag: Flag, value: str) -> str:
    if flag.kind is Kind.SWITCH:
        if value.lower() in TRUE | FALSE:
            return "true" if value.lower() in TRUE else "false"
        raise FlagError(f"flag '--{flag.name}' is true or false, not '{value}'")
    if flag.kind is Kind.NUMBER:
        try:
            return str(int(value))
        except ValueError:
            raise FlagError(f"flag '--{flag.name}' takes a number, not '{value}'") from None
    return value
