"""A process that asks for somebody's health all the time, each time on a new connection.

python -m tests.faults.harness.probing URL

It ends with its input, and then says how long each answer took, in seconds, and what went wrong.
"""

import asyncio
import contextlib
import http.client
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from tests.helpers.killed_process import ROOT

PAUSE = 0.02
LONGEST = 10.0


class Report(msgspec.Struct):
    """What came of it: the seconds of each answer, and what was no good answer."""

    seconds: list[float] = []
    wrong: list[str] = []


@dataclass(slots=True)
class Health:
    """What was seen of somebody's health; complete when whoever watched has ended."""

    report: Report = field(default_factory=Report)

    @property
    def slow(self) -> float:
        """The seconds within which 99 of 100 were answered."""
        ordered = sorted(self.report.seconds)
        return ordered[len(ordered) * 99 // 100] if ordered else float("inf")


def ask(url: str) -> int:
    """Ask once; return the status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=LONGEST)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def main(words: Sequence[str]) -> None:
    """Ask until the input ends."""
    (url,) = words
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    report = Report()
    while not ended.is_set():
        begun = time.monotonic()
        try:
            status = ask(url)
        except (OSError, http.client.HTTPException) as error:
            report.wrong.append(f"{type(error).__name__}: {error}")
        else:
            if status >= 300:
                report.wrong.append(f"status {status}")
        report.seconds.append(time.monotonic() - begun)
        if len(report.seconds) == 1:
            sys.stdout.write("begun\n")
            sys.stdout.flush()
        ended.wait(PAUSE)
    sys.stdout.write(msgspec.json.encode(report).decode())


@contextlib.asynccontextmanager
async def watching(url: str) -> AsyncIterator[Health]:
    """Ask all the time, in a process of its own, so that nothing here makes an answer late."""
    health = Health()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, url),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        await asyncio.wait_for(process.stdout.readline(), 2 * LONGEST)
        yield health
        told, _ = await asyncio.wait_for(process.communicate(b""), 2 * LONGEST)
        health.report = msgspec.json.decode(told, type=Report)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
