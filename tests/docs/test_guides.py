"""The guides say what is true: messages exist, commands exist, and nothing is missing."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from daprflow.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
TROUBLE = GUIDES / "troubleshooting.md"
HOLE = "…"
SHORTEST = 12
NO_MESSAGES = frozenset({HOLE, "RUNNING"})


def text_of(node: ast.expr) -> str | None:
    """A text as it stands in code, with a hole for each part that differs."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = (each.value if isinstance(each, ast.Constant) else HOLE for each in node.values)
        return "".join(str(each) for each in parts)
    return None


def texts_of_code() -> Iterator[str]:
    """Every text of the package."""
    for path in (ROOT / "daprflow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = text_of(node) if isinstance(node, ast.expr) else None
            if text and len(text) >= SHORTEST:
                yield text


@cache
def known() -> tuple[str, ...]:
    """What users are told: the texts of the code, and the lines that tests have seen."""
    seen = (ROOT / "tests" / "faults" / "errors.txt").read_text(encoding="utf-8").splitlines()
    return (*texts_of_code(), *seen)


def messages() -> list[str]:
    """The messages of the page: what stands as code in a table's first column."""
    rows = re.findall(
        r"^\| (.+?) \| .+ \| .+ \|$", TROUBLE.read_text(encoding="utf-8"), re.MULTILINE
    )
    quoted = [part for row in rows for part in re.findall(r"`([^`]+)`", row)]
    return [each for each in quoted if each not in NO_MESSAGES]


@pytest.mark.parametrize("message", messages())
def test_each_message_of_the_page_is_one_that_users_see(message: str) -> None:
    """It stands in the code or among the lines that tests have seen; `…` is any text."""
    pattern = re.compile(".*".join(re.escape(part) for part in message.split(HOLE)), re.DOTALL)
    assert any(pattern.search(text) for text in known()), message


def test_there_are_messages_for_what_users_meet_most() -> None:
    """A page that loses its tables loses its tests, too."""
    assert len(messages()) >= 30


@pytest.mark.parametrize("page", sorted(GUIDES.glob("*.md")), ids=lambda page: page.stem)
def test_every_command_of_a_guide_exists(page: Path) -> None:
    """In blocks and in sentences."""
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^ {4,})daprflow ([a-z]+)", text, re.MULTILINE))
    assert named <= set(COMMANDS)
    typed = re.findall(r"^ +(?:daprflow|dapr run) .*$", text, re.MULTILINE)
    options = {each for line in typed for each in re.findall(r"(?<=\s)--[a-z][a-z-]+", line)}
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert options <= set(re.findall(r"--[a-z][a-z-]+", reference))


def test_every_page_of_settings_is_reachable_from_one() -> None:
    """The page about configuration links to all that list settings."""
    text = (GUIDES / "configuration.md").read_text(encoding="utf-8")
    pages = {
        "settings", "environment", "cli", "run-file", "manifests", "components",
        "component-models", "api",
    }  # fmt: skip
    assert pages <= set(re.findall(r"\(\.\./reference/([a-z-]+)\.md", text))
