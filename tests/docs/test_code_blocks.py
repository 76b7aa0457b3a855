"""The code blocks of README and documentation are files that are tested, or are held by a test."""

import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.docs.code_blocks import (
    PAGES,
    ROOT,
    Block,
    blocks,
    holder_of,
    included,
    name_of,
    typed,
)
from tests.docs.environment_page import commands

FILES = {"json", "toml", "yaml"}
"""Languages of files: a page includes them from an example, whose test reads them."""
WORDS = re.compile(r"[a-z]+(?: [a-z]+){2,}")
FLAGS_OF_OTHERS = {"--help", "--version", "--install-completion", "--show-completion"}
every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@cache
def sources() -> tuple[str, ...]:
    """The text of every tested example."""
    kinds = ("*.py", "*.yaml", "*.json", "*.toml")
    found = [path for kind in kinds for path in sorted((ROOT / "examples").rglob(kind))]
    found += sorted((ROOT / "docs" / "src").rglob("*.py"))
    return tuple(path.read_text(encoding="utf-8") for path in found)


@cache
def messages() -> str:
    """Every text in the package, joined where a line ends within one."""
    files = sorted((ROOT / "daprflow").rglob("*.py"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


@cache
def flags() -> Mapping[str, frozenset[str]]:
    """The flags of each command, by its full name."""
    return {
        name: frozenset(
            flag for each in command.params for flag in (*each.opts, *each.secondary_opts)
        )
        for name, command in commands()
    }


def stands(block: Block) -> bool:
    """Whether a block stands, word for word, in an example."""
    return any(block.code in text for text in sources())


@every_page
def test_code_blocks_stand_in_a_tested_file(page: Path) -> None:
    """Each Python block of a page stands, word for word, in an example."""
    spelled = [each for each in blocks(page) if each.language == "python"]
    assert [each.code for each in spelled if not stands(each)] == []


@every_page
def test_included_files_are_tested(page: Path) -> None:
    """Each file that a page includes is there; an example has a test beside it or above."""
    for path in included(page):
        file = ROOT / path
        assert file.is_file(), path
        if path.startswith("examples/"):
            above = [each for each in file.parents if each.is_relative_to(ROOT / "examples")]
            assert any(list(each.glob("test_*.py")) for each in above[:-1]), f"{path} has no test"


@every_page
def test_other_blocks_are_held(page: Path) -> None:
    """A block that is no Python is one of an example's, or held by a test.

    The test is the page's own; else files are those of examples, messages stand in the code, and
    commands are looked at below.
    """
    held = holder_of(name_of(page))
    if held is not None:
        text = held.read_text(encoding="utf-8")
        assert page.name in text or page.parent.name in text, f"{held} does not name {page}"
        return
    assert [problem for each in blocks(page) if (problem := unheld(each))] == []


def unheld(block: Block) -> str:
    """Why nothing holds a block; empty where something does."""
    if block.language == "python" or stands(block):
        return ""
    if block.language in FILES:
        return f"no file of an example has it; include it with --8<--: {block.code}"
    if block.language == "text":
        known = any(each in messages() for each in WORDS.findall(block.code))
        return "" if known else f"no message of the code: {block.code}"
    if block.language in {"console", "bash"}:
        return "" if "daprflow" in block.code else f"no command of daprflow: {block.code}"
    return f"a block of '{block.language}' that nothing tests: {block.code}"


@every_page
def test_every_command_that_is_typed_exists(page: Path) -> None:
    """What a page has somebody type is a command, and has no flag that it does not know."""
    for line in typed(page):
        try:
            words = shlex.split(line.partition(" #")[0].partition(" | ")[0].rstrip("\\ "))
        except ValueError:  # a quotation that goes on in the next line
            words = line.split()
        words = words[: words.index("--")] if "--" in words else words
        name = " ".join(words[:2]) if " ".join(words[:2]) in flags() else words[0]
        asked = {
            word.partition("=")[0]
            for word in words
            if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word, re.DOTALL)
        }
        if asked <= FLAGS_OF_OTHERS and words[0].startswith("-"):
            continue
        assert name in flags(), f"{name_of(page)}: {line}"
        assert asked - flags()[name] - FLAGS_OF_OTHERS == set(), f"{name_of(page)}: {line}"
