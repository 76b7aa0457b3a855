"""The fuzzer finds what it looks for: readers that break, hang, answer wrongly or log a stack."""

import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.harness.fuzzing import SLOW, all_fuzzed
from tests.faults.harness.mutation import Mutator
from tests.faults.harness.parsers import Parser, Read

INPUTS = Mutator([b"abcdef"], [b"(", b")"])


def sound(_data: bytes) -> str | None:
    """Read well."""
    return None


def breaks(data: bytes) -> str | None:
    """Break at a bracket."""
    if b"(" in data:
        raise IndexError("out of range")
    return None


def hangs(data: bytes) -> str | None:
    """Take long at a bracket."""
    until = time.process_time() + 1.5 * SLOW
    while b"(" in data and time.process_time() < until:
        pass
    return None


def wrong(data: bytes) -> str | None:
    """Say that it must not be."""
    return "it is answered 500" if b"(" in data else None


def logs(data: bytes) -> str | None:
    """Log a stack at a bracket."""
    try:
        breaks(data)
    except IndexError:
        logging.getLogger("daprflow.test").exception("it failed")
    return None


@pytest.mark.parametrize(
    ("reader", "says"),
    [
        (sound, ""),
        (breaks, "IndexError: out of range"),
        (hangs, "it takes 0.1"),
        (wrong, "it is answered 500"),
        (logs, "logged with a stack: it failed"),
    ],
)
async def test_what_is_wrong_is_found(reader: object, says: str, tmp_path: Path) -> None:
    """Each kind of mistake is told, with the input; a sound reader is left alone."""

    @contextlib.asynccontextmanager
    async def opened(_folder: Path) -> AsyncIterator[Read]:
        async def read(data: bytes) -> str | None:
            assert callable(reader)
            found: str | None = reader(data)
            return found

        yield read

    parser = Parser("test", INPUTS, opened)
    count = 25 if reader is hangs else 60
    result = await all_fuzzed([parser], count, tmp_path, random.Random(4))  # noqa: S311 - it repeats
    assert bool(result.problems) == bool(says)
    assert all(says in problem for problem in result.problems)


def test_inputs_repeat_by_a_seed() -> None:
    """The same seed makes the same inputs, and another makes others."""
    made = [
        [INPUTS.make(chance) for _ in range(50)]
        for chance in (random.Random(1), random.Random(1), random.Random(2))  # noqa: S311 - so
    ]
    assert made[0] == made[1] != made[2]
