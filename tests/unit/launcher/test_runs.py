"""The notes by which ``daprflow list --all`` finds the runs of this user."""

import os
from pathlib import Path

import pytest

from daprflow.launcher import runs
from daprflow.launcher.folder import DataFolder, RunningApp, RunRecord, record


@pytest.fixture(autouse=True)
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session's folder of its own."""
    folder = tmp_path / "session"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def test_a_run_is_noted_until_it_ends(tmp_path: Path, session: Path) -> None:
    """What is published is found by its folder; the notes are nobody else's to read."""
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    assert folder.lock()
    folder.publish(record(RunningApp("shop", 3500)))
    assert runs.noted() == [tmp_path / "data"]
    assert (session / runs.NAME).stat().st_mode & 0o777 == 0o700
    folder.release()
    assert runs.noted() == []


def test_what_was_killed_is_cleaned(tmp_path: Path) -> None:
    """A record of a process that is gone is taken away; that of one that lives stays."""
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    folder.publish(RunRecord(os.getpid(), "another start", (RunningApp("shop", 3500),)))
    folder.clean()
    assert runs.noted() == []
    assert not (folder.path / "run.json").exists()
    folder.publish(record(RunningApp("shop", 3500)))
    folder.clean()
    assert folder.running() is not None
    assert runs.noted() == [folder.path]


def test_notes_of_others_are_not_believed(tmp_path: Path, session: Path) -> None:
    """A folder that others may write, or that leads elsewhere, is not used."""
    place = session / runs.NAME
    place.mkdir()
    place.chmod(0o777)
    (place / "note").write_text("/somewhere")
    runs.note(tmp_path)
    assert runs.noted() == []
    assert [each.name for each in place.iterdir()] == ["note"]
    other = tmp_path / "other"
    place.rename(other)
    other.chmod(0o700)
    place.symlink_to(other)
    assert runs.noted() == []


def test_a_run_goes_on_without_a_place_for_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no note can be written, the run's own folder still tells of it."""
    (tmp_path / "session" / runs.NAME).write_text("a file")
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    folder.publish(record())
    assert folder.running() is not None
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    assert runs.home().name == f"{runs.NAME}-{os.getuid()}"
