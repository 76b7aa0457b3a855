"""Which apps have a sidecar on the engine of a data folder."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daprflow.launcher import embedded
from daprflow.launcher.embedded import SharedEngine
from daprflow.launcher.exits import Exit, LaunchError


async def test_an_id_is_one_apps(tmp_path: Path) -> None:
    """While an app has it, another one is refused; its replicas are not."""
    shared = SharedEngine(None, tmp_path)
    await shared.take("shop")
    await shared.take("shop", 2)
    with pytest.raises(LaunchError, match="app 'shop' runs already") as refused:
        await shared.take("shop")
    assert refused.value.code == Exit.DATA_FOLDER
    await shared.close()


async def test_who_is_started_again_waits_for_the_one_that_ended(tmp_path: Path) -> None:
    """An app that crashed gives its id back when its sidecar is closed; the next one takes it then.

    Two are started: the one that comes second is refused.
    """
    shared = SharedEngine(None, tmp_path)
    await shared.take("shop")
    shared.leave("shop")
    again = [asyncio.create_task(shared.take("shop")) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in again)
    shared.leave("shop")  # told once more, as on a second Ctrl-C
    shared.give_back("shop")
    first, second = await asyncio.gather(*again, return_exceptions=True)
    assert first is None
    assert isinstance(second, LaunchError)
    await shared.close()


def ended_process() -> int:
    """Return the id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


async def test_an_app_that_ended_unnoticed_makes_room(tmp_path: Path) -> None:
    """Its process is gone and its run did not notice yet: who comes next waits for that."""
    shared = SharedEngine(None, tmp_path)
    await shared.take("shop")
    shared.serves("shop", 1, ended_process())
    again = asyncio.create_task(shared.take("shop"))
    await asyncio.sleep(0)
    assert not again.done()
    shared.leave("shop")
    await asyncio.sleep(0)
    assert not again.done()
    shared.give_back("shop")
    await again
    shared.serves("shop", 1, os.getpid())
    with pytest.raises(LaunchError, match="app 'shop' runs already"):
        await shared.take("shop")
    await shared.close()


async def test_a_run_that_waits_for_a_change_keeps_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``--reload`` the process of an app ends and its run does not: nobody waits for ever."""
    monkeypatch.setattr(embedded, "NOTICED_WITHIN", 0.0)
    shared = SharedEngine(None, tmp_path)
    await shared.take("shop")
    shared.serves("shop", 1, ended_process())
    with pytest.raises(LaunchError, match="app 'shop' runs already"):
        await shared.take("shop")
    await shared.close()
