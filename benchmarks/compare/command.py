"""The command: ``python -m benchmarks compare`` measures, prints, and writes page and plots."""

import argparse
import compileall
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.compare import (
    actors,
    charts,
    client,
    delivery,
    invocation,
    memory,
    page,
    scale,
    startup,
    workflows,
)
from benchmarks.compare.environments import cache_folder, prepare
from benchmarks.compare.machine import busy_share, this_machine, today, versions
from benchmarks.compare.results import Comparison
from benchmarks.compare.stage import Stage, redis_server
from benchmarks.processes import ROOT, BenchmarkError, load_agent

SECTIONS: Mapping[str, Callable[[Stage], Comparison]] = {
    "delivery": delivery.measure,
    "client": client.measure,
    "invocation": invocation.measure,
    "actors": actors.measure,
    "workflows": workflows.measure,
    "start-up": startup.measure,
    "memory": memory.measure,
    "scale": scale.measure,
}
BUSY = 0.15
"""A share of the processors that others may have before that is told."""
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks compare",
        description="Measure daprflow beside its peers and write the figures into the docs.",
    )
    made.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; default all")
    made.add_argument("--quick", action="store_true", help="fewer rounds, fewer keys")
    made.add_argument(
        "--runtime",
        type=Path,
        default=os.environ.get("DAPR_RUNTIME_PATH"),
        help="a folder with .dapr/bin/daprd, placement and scheduler; else DAPR_RUNTIME_PATH",
    )
    made.add_argument("--redis", help="HOST:PORT of a Redis server; else redis-server is started")
    made.add_argument(
        "--cache", type=Path, default=cache_folder(), help="where peers are installed"
    )
    made.add_argument("--page", type=Path, default=PAGE, help="the page to write")
    made.add_argument("--no-plots", action="store_true", help="write no plots")
    return made


def main(arguments: Sequence[str]) -> int:
    """Measure the sections asked for; 2 where one could not be measured at all."""
    reader = parser()
    chosen = reader.parse_args(arguments)
    if unknown := set(chosen.sections) - set(SECTIONS):
        reader.error(f"no section named {', '.join(sorted(unknown))}")
    if chosen.runtime and not (chosen.runtime / ".dapr" / "bin" / "daprd").exists():
        reader.error(f"there is no .dapr/bin/daprd in '{chosen.runtime}'")
    if not chosen.no_plots and not charts.available():
        reader.error(charts.NEEDS)
    compileall.compile_dir(ROOT / "daprflow", quiet=1)
    compileall.compile_dir(ROOT / "benchmarks", quiet=1)
    runtime = chosen.runtime.resolve() if chosen.runtime else None
    page.write(chosen.page, [(page.FIGURES, page.figures(versions(runtime)))])
    failed = 0
    with ExitStack() as stack:
        environments = prepare(chosen.cache.expanduser().resolve())
        redis = stack.enter_context(redis_server(chosen.redis))
        agent = stack.enter_context(load_agent())
        stage = Stage(environments, agent, runtime, redis, chosen.quick)
        for name in chosen.sections or SECTIONS:
            failed += not _section(stage, name, chosen.page, plots=not chosen.no_plots)
    return 2 if failed else 0


def _measured(stage: Stage, name: str) -> Comparison | None:
    """Measure one section; None where a process of it did not start, as when a port was taken."""
    try:
        return SECTIONS[name](stage)
    except (BenchmarkError, OSError) as error:
        print(f"{name}: {error}", flush=True)
        return None


def _section(stage: Stage, name: str, target: Path, *, plots: bool) -> bool:
    """Measure one section, print it and write it; false where it failed twice."""
    began = time.perf_counter()
    others = busy_share()
    done = _measured(stage, name) or _measured(stage, name)
    if done is None:
        return False
    images = charts.write(done, target.parent / "images") if plots else []
    how = "with --quick, " if stage.quick else ""
    stamp = f"Measured {how}on {today()}: {this_machine()}."
    if others > BUSY:
        stamp += f" Other work kept the machine {others:.0%} busy, so these figures are rough."
    text = page.section(
        done, stamp, [each.relative_to(target.parent).as_posix() for each in images]
    )
    page.write(target, [(name, text)])
    print(f"{text}\n\n{name} took {time.perf_counter() - began:.0f} s\n", flush=True)
    return True
