"""Calls on apps that are on their way up."""

import asyncio
import logging

import pytest

from daprflow.sidecar.arrivals import PATIENCE, Arrivals
from daprflow.sidecar.clock import VirtualClock


async def test_a_call_waits_until_the_app_is_up() -> None:
    """Whoever calls an app that is expected goes on when it has arrived, or is given up."""
    arrivals = Arrivals(VirtualClock())
    arrivals.expect(("a", "b"))
    waiting = [asyncio.create_task(arrivals.wait_for(name, "c")) for name in ("a", "b")]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    arrivals.arrived("a")
    arrivals.give_up("b")
    await asyncio.gather(*waiting)
    await arrivals.wait_for("a", "c")
    await arrivals.wait_for("stranger", "c")


async def test_who_waits_for_long_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """After a few seconds a line says which app is not up yet and who calls it."""
    caplog.set_level(logging.WARNING)
    clock = VirtualClock()
    arrivals = Arrivals(clock)
    arrivals.expect("ab")
    waiting = asyncio.create_task(arrivals.wait_for("a", "shop"))
    await settled(clock)
    assert caplog.messages == ["app 'shop' calls app 'a', which is not up yet: the call waits"]
    arrivals.arrived("a")
    await waiting


async def test_a_ring_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Apps that wait for each other are named in one line, whoever else waits for them."""
    caplog.set_level(logging.WARNING)
    clock = VirtualClock()
    arrivals = Arrivals(clock)
    arrivals.expect("abc")
    calls = (("a", "b"), ("b", "c"), ("c", "a"))
    waiting = [asyncio.create_task(arrivals.wait_for(callee, caller)) for caller, callee in calls]
    await settled(clock)
    assert caplog.messages == [
        (
            "these apps wait for each other and none can come up: 'a' calls 'b', 'b' calls 'c', "
            "'c' calls 'a'; call other apps after the start, not in a lifespan or a provider"
        )
    ]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def settled(clock: VirtualClock) -> None:
    """Let everybody begin to wait, then let their patience end."""
    for _ in range(3):
        await asyncio.sleep(0)
    clock.move_to(clock.now() + PATIENCE)
    for _ in range(3):
        await asyncio.sleep(0)
