"""The parts of a run of several apps: the roll, its sources, its log files."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from daprflow.launcher.app_logs import AppLogs
from daprflow.launcher.exits import LaunchError
from daprflow.launcher.roll import Entry, Roll
from daprflow.launcher.sidecar import SidecarInfo
from daprflow.launcher.sidecar_lines import SidecarLines
from daprflow.launcher.sources import Sources
from daprflow.protocol.run_file import LogDestination

INFO = SidecarInfo("embedded sidecar", "why", 3500)


def test_the_roll_is_complete_once_all_have_answered() -> None:
    """Apps that are up and apps that ended count; what comes later changes nothing."""
    told: list[Sequence[Entry]] = []
    roll = Roll(["a", "b"], told.append)
    roll.started("a", 7)
    roll.healthy("a", 8000, INFO)
    assert not roll.told
    roll.ended("b")
    assert told == [(Entry("a", 8000, INFO, 7), Entry("b", ended=True))]
    assert [entry.healthy for entry in told[0]] == [True, False]
    roll.healthy("b", None, INFO)
    assert (len(told), roll.others("a")) == (1, 1)


def test_an_app_is_shown_by_the_id_that_it_told() -> None:
    """It is known by its first name all the same."""
    told: list[Sequence[Entry]] = []
    roll = Roll(["replica-1", "replica-2"], told.append)
    roll.called("replica-1", "shop-1")
    roll.healthy("replica-1", 8000, INFO)
    roll.ended("replica-2")
    assert told == [(Entry("shop-1", 8000, INFO), Entry("replica-2", ended=True))]
    assert roll.others("replica-2") == 1


def test_a_change_concerns_those_who_imported_the_file(tmp_path: Path) -> None:
    """A file of one app is its own, one of both is of both, a new one may be anybody's."""
    own, shared, other = (str(tmp_path / name) for name in ("a.py", "shared.py", "b.py"))
    sources = Sources()
    assert sources.concern("a", Path(other))
    sources.told("a", (own, shared))
    sources.told("b", (other, shared))
    concerned = {
        name: [sources.concern(name, tmp_path / file) for file in ("a.py", "b.py", "shared.py")]
        for name in ("a", "b")
    }
    assert concerned == {"a": [True, False, True], "b": [False, True, True]}
    assert sources.concern("a", tmp_path / "new.py")


def test_lines_go_where_the_template_wants_them(tmp_path: Path) -> None:
    """An app's lines may go to both places, its sidecar's to the file alone, without colours."""
    shown: list[str] = []
    both, file = LogDestination.FILE_AND_CONSOLE, LogDestination.FILE
    logs = AppLogs(shown.append, shown.append, both, file)
    logs.open(tmp_path, "shop", "20260101000000")
    logs.app("\x1b[31mred\x1b[0m")
    logs.sidecar("from the sidecar")
    logs.close()
    folder = tmp_path / ".dapr" / "logs"
    assert shown == ["\x1b[31mred\x1b[0m"]
    assert (folder / "shop_app_20260101000000.log").read_text(encoding="utf-8") == "red\n"
    assert logs.paths == (
        str(folder / "shop_app_20260101000000.log"),
        str(folder / "shop_daprd_20260101000000.log"),
    )


def test_no_folder_is_made_where_only_the_terminal_shows_lines(tmp_path: Path) -> None:
    """``console`` leaves the app's folder as it is."""
    logs = AppLogs(print, print, LogDestination.CONSOLE, LogDestination.CONSOLE)
    logs.open(tmp_path, "shop", "x")
    assert (list(tmp_path.iterdir()), logs.paths) == ([], ())


def test_a_folder_that_takes_no_logs_is_named(tmp_path: Path) -> None:
    """The message says what to write to the template instead."""
    (tmp_path / ".dapr").write_text("a file", encoding="utf-8")
    logs = AppLogs(print, print, LogDestination.FILE, LogDestination.FILE)
    with pytest.raises(LaunchError, match=r"cannot write logs to .*or have appLogDestination"):
        logs.open(tmp_path, "shop", "x")


def test_log_lines_go_to_the_app_that_they_name() -> None:
    """A line of the engine that names an app is that app's; any other is everybody's."""
    lines: dict[str, list[str]] = {"a": [], "b": []}
    puts = [(name, got.append) for name, got in lines.items()]
    handler = SidecarLines(puts, logging.Formatter())
    for text in ("app 'b' is slow", "all of you"):
        handler.handle(logging.LogRecord("x", logging.INFO, "", 0, text, None, None))
    assert lines == {"a": ["all of you"], "b": ["app 'b' is slow", "all of you"]}
