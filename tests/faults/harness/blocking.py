"""G18: a handler that blocks the event loop is named, and threads that block hold no probe up."""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.harness import blocking_app
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.victims import Victim
from tests.helpers.killed_process import HOST, plain_environment
from tests.helpers.own_ports import free_port

HANDLERS = 60
PROBES_EVERY = 0.005
WITHIN = 30.0
NAMED = 1.0
P99 = 100.0
_BEGUN = re.compile(
    r"invoke handler 'blocks' \(\S+blocking_app:\d+\) has blocked the event loop for [\d.]+ s, "
    r"at (\S+blocking_app:\d+ in 'look_up')"
)
_ENDED = re.compile(
    r"'blocks' \(\S+\) no longer blocks the event loop; it did for ([\d.]+) s, at (.+)"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done.

    Attributes:
        seconds: how long each handler blocks.
        rounds: how often the loop is blocked.
    """

    seconds: float
    rounds: int


async def _request(port: int, head: str) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        return await _exchange(reader, writer, head)
    finally:
        writer.close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> bytes:
    writer.write(f"{head} HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 0\r\n\r\n".encode())
    status = await reader.readline()
    if not status:
        raise ConnectionError("the app closed the connection")
    length = 0
    while (line := await reader.readline()).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await reader.readexactly(length)
    return status.split()[1]


async def _up(port: int) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            with contextlib.suppress(OSError):
                await _request(port, "GET /healthz")
                return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def _served(plan: Plan, folder: Path) -> AsyncIterator[tuple[Victim, int]]:
    await asyncio.to_thread(folder.mkdir)
    port = free_port()
    env = {**plain_environment(folder), blocking_app.SECONDS: str(plan.seconds)}
    target = f"{blocking_app.__name__}:app"
    words = (sys.executable, "-m", "daprflow", "serve", target, "--port", str(port))
    app = Victim(words, env, folder, "app")
    await app.begin()
    try:
        await _up(port)
        yield app, port
    finally:
        await app.kill()


async def _probed(port: int, over: asyncio.Event) -> list[float]:
    """Ask for health again and again; return how many milliseconds each answer took."""
    took: list[float] = []
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        while not over.is_set():
            begun = time.monotonic()
            status = await _exchange(reader, writer, "GET /healthz")
            assert status == b"200"
            took.append((time.monotonic() - begun) * 1000)
            await asyncio.sleep(PROBES_EVERY)
    finally:
        writer.close()
    return took


async def _named(app: Victim, count: int, pattern: re.Pattern[str]) -> bool:
    """Wait until that many lines are in the log; tell whether they came in time."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        if len(pattern.findall(app.log.read_text(encoding="utf-8"))) >= count:
            return True
        await asyncio.sleep(0.01)
    return False


async def _blocked(plan: Plan, folder: Path) -> tuple[float, list[str]]:
    """Block the loop once in a process; return the seconds until it is named, and what is wrong."""
    async with _served(plan, folder) as (app, port):
        call = asyncio.create_task(_request(port, "POST /blocks"))
        begun = time.monotonic()
        named = await _named(app, 1, _BEGUN)
        seconds = time.monotonic() - begun
        problems = [] if named else ["no line names the handler that blocks"]
        await call
        if named and not await _named(app, 1, _ENDED):
            problems.append("no line says that it ended")
        lines = app.log.read_text(encoding="utf-8")
        told = len(_BEGUN.findall(lines))
        if told > 1:
            problems.append(f"one block was told {told} times")
        for found, _ in _ENDED.findall(lines):
            if float(found) < plan.seconds * 0.8:
                problems.append(f"a block of {plan.seconds} s was told as one of {found} s")
    return seconds, problems


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Block threads and probe; then block the loop and read what the log says of it."""
    over = asyncio.Event()
    async with _served(plan, folder / "threads") as (_, port):
        await _request(port, "GET /healthz")
        calls = [asyncio.create_task(_request(port, "POST /waits")) for _ in range(HANDLERS)]
        probes = asyncio.create_task(_probed(port, over))
        answers = await asyncio.gather(*calls)
        over.set()
        took = sorted(await probes)
    problems = [f"a handler was answered {each!r}" for each in answers if each != b"200"]
    late: list[float] = []
    for number in range(plan.rounds):
        seconds, wrong = await _blocked(plan, folder / f"loop{number}")
        late.append(seconds)
        problems += wrong
    return Result(
        {"handlers in threads": HANDLERS, "probes": len(took), "blocks of the loop": plan.rounds},
        problems,
        [
            Measure("named within", max(late), "s", most=NAMED),
            Measure("99 of 100 probes within", took[len(took) * 99 // 100], "ms", most=P99),
        ],
    )


GOAL = Goal(
    "G18",
    "a handler that blocks the event loop is named while it does; blocked threads delay no probe",
    {Size.QUICK: Plan(1.5, 1), Size.FULL: Plan(2.0, 10), Size.SOAK: Plan(2.0, 200)},
    run,
    alone=True,
)
