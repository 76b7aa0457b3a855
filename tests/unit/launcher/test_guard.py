"""The guard, run as the supervisor runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daprflow.launcher.process import GuardedProcess

pytestmark = [pytest.mark.sockets]

PRINT_PID = "import os; print(os.getpid(), flush=True); "
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); "
SLEEP = "import signal; signal.pause()"


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def guarded(script: str, output: int | None = None, grace: float = 0.2) -> GuardedProcess:
    return GuardedProcess(
        python(script), environment=dict(os.environ), grace=grace, quiet=True, output=output
    )


async def pid_of(reading: int) -> int:
    """Read the process id that a command prints."""
    with os.fdopen(reading, "rb", closefd=False) as file:
        return int(file.readline())


@pytest.mark.row("FC-03")
@pytest.mark.parametrize(("script", "status"), [("", 0), ("raise SystemExit(3)", 3)])
async def test_the_status_is_the_commands(script: str, status: int) -> None:
    """FC-03: what the command returns, the guard returns."""
    assert await guarded(script).wait() == status


@pytest.mark.row("FC-03")
async def test_a_signal_becomes_128_and_its_number() -> None:
    """FC-03: as a shell says it."""
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert await guarded(script).wait() == 137


@pytest.mark.row("FC-13")
async def test_a_missing_command_is_127(capfd: pytest.CaptureFixture[str]) -> None:
    """FC-13: one line on standard error."""
    process = GuardedProcess(["no-such-program"], environment=dict(os.environ), grace=1)
    assert await process.wait() == 127
    assert "cannot run 'no-such-program': No such file" in capfd.readouterr().err


async def test_signals_reach_the_command_even_at_once() -> None:
    """A signal sent before the guard is up is kept for it."""
    process = guarded(SLEEP)
    process.signal(signal.SIGTERM)
    assert await process.wait() == 128 + signal.SIGTERM


async def test_releasing_asks_then_kills() -> None:
    """End of file on the pipe ends a command that ignores the request."""
    reading, writing = os.pipe()
    process = guarded(
        "import signal; signal.signal(15, signal.SIG_IGN); " + PRINT_PID + SLEEP, writing
    )
    os.close(writing)
    await pid_of(reading)
    os.close(reading)
    process.release()
    assert await process.wait() == 128 + signal.SIGKILL


async def test_killing_does_not_wait_for_the_grace() -> None:
    """A second Ctrl-C is at once."""
    process = guarded(DEAF + SLEEP, grace=3600)
    process.kill()
    assert await process.wait() == 128 + signal.SIGKILL


@pytest.mark.row("FC-08")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a subreaper")
async def test_what_the_command_abandoned_is_ended_too() -> None:
    """FC-08: a daemon in a session of its own does not outlive the command."""
    reading, writing = os.pipe()
    daemon = (
        "import os, sys\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "import signal; signal.signal(15, signal.SIG_IGN)\n"
        "print(os.getpid(), flush=True); signal.pause()\n"
    )
    parent = (
        "import subprocess, sys\n"
        f"p = subprocess.Popen([sys.executable, '-c', {daemon!r}], stdout=subprocess.PIPE)\n"
        "print(int(p.stdout.readline()), flush=True)\n"
    )
    process = guarded(parent, writing)
    os.close(writing)
    pid = await pid_of(reading)
    assert await process.wait() == 0
    os.close(reading)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.row("FC-08")
async def test_the_command_leads_its_own_group_and_keeps_no_descriptor() -> None:
    """FC-08: signals go to one group; the control pipe is not handed on."""
    reading, writing = os.pipe()
    script = (
        "import os; print(os.getpid() == os.getpgrp(), "
        "sorted(int(n) for n in os.listdir('/proc/self/fd'))[:4], flush=True)"
    )
    process = guarded(script, writing)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read().strip()
    assert await process.wait() == 0
    assert said == "True [0, 1, 2, 3]"  # 3 is the listing itself


def test_the_guard_needs_the_standard_library_only() -> None:
    """It starts without site packages, so it starts fast and cannot be shadowed."""
    guard = Path(__file__).parents[3] / "daprflow" / "launcher" / "guard.py"
    reading, writing = os.pipe()
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(guard), str(reading), "1", "-", "--", "true"],
        pass_fds=(reading,),
        check=False,
    )
    os.close(reading)
    os.close(writing)
    assert done.returncode == 0
