"""One difference between what is deployed and what the code says, and the words to tell it."""

from difflib import get_close_matches

import msgspec


class Problem(msgspec.Struct, frozen=True, order=True):
    """One difference, or one mistake.

    Attributes:
        line: 0 where it is about the whole folder.
        rule: which of them, such as ``app-port``.
        text: what is wrong.
        remedy: what to do.
    """

    file: str
    line: int
    rule: str
    text: str
    remedy: str

    def __str__(self) -> str:
        """Return it as one line."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.text}; {self.remedy} [{self.rule}]"


def problem(rule: str, place: str, text: str, remedy: str) -> Problem:
    """Return a problem at ``file:line``."""
    file, _, line = place.rpartition(":")
    return Problem(file, int(line), rule, text, remedy)


def nearest(name: str, known: "tuple[str, ...] | list[str]") -> str:
    """Return ``, perhaps 'x'`` for the known name that is most like ``name``; empty for none."""
    found = get_close_matches(name, known, 1, 0.6)
    return f", perhaps '{found[0]}'" if found else ""


def listed(names: "tuple[str, ...] | list[str]") -> str:
    """Return names in quotes."""
    return ", ".join(f"'{name}'" for name in names) or "none"
