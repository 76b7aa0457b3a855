"""``daprflow serve --workers``: several processes on one socket, looked after together."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.helpers.own_ports import free_port
from tests.helpers.timing import eventually

pytestmark = pytest.mark.sockets

APP = """
import os
from daprflow import Actor, DaprFlow
app = DaprFlow("several")

@app.invoke
async def who() -> int:
    return os.getpid()

@app.invoke
async def die() -> int:
    os._exit(3)
"""
WITH_ACTORS = """

@app.actor
class Cart(Actor[int]):
    async def add(self) -> int:
        return 1
"""


@contextmanager
def serving(folder: Path, code: str = APP) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Two workers of an app; their process and its address."""
    (folder / "app.py").write_text(code, encoding="utf-8")
    port = free_port()
    environment = {**os.environ, "DAPRFLOW_METRICS": "on", "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "daprflow", "serve", "app.py", "--workers", "2"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


async def workers_of(url: str, count: int) -> set[int]:
    """The process ids of that many workers, asked until all have answered."""
    found: set[int] = set()
    async with asyncio.timeout(60):
        while len(found) < count:
            try:
                answer = httpx.post(f"{url}/who")
                assert answer.status_code == 200, answer.text
                found.add(answer.json())
            except httpx.TransportError:
                await asyncio.sleep(0.05)  # it does not listen yet
    return found


async def test_workers_serve_count_together_and_are_replaced(tmp_path: Path) -> None:
    """A scrape has the counts of both; one that dies is replaced, and a signal ends all."""
    with serving(tmp_path) as (process, url):
        first = await workers_of(url, 2)
        answered = 0
        for text in (httpx.get(f"{url}/metrics").text for _ in range(2)):
            counted = re.search(r'handler="who",name="who",verdict="success"} (\d+)', text)
            assert counted is not None
            answered = int(counted[1])
        assert answered >= 2
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{url}/die")
        (dead,) = await ended_of(first, 1)
        second = await workers_of(url, 2)
        assert dead not in second
        assert len(first & second) == 1
        assert len(folders_in(tmp_path)) == 1
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0
        assert f"worker process {dead} ended with status 3" in said
        assert not any(map(is_alive, second))
        assert folders_in(tmp_path) == []


async def test_workers_end_with_who_looks_after_them(tmp_path: Path) -> None:
    """When that process is killed, no worker stays behind."""
    with serving(tmp_path) as (process, url):
        found = await workers_of(url, 2)
        process.kill()
        process.wait()
        await ended_of(found, 2)


@pytest.mark.parametrize(
    ("code", "said"),
    [("import nowhere\n", "No module named 'nowhere'"), (APP + WITH_ACTORS, "hosts actors")],
)
def test_what_is_wrong_is_told_once(tmp_path: Path, code: str, said: str) -> None:
    """An app that cannot be served by several processes ends the first, and there is no second."""
    with serving(tmp_path, code) as (process, _):
        _, text = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert text.count(said) == 1


async def ended_of(pids: set[int], count: int) -> set[int]:
    """Those that have ended, waited for until they are that many."""

    def ended() -> set[int]:
        return {each for each in pids if not is_alive(each)}

    await eventually(lambda: len(ended()) >= count, within=30)
    return ended()


def folders_in(folder: Path) -> list[Path]:
    """The folders that hold values of metrics."""
    return list(folder.glob("daprflow-metrics-*"))


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and not only what is left of it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
