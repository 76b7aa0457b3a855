"""Which apps have a sidecar on the engine of a data folder."""

import asyncio
from pathlib import Path

import pytest

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
