"""``daprflow config`` where nothing runs: what the next run will find."""

import asyncio
import dataclasses
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from daprflow.cli.config import Action, config
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ConfigurationValue
from daprflow.sidecar.components.configuration_local import LocalConfiguration
from tests.helpers.components import context


def run(folder: Path, action: Action, *words: str, version: str = "") -> None:
    """Run the command on a data folder."""
    given: list[Any] = [*words, None, None, None]
    config(action, *given[:3], version=version, dapr_http_port=None, data_dir=folder)


def test_items_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was set is listed and printed, by store and key, until it is deleted."""
    folder = tmp_path / "data"
    run(folder, Action.LIST)
    assert capsys.readouterr().out == ""
    assert not folder.exists()
    run(folder, Action.SET, "settings", "a/b", "one two", version="3")
    run(folder, Action.SET, "flags", "c", "1")
    assert capsys.readouterr().out.splitlines() == [
        "set 'a/b' in 'settings'; nothing runs here now",
        "set 'c' in 'flags'; nothing runs here now",
    ]
    run(folder, Action.LIST)
    run(folder, Action.GET, "settings", "a/b")
    assert capsys.readouterr().out.splitlines() == [
        "flags c - 1",
        "settings a/b 3 one two",
        "one two",
    ]
    run(folder, Action.DELETE, "settings", "a/b")
    capsys.readouterr()
    run(folder, Action.LIST, "settings")
    assert capsys.readouterr().out == ""


async def test_the_sidecar_reads_what_was_set(tmp_path: Path) -> None:
    """The built-in store of the next run has the item."""
    await asyncio.to_thread(run, tmp_path, Action.SET, "it", "a", "1")
    made_from = context(tmp_path, VirtualClock(), "configuration.daprflow")

    store = LocalConfiguration(dataclasses.replace(made_from, data_dir=tmp_path))
    await store.open()
    assert await store.get([], {}) == {"a": ConfigurationValue("1")}
    await store.close()


@pytest.mark.parametrize(
    ("action", "words", "usage"),
    [
        (Action.SET, ("s", "k"), "set STORE KEY VALUE"),
        (Action.SET, ("s", "k", ""), "set STORE KEY VALUE"),
        (Action.GET, ("s",), "get STORE KEY"),
        (Action.DELETE, ("s", "k", "v"), "delete STORE KEY"),
        (Action.LIST, ("s", "k"), r"list \[STORE\]"),
    ],
)
def test_wrong_usage(tmp_path: Path, action: Action, words: tuple[str, ...], usage: str) -> None:
    """What is missing or too much is answered with how it is written."""
    with pytest.raises(LaunchError, match=usage) as caught:
        run(tmp_path, action, *words)
    assert caught.value.code == Exit.USAGE


@pytest.mark.parametrize("action", [Action.GET, Action.DELETE])
def test_a_missing_item(tmp_path: Path, action: Action) -> None:
    """An item that is not there is an error that names it."""
    with pytest.raises(LaunchError, match="there is no item 'k' in 's'"):
        run(tmp_path, action, "s", "k")


def test_a_folder_that_is_being_used(tmp_path: Path) -> None:
    """A run that is just starting has the folder for itself."""
    holder = DataFolder(tmp_path)
    holder.prepare()
    assert holder.lock()
    try:
        with pytest.raises(LaunchError, match="another run uses"):
            run(tmp_path, Action.SET, "s", "k", "v")
    finally:
        holder.release()


def test_a_damaged_file(tmp_path: Path) -> None:
    """A file that is no database is named with the remedy, and left alone."""
    (tmp_path / "engine.db").write_bytes(b"no database" * 100)
    with pytest.raises(LaunchError, match=r"engine\.db.*restore.*or move it away"):
        run(tmp_path, Action.SET, "s", "k", "v")


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    """Setting an item leaves the events of the folder as they are."""
    run(tmp_path, Action.SET, "s", "k", "v")
    with sqlite3.connect(tmp_path / "engine.db") as connection:
        connection.execute("INSERT INTO event_groups VALUES (1, 'p', 't', 'c')")
    connection.close()
    run(tmp_path, Action.SET, "s", "k", "w")
    with sqlite3.connect(tmp_path / "engine.db") as connection:
        assert connection.execute("SELECT count(*) FROM event_groups").fetchone() == (1,)
    connection.close()
