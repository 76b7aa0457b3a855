"""The hub: one for each data folder, there while somebody needs it, and no longer."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from daprflow.launcher import hub
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder, RunningApp, record
from daprflow.launcher.hub import Hub, Patience, enter_hub
from daprflow.launcher.joined import JoinedRun, join
from daprflow.launcher.options import SidecarOptions, Tokens
from daprflow.launcher.sidecar import AppSpec
from tests.helpers.timing import eventually

pytestmark = pytest.mark.sockets

SHORT = Patience(first=30.0, empty=0.05)


def is_there(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def joined(folder: DataFolder, said: list[str], app_id: str) -> JoinedRun:
    """A run with a sidecar in the hub of ``folder``."""
    await eventually(lambda: folder.running() is not None)
    found = folder.running()
    assert found is not None
    run = await join(found, SidecarOptions(), folder.path.parent, said.append)
    assert run is not None
    await run.sidecar(Tokens(), "").start(AppSpec(app_id, None, "/nowhere"))
    return run


async def test_runs_that_start_at_once_share_one_process(tmp_path: Path) -> None:
    """However many runs find nobody there, one hub comes up, and goes after the last of them."""
    path = tmp_path / "data"
    entering = (
        enter_hub(DataFolder(path), SidecarOptions(), tmp_path, lambda _: None) for _ in range(4)
    )
    runs = await asyncio.gather(*entering)
    found = DataFolder(path).running()
    assert found is not None
    assert found.pid != os.getpid()
    assert len({run.http_port for run in runs}) == 4
    for run in runs:
        await run.close()
    await eventually(lambda: not is_there(found.pid))
    assert DataFolder(path).running() is None


async def test_it_ends_soon_after_the_last_run(tmp_path: Path) -> None:
    """A run that is still there keeps it, whoever came first."""
    folder = DataFolder(tmp_path / "data")
    running = asyncio.create_task(Hub(folder.path, patience=SHORT).run())
    one = await joined(folder, [], "one")
    two = await joined(folder, [], "two")
    await one.close()
    await eventually(lambda: (found := folder.running()) is not None and len(found.apps) == 1)
    assert not running.done()
    await two.close()
    assert await running is Exit.OK


async def test_a_hub_that_nobody_comes_to_ends(tmp_path: Path) -> None:
    """Where the run that started it is gone, it waits for nobody."""
    patience = Patience(first=0.05)
    assert await Hub(tmp_path / "data", patience=patience).run() is Exit.OK


async def test_the_second_hub_of_a_folder_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is the first one's; the second one does not touch its log either."""
    monkeypatch.setattr(hub, "LOCK_ATTEMPTS", 1)
    held = DataFolder(tmp_path)
    held.prepare()
    assert held.lock()
    began: list[bool] = []
    assert await Hub(tmp_path, lambda: began.append(True)).run() is Exit.OK
    assert began == []
    held.release()


async def test_log_lines_reach_the_run_whose_app_they_name(tmp_path: Path) -> None:
    """A hub has no terminal: its warnings are said by a run, by all where none is named."""
    folder = DataFolder(tmp_path / "data")
    running = asyncio.create_task(Hub(folder.path, patience=SHORT).run())
    said: dict[str, list[str]] = {"one": [], "two": []}
    runs = [await joined(folder, lines, name) for name, lines in said.items()]
    logging.getLogger("daprflow.test").warning("app '%s' has %s", "two", "a problem")
    logging.getLogger("daprflow.test").warning("nothing works")
    await eventually(lambda: all("warning: nothing works" in lines for lines in said.values()))
    assert said["two"] == ["warning: app 'two' has a problem", "warning: nothing works"]
    assert said["one"] == ["warning: nothing works"]
    for run in runs:
        await run.close()
    await running


async def test_a_folder_of_another_kind_of_run_is_refused(tmp_path: Path) -> None:
    """A run with a real runtime takes nobody in."""
    folder = DataFolder(tmp_path)
    folder.prepare()
    assert folder.lock()
    folder.publish(record(RunningApp("real", 1)))
    try:
        with pytest.raises(LaunchError, match="another run uses"):
            await enter_hub(DataFolder(tmp_path), SidecarOptions(), tmp_path, lambda _: None)
    finally:
        folder.release()
