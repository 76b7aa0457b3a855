"""What a process uses, as the system counts it, and whether it uses more and more."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024
WINDOW = 600.0
"""Seconds in which a growth is told."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process uses at one moment.

    Attributes:
        at: seconds, on the clock of those who took it.
        memory: resident, in MB.
        peak: the most that it ever was, in MB.
        files: open ones, sockets among them.
        threads: how many there are.
        tasks: of its event loop; 0 where nobody counted them.
    """

    at: float
    memory: float
    peak: float
    files: int
    threads: int
    tasks: int = 0


def usage_of(pid: int, at: float, tasks: int = 0) -> Usage:
    """Look at a process."""
    folder = Path(f"/proc/{pid}")
    lines = (folder / "status").read_text(encoding="utf-8").splitlines()
    said = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    memory, peak = (int(said[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    files = sum(1 for _ in (folder / "fd").iterdir())
    return Usage(at, memory, peak, files, int(said["Threads"]), tasks)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how much a value grows in `WINDOW` seconds: the median of the slopes of its halves.

    A point is paired with the one half a series later (Theil and Sen), so that a step, or a few
    values that are far off, do not count as a growth of all.
    """
    half = len(points) // 2
    pairs = zip(points[:half], points[-half:], strict=True)
    slopes = [(later - first) / (end - begin) for (begin, first), (end, later) in pairs]
    return statistics.median(slopes) * WINDOW if slopes else 0.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may grow within `WINDOW` seconds: memory in MB, and how many things of each kind."""

    memory: float
    things: float


def growing(name: str, samples: Sequence[Usage], bounds: Bounds) -> Iterator[str]:
    """Say what of a process grows."""
    kinds: Sequence[tuple[str, Callable[[Usage], float], float]] = (
        ("MB of memory", lambda each: each.memory, bounds.memory),
        ("open files", lambda each: each.files, bounds.things),
        ("threads", lambda each: each.threads, bounds.things),
        ("tasks", lambda each: each.tasks, bounds.things),
    )
    for kind, value, most in kinds:
        grows = slope([(each.at, value(each)) for each in samples])
        if grows >= most:
            yield f"{name}: {grows:.1f} more {kind} in {WINDOW:g} s, below {most:g} is steady"
