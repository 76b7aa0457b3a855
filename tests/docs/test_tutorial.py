"""The tutorial is true: what its pages say is done, word by word."""

import shutil
from pathlib import Path

import pytest

from tests.docs.tutorial import PAGES, STEPS, Player, blocks, files_of, included, marks


def number(page: Path) -> int:
    """The page's number, which is that of its step."""
    return int(page.name.partition("-")[0])


@pytest.mark.sockets
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    """Its files are written and its commands typed, beside what the page before has left."""
    folder = tmp_path / "parcels-desk"
    folder.mkdir()
    before = STEPS / f"step{number(page) - 1}"
    if before.is_dir():
        shutil.copytree(before, folder, dirs_exist_ok=True)
        (folder / "__init__.py").unlink()
    Player(tmp_path).play(page)
    after = files_of(STEPS / f"step{number(page)}")
    del after["__init__.py"]  # the repository's, for steps whose packages have one name
    written = files_of(folder)
    assert {name: written[name] for name in after} == after


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_marked_lines_are_the_new_ones(page: Path) -> None:
    """Where a page shows a file again, the lines that are marked are those that changed."""
    before = STEPS / f"step{number(page) - 1}"
    for block in blocks(page):
        source = included(block)
        if source is not None:
            assert block.marked == marks(before / block.title, source), block.title


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_not_run_shows_nothing_printed(page: Path) -> None:
    """Blocks that need more than Python have commands alone, of a few known programs."""
    lines = [
        line for block in blocks(page) if block.kind == "sh" for line in block.text.splitlines()
    ]
    known = {"python", ".", "pip", "mkdir", "cd", "docker", "kind", "kubectl", "dapr", "helm"}
    programs = [
        next(word for word in line.split() if "=" not in word).removesuffix("flow")
        for line in lines
    ]
    assert set(programs) <= known


def test_every_block_is_of_a_kind_that_is_read() -> None:
    """A file, a terminal, or what is not run."""
    for page in PAGES:
        for block in blocks(page):
            assert block.kind in {"console", "sh"} or included(block) is not None, block
