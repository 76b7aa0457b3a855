"""The page about the examples says of each what its README says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "examples.md"
READMES = sorted((ROOT / "examples").glob("*/README.md"))
ROW = re.compile(
    r"^\| `(?P<folder>\w+)` \| \*\*(?P<title>[^*]+)\.\*\* .+ \| \[.+\]\((?P<page>.+)\) \|$"
)


def rows() -> dict[str, re.Match[str]]:
    """The rows of the table, by folder."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = [match for line in lines if (match := ROW.match(line))]
    return {match["folder"]: match for match in found}


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_example_has_a_row(readme: Path) -> None:
    """With the title of its README, and a page that the README links to."""
    text = readme.read_text(encoding="utf-8")
    row = rows()[readme.parent.name]
    assert text.startswith(f"# {row['title']}\n")
    assert f"](../../docs/{row['page']})" in text


def test_no_row_is_of_an_example_that_is_gone() -> None:
    """Each row has its folder."""
    assert set(rows()) == {readme.parent.name for readme in READMES}
