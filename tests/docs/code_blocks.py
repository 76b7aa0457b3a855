"""The blocks of code and commands on pages, and the tests that hold them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(path for name in ("README.md", "CONTRIBUTING.md") if (path := ROOT / name).is_file()),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(
    r"^(?P<pad> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=pad)```$", re.MULTILINE | re.DOTALL
)
INCLUDED = re.compile(r'^ *--8<-- "(?P<path>[^":]+)(?::(?P<section>\w+))?"$', re.MULTILINE)
TYPED = re.compile(r"^(?: {4}|\$ )(?:[A-Z_]+=\S+ )*daprflow (?P<words>\S.*)$", re.MULTILINE)

HELD: Mapping[str, str] = {
    "docs/how-to/compose.md": "test_manifest_commands.py",
    "docs/how-to/helm.md": "test_manifest_commands.py",
    "docs/how-to/pokes.md": "test_poke_commands.py",
    "docs/how-to/workflow-operations.md": "test_workflow_commands.py",
}
"""Pages whose blocks a test of their own runs or compares."""
HELD_FOLDERS: Mapping[str, str] = {
    "docs/tutorial": "tutorial",
    "docs/quickstart": "quickstart",
    "docs/guides": "guides",
    "docs/migration": "migration",
}
"""Folders of such pages, and what the files of their tests are called after."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block that a page spells out itself.

    Attributes:
        page: as seen from the project's folder.
        language: as the fence says.
        code: without what it is indented by.
    """

    page: str
    language: str
    code: str


def name_of(page: Path) -> str:
    """A page as seen from the project's folder."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """What a page spells out in fences and does not include from a file."""
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        code = re.sub(f"^{match['pad']}", "", match["code"], flags=re.MULTILINE).strip()
        if not INCLUDED.search(match["code"]):
            yield Block(name_of(page), match["language"], code)


def included(page: Path) -> Sequence[str]:
    """The files that a page includes."""
    return [match["path"] for match in INCLUDED.finditer(page.read_text(encoding="utf-8"))]


def typed(page: Path) -> Sequence[str]:
    """The commands of daprflow that a page has somebody type."""
    return [match["words"] for match in TYPED.finditer(page.read_text(encoding="utf-8"))]


def holder_of(page: str) -> Path | None:
    """The test that holds the blocks of a page; None without one."""
    tests = ROOT / "tests" / "docs"
    if page in HELD:
        return tests / HELD[page]
    for folder, word in HELD_FOLDERS.items():
        if page.startswith((f"{folder}/", f"{folder}.md")):
            return next(iter(sorted(tests.glob(f"test_*{word}*.py"))), None)
    return None
