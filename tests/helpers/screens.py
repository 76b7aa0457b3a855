"""The terminal screens of a page: what is typed, what is printed, and when two prints are equal."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_BLOCK = re.compile(
    r"^(?P<varies><!-- numbers vary -->\n)?```(?P<kind>console|text)\n(?P<body>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)
_PROMPT = "$ "
_ANYTHING = "..."
INTERRUPTED = "^C"

# What no two runs print alike; the order counts.
_UNLIKE = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\d\d:\d\d:\d\d(\.\d+)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{6,}\b"), "<id>"),
    (re.compile(r"(?<=\"instance\":)\"[^\"]*\"|(?<=_ms\":)[\d.]+|(?<=, up )\d+s"), "<here>"),
    (re.compile(r"\+\d+\.\d{3}\b"), "<amount>"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|seconds?|minutes?|bytes)\b"), "<amount>"),
    (
        re.compile(
            r"(?<=127\.0\.0\.1:)\d+|(?<=localhost:)\d+|(?<=Dapr HTTP )\d+|(?<=listening on )\d+"
        ),
        "<port>",
    ),
    (re.compile(r"(?<=Dapr gRPC )\d+|(?<=\bapp )\d{4,5}|(?<=\bport )\d{4,5}"), "<port>"),
)
_NUMBER = re.compile(r"\d+(\.\d+)?")
_CUT = " ..."
# The columns of a table are as wide as their numbers.
_GAPS = re.compile(r" {2,}")
_PORTS = re.compile(r"(?:Dapr HTTP|Dapr gRPC|\bapp) (\d{4,5})\b")


@dataclass(frozen=True, slots=True)
class Typed:
    """One command, and the lines that it prints."""

    command: str
    printed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Screen:
    """One block of a page.

    Attributes:
        typed: the commands, in order; none where the block shows another terminal.
        shown: the lines that appear in the terminals where something runs.
        numbers_vary: whether numbers are different each time.
        line: where it stands in the page.
    """

    typed: tuple[Typed, ...]
    shown: tuple[str, ...]
    numbers_vary: bool
    line: int


def screens(page: str) -> list[Screen]:
    """Return the screens of a page in Markdown.

    A block of the kind ``console`` holds commands after ``$`` and what they print; one of the kind
    ``text`` holds what a terminal shows meanwhile where something runs.
    """
    found = []
    for match in _BLOCK.finditer(page):
        lines = match["body"].splitlines()
        typed = _typed(lines) if match["kind"] == "console" else ()
        shown = () if typed else tuple(line for line in lines if line.strip())
        at = page.count("\n", 0, match.start()) + 1
        found.append(Screen(typed, shown, match["varies"] is not None, at))
    return found


def _typed(lines: Sequence[str]) -> tuple[Typed, ...]:
    starts = [n for n, line in enumerate(lines) if line.startswith(_PROMPT)]
    if not starts or starts[0]:
        raise ValueError(f"a 'console' block begins with '{_PROMPT}': {lines[:1]}")
    parts = [lines[start:end] for start, end in pairwise([*starts, len(lines)])]
    return tuple(_one(part) for part in parts)


def _one(lines: Sequence[str]) -> Typed:
    """Split a command, which goes on after a backslash, from what it prints."""
    end = next(n for n, line in enumerate(lines) if not line.endswith("\\"))
    return Typed("\n".join(lines[: end + 1]).removeprefix(_PROMPT), tuple(lines[end + 1 :]))


def masked(line: str, *, numbers: bool = False) -> str:
    """Return a line without what no two runs print alike.

    Args:
        line: what was printed, or what a page says.
        numbers: whether numbers are taken away, too.
    """
    for pattern, name in _UNLIKE:
        line = pattern.sub(name, line)
    if numbers:
        line = _GAPS.sub("  ", _NUMBER.sub("<n>", line))
    return line.rstrip()


def alike(wanted: str, line: str, *, numbers: bool = False) -> bool:
    """Tell whether a line of a terminal is that of a page, which may cut it with ``...``."""
    mask, seen = masked(wanted, numbers=numbers), masked(line, numbers=numbers)
    return seen.startswith(mask.removesuffix(_CUT)) if mask.endswith(_CUT) else seen == mask


def same(wanted: Sequence[str], printed: Sequence[str], *, numbers: bool = False) -> bool:
    """Tell whether a command printed what a page says; ``...`` stands for any lines.

    Args:
        wanted: the lines of the page.
        printed: the lines of the command.
        numbers: whether numbers are different each time.
    """
    lines = [re.escape(masked(line, numbers=numbers)) + "\n" for line in wanted]
    anything = re.escape(_ANYTHING) + "\n"
    pattern = "".join("(?:.*\n)*?" if line == anything else line for line in lines)
    text = "".join(masked(line, numbers=numbers) + "\n" for line in printed)
    return re.fullmatch(pattern, text) is not None


def ports(lines: Sequence[str]) -> list[str]:
    """Return the ports that lines of a banner name, in order."""
    return [port for line in lines for port in _PORTS.findall(line)]
