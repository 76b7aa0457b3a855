"""What the apps of one run share."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import Component, ComponentContext, ComponentError
from daprflow.sidecar.engine import Engine, Work
from tests.helpers.components import context


class Part:
    """A component that notes its life."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, made: ComponentContext) -> None:
        self.metadata: Mapping[str, str] = made.metadata
        self.opened = 0
        self.closed = 0

    async def open(self) -> None:
        self.opened += 1
        await asyncio.sleep(0)
        if "fail" in self.metadata:
            raise ComponentError("cannot")

    async def close(self) -> None:
        self.closed += 1


def engine(tmp_path: Path) -> Engine:
    """Return an engine in memory."""
    return Engine(VirtualClock(), None, tmp_path)


async def test_apps_share_what_is_defined_alike(tmp_path: Path) -> None:
    """One store for two apps, opened once, closed with the last."""
    shared = engine(tmp_path)
    made = context(tmp_path, VirtualClock(), "state.x", a="1")
    one, two = await asyncio.gather(
        shared.acquire(made, Part), shared.acquire(replace(made, app_id="app2"), Part)
    )
    assert one is two
    assert isinstance(one, Part)
    await shared.release(one)
    assert (one.opened, one.closed) == (1, 0)
    await shared.release(two)
    assert one.closed == 1


@pytest.mark.parametrize("change", ["name", "type", "version"])
async def test_what_is_defined_otherwise_is_another(tmp_path: Path, change: str) -> None:
    """Name, type, version and metadata make a component's identity."""
    shared = engine(tmp_path)
    made = context(tmp_path, VirtualClock(), "state.x", a="1")
    one = await shared.acquire(made, Part)
    changes = {change: "state.y"}
    assert await shared.acquire(replace(made, **changes), Part) is not one  # type: ignore[arg-type]
    assert await shared.acquire(replace(made, metadata={"a": "2"}), Part) is not one
    await shared.close()


async def test_bindings_belong_to_one_app(tmp_path: Path) -> None:
    """A cron binding of two apps is two."""
    shared = engine(tmp_path)
    made = context(tmp_path, VirtualClock(), "bindings.cron")
    one = await shared.acquire(made, Part)
    assert await shared.acquire(replace(made, app_id="app2"), Part) is not one
    await shared.close()


async def test_a_failed_start_can_be_tried_again(tmp_path: Path) -> None:
    """A component that could not be opened is not kept."""
    shared = engine(tmp_path)
    parts: list[Part] = []

    def make(made: ComponentContext) -> Component:
        parts.append(Part(made))
        return parts[-1]

    made = context(tmp_path, VirtualClock(), "state.x", fail="yes")
    for count in (1, 2):
        with pytest.raises(ComponentError):
            await shared.acquire(made, make)
        assert len(parts) == count
    await shared.close()
    assert [part.closed for part in parts] == [0, 0]


async def test_close_closes_everything(tmp_path: Path) -> None:
    """Components that nobody gave back are closed with the engine."""
    shared = engine(tmp_path)
    part = await shared.acquire(context(tmp_path, VirtualClock(), "state.x"), Part)
    await shared.close()
    assert isinstance(part, Part)
    assert part.closed == 1


async def test_idle_waits_for_the_last_piece_of_work() -> None:
    """`idle` returns at once when nothing is in flight, else with the last end."""
    work = Work()
    await work.idle()
    work.begin()
    work.begin()
    waiting = asyncio.create_task(work.idle())
    work.end()
    await asyncio.sleep(0)
    assert not waiting.done()
    work.end()
    await waiting
    assert work.count == 0
