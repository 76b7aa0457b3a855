"""Which flags a release of ``daprd`` knows: one it does not know would end it at once."""

import asyncio
import math
import re
from collections.abc import Sequence
from pathlib import Path

from daprflow.launcher.exits import Exit, LaunchError

Flag = tuple[str, object]
Release = tuple[int, int]

OLDEST: Release = (1, 12)
NEWEST: Release = (99, 0)
"""What a build that has no number (``edge``) counts as."""

SINCE: dict[str, Release] = {
    "dapr-internal-grpc-listen-address": (1, 14),
    "max-body-size": (1, 14),
    "metrics-listen-address": (1, 14),
    "read-buffer-size": (1, 14),
    "scheduler-host-address": (1, 14),
}
"""Flags of ours that came after the oldest release, as its option parser shows them."""

VERSION_SECONDS = 10.0
_number = re.compile(r"v?(\d+)\.(\d+)")


async def release_of(program: Path) -> Release:
    """Ask a runtime for its release; one that does not say counts as the newest.

    Raises:
        LaunchError: it is older than what is supported.
    """
    text = await _output(program)
    found = _number.match(text)
    release = (int(found[1]), int(found[2])) if found else NEWEST
    if release < OLDEST:
        raise LaunchError(
            f"daprd ({program}) is {text}, and the oldest release that works is 1.12; "
            "update it, or use --sidecar embedded",
            Exit.SIDECAR_FAILED,
        )
    return release


def known(flags: Sequence[Flag], release: Release) -> list[Flag]:
    """Return the flags as that release takes them; what it cannot be told is left out."""
    found: list[Flag] = []
    for name, value in flags:
        if release >= SINCE.get(name, OLDEST):
            found.append((name, value))
        elif name == "max-body-size" and isinstance(value, int):
            found.append(("dapr-http-max-request-size", _units(value, 1024 * 1024)))
        elif name == "read-buffer-size" and isinstance(value, int):
            found.append(("dapr-http-read-buffer-size", _units(value, 1024)))
    return found


def listens_everywhere(release: Release) -> bool:
    """Tell whether metrics and internal calls of that release cannot be kept on loopback."""
    return release < SINCE["metrics-listen-address"]


def _units(value: int, unit: int) -> int:
    """Return bytes as the older flags count them, rounded up; -1 stays "no limit"."""
    return -1 if value < 0 else math.ceil(value / unit)


async def _output(program: Path) -> str:
    """Return what ``--version`` prints, empty where it cannot be run: starting it says why."""
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(VERSION_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return output.decode(errors="replace").strip() if process.returncode == 0 else ""
