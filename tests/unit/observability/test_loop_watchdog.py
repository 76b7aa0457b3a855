"""The watch over the event loop: what blocks it is named, and nothing else is."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Coroutine, Mapping
from types import CodeType
from typing import Any

import pytest
import uvloop

from daprflow.observability.loop_watchdog import LoopWatchdog, _Watch

THRESHOLD = 0.1
LONG = 0.35
LOGGER = "daprflow.observability.loop_watchdog"

STOPPED = """
import asyncio, logging, sys
from daprflow.observability.loop_watchdog import LoopWatchdog
logging.basicConfig(format="%(message)s", stream=sys.stdout)

async def main():
    watchdog = LoopWatchdog({}, 0.3)
    watchdog.start()
    await asyncio.sleep(0.2)
    print("begun", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await asyncio.sleep(0.3)
    print("worst", watchdog.worst_lag < 0.3, watchdog.blocks, flush=True)
    watchdog.stop()

asyncio.run(main())
"""


async def stuck() -> None:
    """Block the loop."""
    inner()


def inner() -> None:
    """Block whoever calls this."""
    threading.Event().wait(LONG)


NAMES: Mapping[CodeType, str] = {stuck.__code__: "topic handler 'stuck' (shop:1)"}


async def watching(work: Coroutine[Any, Any, None]) -> LoopWatchdog:
    """Do some work under the watch."""
    watchdog = LoopWatchdog(NAMES, THRESHOLD)
    watchdog.start()
    await asyncio.sleep(0.1)
    await asyncio.create_task(work)
    await asyncio.sleep(0.1)
    watchdog.stop()
    return watchdog


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the watch has logged."""
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


@pytest.mark.row("FA-20")
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_blocking_handler_is_named(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Handler, line and time are told in one line while it blocks, and once more at the end."""
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(watching(stuck()))
    begun, ended = lines(caplog)
    assert begun.startswith("topic handler 'stuck' (shop:1) has blocked the event loop for 0.")
    assert f"at {__name__}:{inner.__code__.co_firstlineno + 2} in 'inner'" in begun
    assert ended.startswith("topic handler 'stuck' (shop:1) no longer blocks the event loop")


async def test_code_that_is_no_handler_is_told_by_its_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What blocks outside of handlers is told by its place."""

    async def other() -> None:
        inner()

    await watching(other())
    assert lines(caplog)[0].startswith("code outside of handlers has blocked the event loop")


async def test_many_short_callbacks_are_nobodys_fault(caplog: pytest.LogCaptureFixture) -> None:
    """A loop that is late because of much work is late, and no handler is blamed."""

    async def much() -> None:
        for _ in range(40):
            asyncio.get_running_loop().call_soon(threading.Event().wait, 0.01)

    watchdog = LoopWatchdog(NAMES, THRESHOLD)
    watchdog.start()
    await asyncio.sleep(0.1)
    await much()
    await asyncio.sleep(0.01)
    worst = watchdog.worst_lag
    watchdog.stop()
    assert worst > THRESHOLD
    assert lines(caplog) == []


async def test_the_same_line_is_not_told_again_soon(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that blocks with each delivery fills no log."""

    async def twice() -> None:
        await stuck()
        await asyncio.sleep(0.1)
        await stuck()

    watchdog = LoopWatchdog(NAMES, THRESHOLD)
    watchdog.start()
    await asyncio.sleep(0.1)
    await asyncio.create_task(twice())
    await asyncio.sleep(0.1)
    assert watchdog.blocks == 2
    assert watchdog.culprit.startswith("topic handler 'stuck' (shop:1) at ")
    watchdog.stop()
    assert len(lines(caplog)) == 2


async def test_apps_on_one_loop_share_the_watch() -> None:
    """Two apps have one thread; the last one ends it, and none is left."""
    one, two = LoopWatchdog(NAMES, THRESHOLD), LoopWatchdog({}, THRESHOLD)
    one.start()
    two.start()
    assert len([each for each in threading.enumerate() if isinstance(each, _Watch)]) == 1
    one.stop()
    assert len([each for each in threading.enumerate() if isinstance(each, _Watch)]) == 1
    two.stop()
    assert [each for each in threading.enumerate() if isinstance(each, _Watch)] == []


async def test_zero_watches_nothing() -> None:
    """With a threshold of 0 there is no thread, and no lag is known."""
    watchdog = LoopWatchdog(NAMES, 0)
    watchdog.start()
    assert [each for each in threading.enumerate() if isinstance(each, _Watch)] == []
    assert (watchdog.lag, watchdog.worst_lag, watchdog.blocks) == (0, 0, 0)
    watchdog.stop()


@pytest.mark.sockets
@pytest.mark.row("FS-31")
def test_a_process_that_was_stopped_was_not_blocked() -> None:
    """After SIGSTOP and SIGCONT nothing is told, and the time between is no lag."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    os.kill(process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    threading.Event().wait(1.0)  # that long it is stopped
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate("\n", timeout=30)
    assert out == "worst True 0\n"


def test_a_loop_that_is_closed_is_watched_no_more() -> None:
    """An app that nobody has stopped leaves no thread behind for long."""

    async def begin() -> None:
        LoopWatchdog(NAMES, THRESHOLD).start()

    asyncio.run(begin())
    for thread in threading.enumerate():
        if isinstance(thread, _Watch):
            thread.join(30)
            assert not thread.is_alive()
