"""The page of the commands says what ``--help`` says."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.docs.environment_page import commands

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


def options_of(name: str) -> set[str]:
    """The long options of a command; of a group, those of all its commands."""
    return {
        flag
        for full, command in commands()
        if full.split(" ", maxsplit=1)[0] == name
        for parameter in command.params
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag.startswith("--")
    } - NOT_LISTED


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


def test_every_command_of_a_group_is_described() -> None:
    """A group's section names each of its commands, with an own start of a line or of a cell."""
    missing = [
        name
        for name, _ in commands()
        for group, _, word in (name.partition(" "),)
        if word and not re.search(rf"^\|[^|]*`{word}\b", sections()[group], flags=re.MULTILINE)
    ]
    assert missing == []


def test_every_flag_is_described() -> None:
    """Short flags and the negative ones, too, which `--help` shows beside the long ones."""
    missing = [
        f"{name} {flag}"
        for name, command in commands()
        for parameter in command.params
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag.startswith("-")
        and flag != "--help"
        and f"`{flag}" not in sections()[name.split(" ", maxsplit=1)[0]]
    ]
    assert missing == []
