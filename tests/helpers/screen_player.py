"""Types what a page says into terminals, and compares what they print with the page."""

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from daprflow.cli.main import main
from tests.helpers.cli_run import Run
from tests.helpers.own_ports import free_port
from tests.helpers.screens import INTERRUPTED, Screen, Typed, alike, ports, same

WITHIN = 60.0
# Commands that stay until they are ended.
_STAY = frozenset({"run", "sidecar", "serve"})
# Commands that load no app, and so can run in this process, which is faster than one of their own.
_POKES = frozenset({
    "publish", "invoke", "state", "actor", "job", "secret", "workflow", "config", "list", "status",
    "stop",
})  # fmt: skip
# What a command says last whose app has ended by itself.
_OVER = "the app ended with exit code"
# Commands that change nothing: who sees too early looks again.
_LOOKS = frozenset({
    ("actor", "state"), ("job", "list"), ("state", "get"), ("state", "list"),
    ("workflow", "history"), ("workflow", "list"), ("workflow", "show"),
})  # fmt: skip
_ASSIGNED = re.compile(r"[A-Z_]+=")
_APP_PORT = re.compile(r"--app-port (\d+)|\bappPort: (\d+)")
# A line of a shell, in which a command of ours is not the only thing.
_SHELL = re.compile(r"[|<>&;`]|\$\(|\\\n")


class Player:
    """The terminals of one reader, in one folder.

    Args:
        folder: where everything is typed.
        shown_as: what the page calls the folder.
        home: the reader's home, which begins empty.
    """

    def __init__(self, folder: Path, shown_as: str, home: Path) -> None:
        self._folder = folder
        self._shown_as = shown_as
        self._home = home
        self._running: list[_Terminal] = []
        self._ports: dict[str, str] = {}

    def __enter__(self) -> Self:
        programs = self._home / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        shim = programs / "daprflow"
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m daprflow "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
        self._take_ports()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._running:
            each.run.__exit__(kind, error, trace)

    def play(self, screen: Screen) -> None:
        """Type the commands of a screen, or wait for what it shows."""
        for typed in screen.typed:
            self._type(typed, numbers=screen.numbers_vary)
        if screen.shown:
            self._wait(self._running, screen.shown, numbers=screen.numbers_vary)

    def end(self) -> None:
        """Press Ctrl-C in every terminal, the last one first."""
        for each in reversed(self._running):
            if each.reads() and not each.ends:
                each.run.send(signal.SIGINT)
            code = each.run.ended()
            assert code == 0, f"'{each.typed}' ended with {code}:\n{each.run.text}"
            assert each.run.all_gone(), f"'{each.typed}' left processes: {each.run.alive()}"

    def _type(self, typed: Typed, *, numbers: bool) -> None:
        self._replace_ports(typed.command)
        command = self._with_our_ports(typed.command)
        words = shlex.split(command)
        first = next(n for n, word in enumerate(words) if not _ASSIGNED.match(word))
        stays = words[first] == "daprflow" and words[first + 1] in _STAY
        interrupted = typed.printed[-1:] == (INTERRUPTED,)
        if stays or interrupted:
            given = dict(word.split("=", 1) for word in words[:first])
            wanted = typed.printed[: -1 if interrupted else None]
            self._start(command, words[first:], given, wanted, numbers=numbers)
            if interrupted:
                self._interrupt()
            return
        if words[:2] == ["daprflow", "stop"]:
            self._note_stopped(words[2:])
        deadline = time.monotonic() + WITHIN
        while not same(typed.printed, printed := self._once(command, words), numbers=numbers):
            again = tuple(words[1:3]) in _LOOKS and time.monotonic() < deadline
            assert again, _differs(typed, printed)
            threading.Event().wait(0.2)

    def _note_stopped(self, apps: Sequence[str]) -> None:
        """Note which terminals end without Ctrl-C, which would hit them while they do."""
        for each in self._running:
            each.stopped |= any(f"app '{app}' is ready" in each.run.text for app in apps)

    def _start(
        self,
        command: str,
        words: Sequence[str],
        given: dict[str, str],
        wanted: Sequence[str],
        *,
        numbers: bool,
    ) -> None:
        env = {**self._environment(), **given}
        program = shutil.which(words[0], path=env["PATH"]) or words[0]
        if words[0] == "daprflow":
            terminal = _Terminal(command, Run(self._folder, *words[1:], env=env))
        else:
            terminal = _Terminal(command, Run(self._folder, *words[1:], env=env, program=[program]))
        self._running.append(terminal)
        matched = self._wait([terminal], wanted, numbers=numbers)
        self._ports |= dict(zip(ports(wanted), ports(matched), strict=True))

    def _interrupt(self) -> None:
        terminal = self._running.pop()
        with terminal.run as run:
            run.send(signal.SIGINT)
            run.ended()

    def _wait(
        self, terminals: Sequence["_Terminal"], wanted: Sequence[str], *, numbers: bool
    ) -> list[str]:
        """Wait until each line was printed, in whatever order; return those that were."""
        deadline = time.monotonic() + WITHIN
        found = []
        for line in wanted:
            while (hit := self._take(terminals, line, numbers=numbers)) is None:
                alive = any(each.reads() for each in terminals)
                if not alive and (hit := self._take(terminals, line, numbers=numbers)) is not None:
                    break
                text = "\n".join(self._as_shown(each.run.text) for each in terminals)
                assert alive, f"ended without '{line}':\n{text}"
                assert time.monotonic() < deadline, f"no '{line}' within {WITHIN} s:\n{text}"
                threading.Event().wait(0.02)
            found.append(hit)
        return found

    def _take(self, terminals: Sequence["_Terminal"], wanted: str, *, numbers: bool) -> str | None:
        """Return a line that looks like this and was not taken before."""
        for each in terminals:
            for number, line in enumerate(list(each.run.lines)):
                if number in each.taken:
                    continue
                if alike(wanted, self._as_shown(line), numbers=numbers):
                    each.taken.add(number)
                    return line
        return None

    def _run(self, command: str) -> list[str]:
        """Run one command to its end; return the lines that it prints."""
        ended = subprocess.run(
            ["sh", "-c", command],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        return self._as_shown(ended.stdout).splitlines()

    def _once(self, command: str, words: Sequence[str]) -> list[str]:
        """Type one command; return the lines that it prints."""
        if words[0] == "daprflow" and words[1] in _POKES and not _SHELL.search(command):
            return self._poke(words[1:])
        return self._run(command)

    def _poke(self, words: Sequence[str]) -> list[str]:
        """Run one command of ours in this process; return the lines that it prints."""
        terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        with pytest.MonkeyPatch.context() as patch, contextlib.chdir(self._folder):
            for name, value in self._environment().items():
                patch.setenv(name, value)
            with (
                contextlib.redirect_stdout(terminal),
                contextlib.redirect_stderr(terminal),
                contextlib.suppress(SystemExit),
            ):
                main(words)
        terminal.seek(0)
        return self._as_shown(terminal.read()).splitlines()

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAPR", "APP_", "OTEL"))}
        programs = [str(self._home / "bin"), str(Path(sys.executable).parent), kept["PATH"]]
        return {
            **kept,
            "PATH": os.pathsep.join(programs),
            "HOME": str(self._home),
            "XDG_RUNTIME_DIR": str(self._home),
            "COLUMNS": "120",
            "PYTHONUNBUFFERED": "1",  # a terminal shows each line at once
        }

    def _as_shown(self, text: str) -> str:
        return text.replace(str(self._folder), self._shown_as).replace(str(self._home), "~")

    def _take_ports(self) -> None:
        """Give each port that a file of several apps names to this reader alone."""
        for template in self._folder.rglob("dapr.yaml"):
            self._replace_ports(template.read_text(encoding="utf-8"))
        files = self._folder.rglob("*") if self._ports else ()
        for path in files:
            if path.suffix in {".mjs", ".py", ".yaml"}:
                text = path.read_text(encoding="utf-8")
                path.write_text(self._with_our_ports(text), encoding="utf-8")

    def _replace_ports(self, text: str) -> None:
        for match in _APP_PORT.finditer(text):
            self._ports.setdefault(match[1] or match[2], str(free_port()))

    def _with_our_ports(self, text: str) -> str:
        for shown, ours in self._ports.items():
            text = re.sub(rf"\b{shown}\b", ours, text)
        return text


class _Terminal:
    """One where something runs."""

    def __init__(self, typed: str, run: Run) -> None:
        self.typed = typed
        self.run = run
        self.taken: set[int] = set()
        self.stopped = False

    @property
    def ends(self) -> bool:
        """Whether it ends by itself: a command said so, or its app has ended."""
        return self.stopped or _OVER in self.run.text

    def reads(self) -> bool:
        """Whether lines may still come."""
        return self.run.process.poll() is None


def _differs(typed: Typed, printed: Sequence[str]) -> str:
    wanted = "\n".join(typed.printed)
    got = "\n".join(printed)
    return f"$ {typed.command}\n--- the page says\n{wanted}\n--- it prints\n{got}"
