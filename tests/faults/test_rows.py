"""The catalogues' registers: each row has a test that is marked with its id, or a reason.

Faults are in the page beside this module, threats in the documentation.
"""

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.faults.harness.registry import GOALS

TESTS = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("README.md")
THREATS_PAGE = TESTS.parent / "docs" / "reference" / "threats.md"

BLOCKS = ("ST", "PS", "SU", "OB", "IN", "AC", "AL", "AT", "AR", "JO")
MORE = ("RE", "SH", "HR", "MI")
ROWS = frozenset(
    [
        *(f"I-{block}" for block in (*BLOCKS, *(f"WF{number}" for number in range(1, 8)), *MORE)),
        *(f"R-{number:02}" for number in range(1, 29)),
        *(f"FA-{number:02}" for number in range(1, 47)),
        *(f"FS-{number:02}" for number in range(1, 39)),
        *(f"FC-{number:02}" for number in range(1, 17)),
    ]
)


THREATS = frozenset(f"S-{number:02}" for number in range(1, 45))


COLUMNS = 3
"""What is said of each threat: what it is, what is done about it, what is left to others."""


def marks_of(source: str) -> Iterator[str]:
    """Yield the ids in ``@pytest.mark.row(...)`` above the tests of a module."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("mark.row"):
                assert node.name.startswith("test_"), f"'{node.name}' is no test"
                assert not decorator.keywords, f"'{node.name}': a row is named by its id alone"
                for argument in decorator.args:
                    assert isinstance(argument, ast.Constant), f"'{node.name}': write the id out"
                    yield str(argument.value)


@functools.cache
def marked() -> frozenset[str]:
    """Return the rows that some test of the tree is marked with."""
    return frozenset(
        row
        for path in TESTS.rglob("test_*.py")
        if "mark.row" in (source := path.read_text(encoding="utf-8"))
        for row in marks_of(source)
    )


def table(page: str, heading: str) -> Mapping[str, str]:
    """Return the rows of the table below ``heading``: id and what is said of it."""
    _, found, rest = page.partition(f"\n## {heading}\n")
    assert found, f"the page has no part '{heading}'"
    part = rest.partition("\n## ")[0]
    rows = re.findall(r"^\| ([A-Z]+-\w+) \| (.+) \|$", part, re.MULTILINE)
    assert len(rows) == len(dict(rows)), f"'{heading}' has a row twice"
    return dict(rows)


def problems(
    held: frozenset[str],
    rows: Mapping[str, str],
    reasons: Mapping[str, str],
    wanted: frozenset[str] = ROWS,
) -> set[str]:
    """Say what is wrong with a register that has the ``wanted`` rows."""
    return {
        *(f"{row} is no row of a catalogue" for row in held - wanted),
        *(f"{row} is not described" for row in wanted - rows.keys()),
        *(f"{row} is described and no row" for row in rows.keys() - wanted),
        *(f"{row} has neither a test nor a reason" for row in wanted - held - reasons.keys()),
        *(f"{row} has a test, and a reason why not" for row in held & reasons.keys()),
        *(f"{row} has a reason and is no row" for row in reasons.keys() - wanted),
    }


def test_each_row_has_a_test_or_a_reason() -> None:
    """Each row is named by a test, or stands on the page with a reason; none does both."""
    page = PAGE.read_text(encoding="utf-8")
    rows, reasons = table(page, "Rows"), table(page, "Rows without a test")
    goals = table(page, "Rows held by goals")
    assert set(goals.values()) <= {goal.id for goal in GOALS}
    held = marked() - THREATS | goals.keys()
    assert problems(held, rows, reasons) == set()


def test_each_threat_has_a_test_or_a_reason() -> None:
    """Each threat is held by tests and described for who runs services, or has a reason why not."""
    page = THREATS_PAGE.read_text(encoding="utf-8")
    rows, reasons = table(page, "Threats"), table(page, "Threats without a test")
    assert all(len(re.split(r"(?<!\\) \| ", said)) == COLUMNS for said in rows.values())
    held = marked() - ROWS
    assert problems(held, {**rows, **reasons}, reasons, THREATS) == set()


def test_what_is_left_out_belongs_to_rows_with_tests() -> None:
    """What a row's tests do not hold is said of rows that have some."""
    page = PAGE.read_text(encoding="utf-8")
    assert table(page, "Parts that are left out").keys() <= marked()


@pytest.mark.parametrize(
    ("held", "reasons", "said"),
    [
        (ROWS - {"R-07"}, {}, {"R-07 has neither a test nor a reason"}),
        (ROWS, {"FA-01": "x"}, {"FA-01 has a test, and a reason why not"}),
        (ROWS | {"FA-99"}, {}, {"FA-99 is no row of a catalogue"}),
        (ROWS, {"FS-77": "x"}, {"FS-77 has a reason and is no row"}),
        (ROWS - {"R-07"}, {"R-07": "x"}, set()),
    ],
)
def test_the_register_finds_gaps(
    held: frozenset[str], reasons: Mapping[str, str], said: set[str]
) -> None:
    """A row without a test, a reason too many and an unknown id are found."""
    assert problems(held, dict.fromkeys(ROWS, "x"), reasons) == said


def test_marks_are_read_from_source() -> None:
    """Several ids may be named; what is no test may name none."""
    source = '@pytest.mark.row("R-01", "R-02")\nasync def test_x() -> None: ...\n'
    assert list(marks_of(source)) == ["R-01", "R-02"]
    with pytest.raises(AssertionError, match="'helper' is no test"):
        list(marks_of(source.replace("test_x", "helper")))
