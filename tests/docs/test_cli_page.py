"""The page of the commands says what ``--help`` says."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
NOT_LISTED = {"--help"}


def sections() -> Mapping[str, str]:
    """The page's text below each heading that names a command."""
    parts = re.split(
        r"^## `daprflow ([\w -]+)`$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def help_of(*command: str) -> str:
    """What ``daprflow … --help`` prints, in a terminal wide enough for every option."""
    environment = {**os.environ, "COLUMNS": "400", "TERM": "dumb", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "daprflow", *command, "--help"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_every_command_has_a_section() -> None:
    """The page has a section for each command, and for nothing else."""
    listing = help_of().split("Commands")[1]
    commands = re.findall(r"^\W*([a-z]+) {2,}\S", listing, flags=re.MULTILINE)
    assert sorted({name.split()[0] for name in sections()}) == sorted(commands)


@pytest.mark.parametrize("command", sorted(sections()))
def test_every_option_is_described(command: str) -> None:
    """A command's section names each option of its ``--help``, and no other."""
    offered = set(OPTION.findall(help_of(*command.split()))) - NOT_LISTED
    described = set(re.findall(r"^\| `(--[a-z0-9-]+)", sections()[command], flags=re.MULTILINE))
    also = set(
        re.findall(r"^\| `--[a-z0-9-]+`?.*?, `(--[a-z0-9-]+)", sections()[command], re.MULTILINE)
    )
    assert described | also == offered
