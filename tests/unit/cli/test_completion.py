"""What shells are told when somebody presses the tab key, in the protocol of each."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from daprflow.cli import completion
from daprflow.cli.commands import COMMANDS, words_of
from daprflow.cli.main import build
from daprflow.launcher.folder import DataFolder, RunningApp, record

BASH = {"_DAPRFLOW_COMPLETE": "complete_bash"}


def asked(folder: Path, environment: dict[str, str]) -> list[str]:
    """What the program answers to a shell."""
    done = subprocess.run(
        [sys.executable, "-m", "daprflow"],
        cwd=folder,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")


def bash(folder: Path, line: str) -> list[str]:
    """What bash completes at the end of a line."""
    words = line.split(" ")
    where = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return [each for each in asked(folder, {**BASH, **where}) if each]


def test_commands_their_options_and_their_choices(tmp_path: Path) -> None:
    """Names of commands and of those below them, options, and the values that they can have."""
    (tmp_path / "daprflow.toml").write_text("no TOML [")
    assert bash(tmp_path, "daprflow st") == ["state", "stop", "status"]
    assert bash(tmp_path, "daprflow state ") == ["get", "set", "delete", "list"]
    assert "--etag" in bash(tmp_path, "daprflow state set s k v --")
    assert bash(tmp_path, "daprflow config w") == ["watch"]
    assert bash(tmp_path, "daprflow run --sidecar emb") == ["embedded"]


def test_zsh_and_fish(tmp_path: Path) -> None:
    """Both get the summaries as well; fish is told apart from files."""
    line = {"_TYPER_COMPLETE_ARGS": "daprflow sec"}
    told = "\n".join(asked(tmp_path, {"_DAPRFLOW_COMPLETE": "complete_zsh", **line}))
    assert '"secret":"List the names of a store' in told
    fish = {"_DAPRFLOW_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert asked(tmp_path, {**fish, **line})[0].startswith("secret\tList the names")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(tmp_path: Path, shell: str) -> None:
    """What --show-completion prints calls the program back by its own variable."""
    text = "\n".join(asked(tmp_path, {"_DAPRFLOW_COMPLETE": f"source_{shell}"}))
    assert f"_DAPRFLOW_COMPLETE=complete_{shell}" in text


def test_apps_that_run(tmp_path: Path) -> None:
    """Ids come from the data folder, and from every folder for what looks everywhere."""
    folder = DataFolder(tmp_path / ".daprflow")
    folder.prepare()
    folder.publish(record(RunningApp("shop", 1), RunningApp("stock", 2), RunningApp("shop", 3)))
    assert bash(tmp_path, "daprflow stop sh") == ["shop"]
    assert bash(tmp_path, "daprflow state get --app-id ") == ["shop", "stock"]
    assert bash(tmp_path, "daprflow status st") == ["stock"]


def test_a_sidecar_that_is_away_completes_nothing(tmp_path: Path) -> None:
    """No error disturbs the line that is being typed."""
    assert bash(tmp_path, "daprflow state get ") == []
    assert bash(tmp_path, "daprflow state get statestore ") == []
    assert bash(tmp_path, "daprflow publish --dapr-http-port 1 pub") == []


def test_no_line_is_completed_in_an_ordinary_start() -> None:
    """The shells' variables count with ours alone."""
    assert words_of({"COMP_WORDS": "daprflow x"}) is None
    assert words_of({**BASH, "COMP_WORDS": "daprflow x y"}) == ["x", "y"]
    assert completion.SECONDS <= 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_the_first_line_of_the_commands_text(name: str) -> None:
    """Help and completion say what the command's own help says."""
    module = importlib.import_module(f"daprflow.cli.{name}")
    command = getattr(module, name, None) or module.command
    if isinstance(command, typer.Typer):
        assert command.info.short_help == COMMANDS[name]
    else:
        assert str(command.__doc__).partition("\n")[0] == COMMANDS[name]


POKES = ("publish", "invoke", "state", "actor", "job", "secret", "config", "workflow")
RUNS = ("list", "stop", "logs", "status")


@pytest.mark.parametrize("name", [*POKES, *RUNS])
def test_help_shows_an_example(name: str) -> None:
    """The help of each command, and of each below it, has a line to begin with."""
    group: Any = typer.main.get_command(build((name,)))
    found = group.commands[name]
    below = getattr(found, "commands", {})
    texts = {f"{name} {each}": command.help for each, command in below.items()}
    for words, text in (texts or {name: found.help}).items():
        assert f"\b\ndaprflow {words}" in text
