"""Standard streams that are closed, or that nobody reads any more."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.helpers.cli_run import write

APP = """
from daprflow import DaprFlow

app = DaprFlow("quiet")


@app.cron("tick", "@every 1s")
async def tick() -> None:
    open("ticked", "w").close()
"""
WITHIN = 30.0


def start(folder: Path, redirections: str, output: int | None) -> subprocess.Popen[bytes]:
    """Start a run through a shell, with some of its standard streams redirected."""
    write(folder, {"app.py": APP})
    return subprocess.Popen(
        [
            "/bin/sh",
            "-c",
            f'exec "$0" -m daprflow run --ephemeral . {redirections}',
            sys.executable,
        ],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=output,
    )


def ticked(folder: Path, run: subprocess.Popen[bytes]) -> bool:
    """Wait until the sidecar has called the app."""
    deadline = time.monotonic() + WITHIN
    while not (folder / "ticked").exists():
        if run.poll() is not None or time.monotonic() > deadline:
            return False
        threading.Event().wait(0.02)
    return True


def ended(run: subprocess.Popen[bytes]) -> int:
    """Press Ctrl-C and wait for the end."""
    run.send_signal(signal.SIGINT)
    return run.wait(WITHIN)


@pytest.mark.row("FS-30")
def test_a_run_needs_no_standard_streams(tmp_path: Path) -> None:
    """FS-30: no socket takes the number of a closed stream, and nothing is printed to one."""
    run = start(tmp_path, "<&- >&- 2>&-", None)
    assert ticked(tmp_path, run)
    assert ended(run) == 0


@pytest.mark.row("FS-30")
def test_a_run_goes_on_when_its_reader_has_gone(tmp_path: Path) -> None:
    """FS-30: a pipe that nobody reads ends the output, not the service."""
    reading, writing = os.pipe()
    run = start(tmp_path, "2>/dev/null", writing)
    os.close(reading)
    os.close(writing)
    assert ticked(tmp_path, run)
    assert ended(run) == 0
