"""Figures: what a test pays for its sidecar, with four workers at once."""

import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.table import Figure, Section, at_most

WORKERS = 4
KINDS = {"in_process": ("start and stop, in process", 20), "sockets": ("over sockets", 150)}


class Report(msgspec.Struct, frozen=True):
    """What one worker measured: seconds of each cycle, and what was left after all."""

    seconds: Mapping[str, Sequence[float]]
    left: Mapping[str, int]


def measure(*, cycles: int) -> Section:
    """Run so many cycles of each kind, shared out and in a random order."""
    reports = _work(cycles // WORKERS)
    figures = []
    for kind, (name, bound) in KINDS.items():
        milliseconds = sorted(each * 1e3 for report in reports for each in report.seconds[kind])
        p99 = milliseconds[len(milliseconds) * 99 // 100]
        note = f"p99 {p99:.1f} ms, {len(milliseconds):,} cycles, {WORKERS} workers"
        figures.append(
            Figure(f"{name}, p50", statistics.median(milliseconds), "ms", at_most(bound), note)
        )
    for what in ("tasks", "threads", "files", "ports"):
        left = max(report.left[what] for report in reports)
        figures.append(Figure(f"{what} left", left, what, at_most(0), "the worst worker"))
    return Section("The test kit: a sidecar for each test", figures)


def _work(cycles: int) -> Sequence[Report]:
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cycling", str(cycles), str(number)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WORKERS)
    ]
    reports = []
    for worker in workers:
        out, _ = worker.communicate()
        if worker.returncode:
            raise BenchmarkError(f"a worker of the test kit ended with {worker.returncode}")
        reports.append(msgspec.json.decode(out, type=Report))
    return reports
