"""From the home page, any answer is two clicks away."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
HOME = DOCS / "index.md"
LINK = re.compile(r"\]\((?P<path>[^)#:\s]+\.md)(?:#[^)]*)?\)")
# What writers copy, and readers need not find.
TEMPLATES = frozenset({DOCS / "adr" / "template.md"})


def linked(page: Path) -> set[Path]:
    """The pages that a page has links to."""
    paths = LINK.findall(page.read_text(encoding="utf-8"))
    return {found for path in paths if (found := (page.parent / path).resolve()).is_file()}


def test_every_page_is_two_clicks_from_the_home_page() -> None:
    """One link of the home page, and at most one more, lead to any page."""
    first = linked(HOME)
    second = {page for each in first for page in linked(each)}
    pages = set(DOCS.rglob("*.md")) - TEMPLATES - {HOME}
    missed = pages - first - second
    assert sorted(page.relative_to(DOCS).as_posix() for page in missed) == []


def test_every_how_to_is_one_click_from_the_home_page() -> None:
    """The table of questions has each of them."""
    missed = set((DOCS / "how-to").glob("*.md")) - linked(HOME)
    assert sorted(page.name for page in missed) == []
