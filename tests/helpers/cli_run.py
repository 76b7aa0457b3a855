"""Runs the ``daprflow`` command as a process, watches what it prints, counts what it leaves."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

WITHIN = 30.0
MARK = "DAPRFLOW_TEST_MARK"


class Run:
    """One process of the command; everything it starts carries a mark in its environment."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        env: dict[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "daprflow"),
    ) -> None:
        self.mark = uuid.uuid4().hex
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("DAPR", "APP_"))}
        self.process = subprocess.Popen(
            [*program, *words],
            cwd=folder,
            env={**clean, "HOME": str(folder), **(env or {}), MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._fresh: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pid in self.alive():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def text(self) -> str:
        """Everything it printed so far."""
        return "\n".join(self.lines)

    def until(self, part: str) -> str:
        """Wait for a line that contains ``part``, and return it."""
        return self.until_line(lambda line: part in line, part)

    def until_line(self, is_it: Callable[[str], bool], told: str) -> str:
        """Wait for a line for which ``is_it`` says so; ``told`` names it where it does not come."""
        deadline = time.monotonic() + WITHIN
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._fresh.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                raise AssertionError(f"ended before '{told}':\n{self.text}")
            if is_it(line):
                return line
        raise AssertionError(f"no '{told}' within {WITHIN} s:\n{self.text}")

    def ready(self) -> Self:
        """Wait for the banner."""
        self.until("Ctrl-C ends it")
        return self

    def port(self, name: str) -> int:
        """Return a port that the banner names: "Dapr HTTP" or "app"."""
        line = next(line for line in self.lines if " ports " in line)
        return int(line.partition(f"{name} ")[2].split(",")[0].split()[0])

    def send(self, number: int) -> None:
        """Send a signal to the command alone."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait(WITHIN)
        self._reader.join(WITHIN)
        return code

    def alive(self) -> list[int]:
        """Return every process of this run that is no zombie."""
        return marked(self.mark)

    def all_gone(self) -> bool:
        """Wait until no process of this run is left."""
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            if not self.alive():
                return True
            threading.Event().wait(0.02)
        return False

    def _read(self) -> None:
        if self.process.stdout is not None:
            for line in self.process.stdout:
                self.lines.append(line.rstrip("\n"))
                self._fresh.put(self.lines[-1])
        self._fresh.put(None)


def marked(mark: str) -> list[int]:
    """Return the processes whose environment carries ``mark``."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def finish(folder: Path, *words: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run the command to its end; return its exit code and everything it printed."""
    with Run(folder, *words, env=env) as run:
        code = run.ended()
        return code, run.text


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files below ``folder``."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


__all__: Sequence[str] = ["Run", "finish", "marked", "write"]
