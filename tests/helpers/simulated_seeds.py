"""Which seeds a simulation runs: a share of each Python's, or what the command line says."""

import sys
from collections.abc import Sequence

import pytest

ONE = "--simulation-seed"
MANY = "--simulation-seeds"
SHARE = 5_000
"""Seeds that each Python runs by default; CI has two or three, each with seeds of its own."""
CHUNK = 125
OLDEST = 11
"""The minor version of the oldest Python, which has the first share."""

Seeds = Sequence[int]


def add_options(parser: pytest.Parser) -> None:
    """Take seeds from the command line."""
    parser.addoption(ONE, type=int, metavar="N", help="run one seed of the simulation of workflows")
    parser.addoption(
        MANY, type=int, metavar="N", help="run the first N seeds of the simulation of workflows"
    )


def chunks(config: pytest.Config) -> list[Seeds]:
    """Return the seeds to run, in parts that go to different processes."""
    one, many = config.getoption(ONE), config.getoption(MANY)
    if one is not None:
        return [range(one, one + 1)]
    first, last = 0, many
    if last is None:
        first = max(0, sys.version_info.minor - OLDEST) * SHARE
        last = first + SHARE
    return [range(start, min(start + CHUNK, last)) for start in range(first, last, CHUNK)]


def name_of(seeds: Seeds) -> str:
    """Return how a part is called."""
    return f"{seeds[0]}-{seeds[-1]}"
