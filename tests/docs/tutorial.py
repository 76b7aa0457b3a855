"""Reads the pages of the tutorial and does what they say, in a folder of their own.

A page has blocks of three kinds:

- a file: any language with ``title="path"``, which includes the file of the step in ``examples/``;
- a terminal: ``console`` with ``title="First terminal"`` or ``title="Second terminal"``. Lines that
  begin with ``$`` are typed, ``^C`` is Ctrl-C, all others are what is printed. ``...`` in a line
  stands for anything, a line of its own for any number of lines. Lines of a block that come from a
  service that runs may come in another order, as those of two handlers do, and a command that only
  looks is typed again until it shows what the page does;
- what needs more than Python: ``sh``, never run and without output.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path

import msgspec

from tests.helpers.cli_run import Run, finish

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "tutorial").glob("[0-9]*.md"))
STEPS = ROOT / "examples" / "tutorial"
WITHIN = 30.0
TERMINALS = frozenset({"First terminal", "Second terminal"})
BLOCK = re.compile(
    r'^```(?P<kind>\w+)(?: title="(?P<title>[^"]+)")?(?: hl_lines="(?P<marked>[^"]+)")?\n'
    r"(?P<text>.*?)\n```$",
    flags=re.MULTILINE | re.DOTALL,
)
INCLUDED = re.compile(r'^--8<-- "(?P<path>[^"]+)"$')
# What differs from run to run, or from machine to machine.
MASKS = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{12,}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<date>"),
    (re.compile(r"\d\d:\d\d:\d\d(\.\d+)?Z?"), "<time>"),
    (re.compile(r"\+\d+\.\d{3}"), "<time>"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|m)\b( ago)?"), "<duration>"),
    (re.compile(r"\b\d{4,}\b"), "<number>"),
    (re.compile(r"(?<=\S) {2,}"), " "),
)
NEW = frozenset({"insert", "replace"})
# Commands that only look: they are typed until they show it, for a service may not be so far yet.
LOOKS = re.compile(
    r"daprflow (status|state get|job get|workflow (show|history))|curl |.*--verb GET"
)
ALARMS = re.compile(r"\b(WARNING|ERROR|Traceback)\b")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page.

    Attributes:
        kind: its language.
        title: a path, or a terminal; empty where there is none.
        marked: numbers of the lines that are marked, as the page says it.
        text: what is in it.
    """

    kind: str
    title: str
    marked: str
    text: str


@dataclass(frozen=True, slots=True)
class Typed:
    """Something that is typed, and the lines that are printed then."""

    words: str
    printed: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """Every block of a page."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(each["kind"], each["title"] or "", each["marked"] or "", each["text"])
        for each in BLOCK.finditer(text)
    ]
    assert len(found) * 2 == text.count("```"), "a block is not of the form that is read here"
    return found


def included(block: Block) -> Path | None:
    """The file that a block shows; None where it shows none."""
    match = INCLUDED.match(block.text)
    return None if match is None else ROOT / match["path"]


def typed(block: Block) -> Iterator[Typed]:
    """What is typed in a block; words are empty for lines that come from before."""
    words, printed = "", list[str]()
    for line in block.text.splitlines():
        if line.startswith("$ ") or line == "^C":
            if words or printed:
                yield Typed(words, tuple(printed))
            words, printed = line.removeprefix("$ "), []
        elif words.endswith("\\"):
            words = words.removesuffix("\\") + line.strip()
        else:
            printed.append(line)
    yield Typed(words, tuple(printed))


def masked(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, word in MASKS:
        line = pattern.sub(word, line)
    return line.rstrip()


def fits(expected: str, line: str) -> bool:
    """Whether a printed line is the one on the page."""
    parts = (re.escape(part) for part in masked(expected).split("..."))
    return re.fullmatch(".*".join(parts), masked(line)) is not None


def all_fit(expected: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether all that was printed is what the page says."""
    if not expected:
        return not lines
    if expected[0] == "...":
        return any(all_fit(expected[1:], lines[n:]) for n in range(len(lines) + 1))
    return bool(lines) and fits(expected[0], lines[0]) and all_fit(expected[1:], lines[1:])


class Player:
    """Does what a page says.

    Args:
        home: a folder that nothing else uses; the service is made in ``parcels-desk`` below it.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "parcels-desk"
        self._home = home
        self._service: Run | None = None
        self._expected: list[str] = []
        self._code = 0

    def play(self, page: Path) -> None:
        """Write the files, type the commands, and compare what is printed."""
        with ExitStack() as ends:
            for block in blocks(page):
                source = included(block)
                if source is not None:
                    self._write(block.title, source)
                elif block.kind == "console":
                    assert block.title in TERMINALS, block
                    for each in typed(block):
                        self._type(each, ends)
            assert self._service is None, "the page leaves something running"

    def _write(self, name: str, source: Path) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())

    def _type(self, each: Typed, ends: ExitStack) -> None:
        if each.words == "^C":
            self._interrupt(each)
        elif not each.words:
            self._wait(each.printed)
        elif re.match(r"(\w+=\S+ )*daprflow run ", each.words):
            self._start(each, ends)
        else:
            self._run(each)

    def _start(self, each: Typed, ends: ExitStack) -> None:
        assert self._service is None, "something runs in the first terminal"
        words = each.words.replace("daprflow run ", "exec daprflow run ", 1)
        self._expected = []
        self._service = ends.enter_context(
            Run(self.folder, "-c", words, program=("bash",), env=self._environment())
        )
        self._wait(each.printed)

    def _wait(self, lines: Sequence[str]) -> None:
        """Wait until the service has printed all these, in any order."""
        assert self._service is not None, f"nothing runs that could print {lines}"
        waiting = [line for line in lines if line != "..."]
        self._expected += waiting
        if waiting:
            self._service.until_line(partial(self._is_last, waiting), "\n".join(waiting))

    def _is_last(self, waiting: list[str], line: str) -> bool:
        found = next((each for each in waiting if fits(each, self._told(line))), None)
        if found is not None:
            waiting.remove(found)
        return not waiting

    def _interrupt(self, each: Typed) -> None:
        assert self._service is not None, "nothing runs that could be ended"
        self._service.send(signal.SIGINT)
        self._wait(each.printed)
        assert self._service.ended() == 0, self._service.text
        alarms = [line for line in map(self._told, self._service.lines) if ALARMS.search(line)]
        unsaid = [line for line in alarms if not any(fits(said, line) for said in self._expected)]
        assert unsaid == [], "the page does not show these"
        self._service = None

    def _run(self, each: Typed) -> None:
        until = time.monotonic() + (WITHIN if LOOKS.match(each.words) else 0)
        while not all_fit(each.printed, lines := self._printed(each.words)):
            assert time.monotonic() < until, "\n".join([f"$ {each.words}", *lines])

    def _printed(self, words: str) -> list[str]:
        """Type a command; return the lines that it printed."""
        done = subprocess.run(
            ["bash", "-c", f"(exit {self._code})\n{self._with_ports(words)}"],
            cwd=self.folder,
            env=self._clean(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=2 * WITHIN,
        )
        self._code = done.returncode
        return [self._told(line) for line in done.stdout.splitlines()]

    def _with_ports(self, words: str) -> str:
        """A command with the port that the app has here."""
        if "localhost:8000" not in words:
            return words
        code, text = finish(self.folder, "list", "--json", env=self._environment())
        assert code == 0, text
        (port,) = [
            each["appPort"] for each in msgspec.json.decode(text) if each["appId"] == "parcels"
        ]
        return words.replace("localhost:8000", f"127.0.0.1:{port}")

    def _told(self, line: str) -> str:
        return line.replace(str(self._home), "~")

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self._home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "120",
            "PYTHONUNBUFFERED": "1",  # a terminal shows each line at once
            "XDG_RUNTIME_DIR": str(self._home),
            "PYTEST_ADDOPTS": "-p no:asyncio -p no:cacheprovider",
        }

    def _clean(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAPR", "APP_", "PYTEST"))}
        return kept | self._environment()


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a step, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def marks(before: Path, after: Path) -> str:
    """The new lines of a file as ``hl_lines`` has them; empty where the file is new."""
    if not before.is_file():
        return ""
    old, new = (path.read_text(encoding="utf-8").splitlines() for path in (before, after))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    spans = [(low + 1, high) for kind, _, _, low, high in matcher.get_opcodes() if kind in NEW]
    return " ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in spans)
