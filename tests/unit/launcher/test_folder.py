"""The data folder: private, locked by one run, found by others."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder, RunningApp, record, start_time


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    data = DataFolder(tmp_path / "my däta" / ".daprflow")
    data.prepare()
    return data


@pytest.mark.row("S-08")
def test_the_folder_is_private_and_ignored_by_git(folder: DataFolder) -> None:
    """Mode 0700, with a .gitignore of its own; blanks and umlauts in the path are fine."""
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert (folder.path / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_preparing_twice_keeps_what_is_there(folder: DataFolder) -> None:
    """An edited .gitignore stays."""
    (folder.path / ".gitignore").write_text("logs\n", encoding="utf-8")
    folder.prepare()
    assert (folder.path / ".gitignore").read_text(encoding="utf-8") == "logs\n"


@pytest.mark.row("FC-11")
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """FC-11: path, cause and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match="--data-dir") as caught:
        DataFolder(tmp_path / "file" / ".daprflow").prepare()
    assert caught.value.code is Exit.DATA_FOLDER


def test_only_one_run_holds_the_lock(folder: DataFolder) -> None:
    """A second one is told so, and may have it once the first gave it back."""
    other = DataFolder(folder.path)
    assert folder.lock()
    assert not other.lock()
    folder.release()
    assert other.lock()
    other.release()


@pytest.mark.row("FS-09")
def test_a_killed_run_leaves_no_lock(folder: DataFolder) -> None:
    """FS-09: the lock goes with its process."""
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from daprflow.launcher.folder import DataFolder\n"
        "assert DataFolder(Path(sys.argv[1])).lock()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder.path)], check=False)
    assert folder.lock()
    folder.release()


def test_a_run_is_found_by_its_record(folder: DataFolder) -> None:
    """run.json is readable by its owner only and holds what others need."""
    assert folder.lock()
    app = RunningApp("shop", 3500, 8000, "token")
    folder.publish(record(app))
    found = DataFolder(folder.path).running()
    assert found is not None
    assert (found.pid, found.apps) == (os.getpid(), (app,))
    assert (folder.path / "run.json").stat().st_mode & 0o777 == 0o600
    folder.release()
    assert DataFolder(folder.path).running() is None


@pytest.mark.row("S-39")
def test_a_record_of_a_dead_process_is_nobody(folder: DataFolder) -> None:
    """A process id that was given to somebody else does not count."""
    stale = record(RunningApp("shop", 3500))
    folder.publish(type(stale)(stale.pid, "another time", stale.apps))
    assert folder.running() is None


@pytest.mark.row("S-39", "S-08")
@pytest.mark.parametrize("there", [False, True])
def test_planted_links_lead_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """A link where a file of the folder belongs is refused or replaced; its end is left alone."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder, victim = tmp_path / ".daprflow", tmp_path / "victim"
    folder.mkdir(mode=0o700)
    if there:
        victim.write_text("mine", encoding="utf-8")
    for name in (".gitignore", "lock", "run.json"):
        (folder / name).symlink_to(victim)
    data = DataFolder(folder)
    data.prepare()
    with pytest.raises(LaunchError, match="cannot lock") as caught:
        data.lock()
    assert caught.value.code is Exit.DATA_FOLDER
    data.publish(record(RunningApp("shop", 3500)))
    assert not (folder / "run.json").is_symlink()
    assert (folder / "run.json").stat().st_mode & 0o777 == 0o600
    assert victim.exists() is there
    assert not there or victim.read_text(encoding="utf-8") == "mine"


@pytest.mark.row("S-39")
def test_a_record_is_whole_whenever_it_is_read(folder: DataFolder) -> None:
    """It is replaced in one step, by way of a file that is made anew and has another name."""
    assert folder.lock()
    one, two = (record(*(RunningApp(f"app{n}", n) for n in range(many))) for many in (1, 400))
    over = threading.Event()
    found: set[int] = set()

    def read() -> None:
        while not over.is_set():
            running = DataFolder(folder.path).running()
            found.add(-1 if running is None else len(running.apps))

    folder.publish(one)
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        folder.publish(two)
        folder.publish(one)
    over.set()
    reader.join()
    folder.release()
    assert found <= {1, 400}
    assert [each.name for each in folder.path.glob("run.json*")] == []


@pytest.mark.parametrize("text", ["", "{", '{"pid": "x"}', "[]"])
def test_a_damaged_record_is_nobody(folder: DataFolder, text: str) -> None:
    """Half a file does not stop a command."""
    (folder.path / "run.json").write_text(text, encoding="utf-8")
    assert folder.running() is None


def test_a_process_that_is_gone_has_no_start_time() -> None:
    """A finished process is told from a running one."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert start_time(process.pid) == ""
    assert start_time(os.getpid()) != ""
