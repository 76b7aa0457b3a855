"""The code blocks of README and documentation are files that are tested."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPET = re.compile(r'^--8<-- "(?P<path>[^":]+)(?::(?P<section>\w+))?"$')
BLOCK = re.compile(r"^ *```python[^\n]*\n(?P<code>.*?)^ *```$", flags=re.MULTILINE | re.DOTALL)


def code_of(page: Path) -> list[str]:
    """The Python blocks of a page that it spells out itself."""
    blocks = [match["code"].strip() for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    return [block for block in blocks if not SNIPPET.match(block)]


def sources() -> list[str]:
    """The text of every tested example."""
    files = sorted([*(ROOT / "examples").rglob("*.py"), *(ROOT / "docs" / "src").rglob("*.py")])
    return [path.read_text(encoding="utf-8") for path in files]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_code_blocks_stand_in_a_tested_file(page: Path) -> None:
    """Each Python block of a page stands, word for word, in an example."""
    assert [code for code in code_of(page) if not any(code in text for text in sources())] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_included_files_exist(page: Path) -> None:
    """Each file that a page includes is there."""
    lines = page.read_text(encoding="utf-8").splitlines()
    included = [match["path"] for line in lines if (match := SNIPPET.match(line.strip()))]
    assert [path for path in included if not (ROOT / path).is_file()] == []
