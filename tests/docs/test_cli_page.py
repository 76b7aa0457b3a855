"""The page of the commands says what ``--help`` says."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
NOT_LISTED = {"--help"}


def parts() -> Mapping[str, str]:
    """The page's text below each heading of the second level."""
    titled = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(titled[1::2], titled[2::2], strict=True))


def sections() -> Mapping[str, str]:
    """What the page says of each command, with the shared options where it refers to them."""
    shared = {f"(#{title.lower().replace(' ', '-')})": text for title, text in parts().items()}
    return {
        title.strip("`").removeprefix("daprflow "): text
        + "".join(options for link, options in shared.items() if link in text)
        for title, text in parts().items()
        if title.startswith("`daprflow ")
    }


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


def options_of(command: str) -> set[str]:
    """The options of a command; of a group, those of all its commands."""
    text = help_of(command)
    below = re.findall(r"^  ([a-z]+) {2,}\S", text.partition("Commands:")[2], flags=re.MULTILINE)
    texts = [help_of(command, each) for each in below] or [text]
    return {option for each in texts for option in OPTION.findall(each)} - NOT_LISTED


def test_every_command_has_a_section() -> None:
    """The page has a section for each command, and for nothing else."""
    listing = help_of().split("Commands")[1]
    commands = re.findall(r"^\W*([a-z]+) {2,}\S", listing, flags=re.MULTILINE)
    assert sorted(sections()) == sorted(commands)


def test_every_option_is_described() -> None:
    """A command's section names each option of its ``--help``, and no other."""
    offered = {name: options_of(name) for name in sections()}
    described = {
        name: {
            option
            for row in re.findall(r"^\| (`--[^|]+) \|", text, flags=re.MULTILINE)
            for option in OPTION.findall(row)
        }
        for name, text in sections().items()
    }
    assert described == offered
