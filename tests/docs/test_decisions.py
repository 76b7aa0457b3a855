"""The decisions: each page says what belongs into one, and can be found."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "adr"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
SECTIONS = ["Context", "Decision", "Alternatives considered", "Measured", "Consequences"]
MODULE = re.compile(r"`(?P<path>[a-z_]+(?:/[a-z_]+)*\.py)`")


def headings(page: Path) -> list[str]:
    """The second-level headings of a page, in order."""
    return re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def bodies(page: Path) -> list[str]:
    """What stands below each of them."""
    return re.split(r"^## .+$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "template.md"], ids=lambda page: page.stem)
def test_a_decision_has_its_sections(page: Path) -> None:
    """A decision says its context, what else was thought of, what was measured, what follows."""
    assert headings(page) == SECTIONS
    assert [body for body in bodies(page) if not body.strip()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_decision_names_alternatives(page: Path) -> None:
    """A decision without another way is none: at least two are told."""
    alternatives = bodies(page)[SECTIONS.index("Alternatives considered")]
    told = re.findall(r"^(?:- \*|\*\*)", alternatives, flags=re.MULTILINE)
    assert len(told) >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_decision_can_be_found(page: Path) -> None:
    """A decision stands in the table of decisions and in the navigation."""
    assert f"({page.name})" in (FOLDER / "index.md").read_text(encoding="utf-8")
    assert f"adr/{page.name}\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_decision_has_the_number_of_its_file(page: Path) -> None:
    """The title begins with the number that the file's name has."""
    number = int(page.name.split("-")[0])
    assert page.read_text(encoding="utf-8").startswith(f"# {number}. ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_decisions_name_modules_that_exist(page: Path) -> None:
    """The modules that a decision names are in the package."""
    named = {found["path"] for found in MODULE.finditer(page.read_text(encoding="utf-8"))}
    missing = [name for name in sorted(named) if not (ROOT / "daprflow" / name).exists()]
    assert [name for name in missing if name != "main.py"] == []  # of a user's folder


def test_no_number_is_given_twice() -> None:
    """Decisions are counted without a gap."""
    assert [int(page.name.split("-")[0]) for page in PAGES] == list(range(1, len(PAGES) + 1))
