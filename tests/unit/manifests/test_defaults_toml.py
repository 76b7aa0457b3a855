import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from daprflow.cli.commands import COMMANDS
from daprflow.cli.main import build, options_of
from daprflow.cli.settings import by_parameter, defaults
from daprflow.launcher.settings_file import FILE
from daprflow.manifests.defaults_toml import defaults_toml
from daprflow.manifests.settings import AppSettings, read_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the file."""
    (tmp_path / FILE).write_text(defaults_toml())
    return tmp_path


def test_the_file_of_defaults_changes_nothing_of_manifests(folder: Path) -> None:
    """Each of its settings is one, and has the value that it has without the file."""
    assert read_settings(folder).of("shop", "prod") == AppSettings()


def test_the_file_of_defaults_holds_options_that_there_are(folder: Path) -> None:
    """``daprflow run`` reads them as its own, and they are what they are anyway."""
    given = by_parameter(defaults(folder, COMMANDS), options_of)["run"]
    assert given.keys() == tomllib.loads(defaults_toml())["run"].keys()
    group: Any = typer.main.get_command(build(("run",)))
    usual = {each.name: each.default for each in group.commands["run"].params}
    assert {name: str(value).lower() for name, value in given.items()} == {
        name: str(usual[name]).lower() for name in given
    }
