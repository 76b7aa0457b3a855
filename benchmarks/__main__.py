"""The command: measure every figure, print one table, exit 1 where one is missed."""

import argparse
import compileall
import signal
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from benchmarks import (
    actors,
    bearing,
    calls,
    delivery,
    fleet,
    hosting,
    imports,
    limits,
    manifests,
    observability,
    pending,
    publish,
    run,
    state,
    streams,
    testkit,
    unary_grpc,
    workflows,
)
from benchmarks.compare.command import main as compare
from benchmarks.processes import LOAD_CORE, ROOT, SERVER_CORE, BenchmarkError, load_agent
from benchmarks.table import Figure, Section, show


def _delivery(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    with load_agent() as agent:
        return delivery.measure(agent, rounds=5 if quick else 24, seconds=0.3)


def _observability(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    with load_agent() as agent:
        return observability.measure(agent, rounds=5 if quick else 20, seconds=0.3)


def _limits(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    with load_agent() as agent:
        return limits.measure(agent, rounds=6 if quick else 24, seconds=0.3)


def _publish(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    with load_agent() as agent:
        return publish.measure(agent, rounds=4 if quick else 15, events=4_000 if quick else 6_000)


def _state(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    with load_agent() as agent:
        return state.measure(agent, rounds=3 if quick else 10, seconds=0.3)


def _pending(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return pending.measure(rounds=8 if quick else 20, count=900)


def _actors(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    with load_agent() as agent:
        return actors.measure(agent, rounds=3 if quick else 10, seconds=0.6)


def _hosting(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    with load_agent() as agent:
        return hosting.measure(agent, rounds=3 if quick else 10, seconds=0.4)


def _bearing(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return bearing.measure(rounds=3 if quick else 9, calls=4_000)


def _calls(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return calls.measure(rounds=4 if quick else 12, seconds=0.3)


def _run(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return run.measure(rounds=3 if quick else 7)


def _fleet(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return fleet.measure(rounds=2 if quick else 5)


def _imports(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return imports.measure(rounds=5 if quick else 15)


def _manifests(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return manifests.measure(rounds=3 if quick else 9)


def _grpc(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return unary_grpc.measure(rounds=6 if quick else 20, seconds=0.4)


def _streams(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    del quick
    return streams.measure()


def _workflows(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return workflows.measure(rounds=4 if quick else 15, steps=2_000 if quick else 10_000)


def _testkit(quick: bool) -> Section:  # noqa: FBT001 - the command's own flag
    return testkit.measure(cycles=200 if quick else 1_000)


SECTIONS: Mapping[str, Callable[[bool], Section]] = {
    "delivery": _delivery,
    "observability": _observability,
    "limits": _limits,
    "bearing": _bearing,
    "publish": _publish,
    "state": _state,
    "pending": _pending,
    "calls": _calls,
    "actors": _actors,
    "hosting": _hosting,
    "run": _run,
    "fleet": _fleet,
    "imports": _imports,
    "manifests": _manifests,
    "grpc": _grpc,
    "streams": _streams,
    "workflows": _workflows,
    "testkit": _testkit,
}


def _end(*_: object) -> NoReturn:
    sys.exit(130)


def main() -> int:
    """Measure the sections asked for and print them; ``compare`` is a command of its own."""
    signal.signal(signal.SIGTERM, _end)
    if sys.argv[1:2] == ["compare"]:
        return compare(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; default all")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    chosen = parser.parse_args()
    if unknown := set(chosen.sections) - set(SECTIONS):
        parser.error(f"no section named {', '.join(sorted(unknown))}")
    # As an installer does; else what is measured may be Python's compiler.
    compileall.compile_dir(ROOT / "daprflow", quiet=1)
    print(f"load on core {LOAD_CORE}, servers on core {SERVER_CORE}")
    missed: list[Figure] = []
    for name in chosen.sections or SECTIONS:
        try:
            section = SECTIONS[name](chosen.quick)
        except BenchmarkError as error:
            print(f"{name}: {error}")
            return 2
        show(section)
        missed += [figure for figure in section.figures if not figure.holds]
    for figure in missed:
        print(f"missed: {figure.name}, {figure.value:.3g} {figure.unit} ({figure.bound})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
