"""What was measured on, and with which versions: the lines that stand above the figures."""

import os
import platform
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.compare.environments import PINNED
from benchmarks.compare.results import OURS

PIN = re.compile(r"(?P<name>[\w.-]+)(\[[\w,]+\])?==(?P<version>.+)")


@dataclass(frozen=True, slots=True)
class Machine:
    """What everything ran on."""

    processor: str
    cores: int
    memory_gib: int
    system: str
    python: str

    def __str__(self) -> str:
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_gib} GiB, {self.system}, "
            f"Python {self.python}"
        )


def this_machine() -> Machine:
    """Return what can be read of this one."""
    memory = re.search(r"MemTotal:\s+(\d+)", _text("/proc/meminfo"))
    model = re.search(r"model name\s*:\s*(.+)", _text("/proc/cpuinfo"))
    return Machine(
        model[1].strip() if model else platform.machine(),
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        round(int(memory[1]) / 2**20) if memory else 0,
        f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        platform.python_version(),
    )


def _text(path: str) -> str:
    file = Path(path)
    return file.read_text(encoding="utf-8") if file.exists() else ""


def versions(runtime: Path | None) -> Iterator[tuple[str, str]]:
    """Give the name and version of everything that is compared."""
    commit = said_by("git", "rev-parse", "--short", "HEAD")
    yield OURS, f"{version('daprflow')}{f', commit {commit}' if commit else ''}"
    if runtime is not None:
        yield "daprd", said_by(str(runtime / ".dapr" / "bin" / "daprd"), "--version")
    pins = {pin for name, given in PINNED.items() for pin in given if name != "daprflow"}
    for pin in sorted(pins):
        if (match := PIN.fullmatch(pin)) is not None:
            yield match["name"], match["version"]
    if found := re.search(r"v=(\S+)", said_by("redis-server", "--version")):
        yield "Redis server", found[1]


def said_by(*command: str) -> str:
    """Return what a program prints, nothing where there is none."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent,
            timeout=20,
        )
    except OSError:
        return ""
    return done.stdout.strip() if not done.returncode else ""


def busy_share(seconds: float = 1.0) -> float:
    """Return which share of the processors others keep busy; 0 where that is unknown."""
    before = _times()
    time.sleep(seconds)
    spent = [late - early for early, late in zip(before, _times(), strict=True)]
    return 1 - sum(spent[3:5]) / sum(spent) if sum(spent) else 0.0


def _times() -> list[int]:
    """Return what the processors did since the machine started; the fourth and fifth are idle."""
    first = _text("/proc/stat").partition("\n")[0]
    return [int(each) for each in first.split()[1:]]


def today() -> str:
    """Return the date."""
    return datetime.now(UTC).date().isoformat()
