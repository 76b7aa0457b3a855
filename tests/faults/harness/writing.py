"""A process that writes pairs of values in transactions until it is killed; it prints what is safe.

python -m tests.faults.harness.writing FOLDER
"""

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import cast

from daprflow.sidecar.components.base import StateStore, StateWrite
from daprflow.sidecar.components.registry import COMPONENTS
from tests.faults.harness.steps import install_from_environment
from tests.helpers.killed_process import ROOT
from tests.helpers.writer_process import made_from

WRITERS = 16
WITHIN = 60.0


async def write_pairs(
    folder: Path, count: int, env: dict[str, str] | None = None
) -> tuple[list[str], float]:
    """Run the process, kill it after some lines; return all lines and the seconds they took."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(folder)),
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    text = b""
    begun = 0.0
    try:
        async with asyncio.timeout(WITHIN):
            while text.count(b"\n") < count:
                piece = await process.stdout.read(65_536)
                if not piece:
                    break  # it met a fail-point
                begun = begun or time.monotonic()
                text += piece
    finally:
        took = time.monotonic() - begun
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        text += await process.stdout.read()
        await process.wait()
    whole, _, _ = text.rpartition(b"\n")  # the last line may have been cut off
    return whole.decode().splitlines(), took


async def main(folder: Path) -> None:
    """Write without end, each writer from where its pair is."""
    store = cast("StateStore", COMPONENTS["state.sqlite"](made_from(folder, "state.sqlite")))
    await store.open()

    async def write(name: int) -> None:
        stored = await store.get(f"left{name}")
        number = 0 if stored is None else int(stored.data)
        while True:
            number += 1
            data = b"%d" % number
            both = (StateWrite(f"left{name}", data), StateWrite(f"right{name}", data))
            await store.transact(both)
            sys.stdout.write(f"{name} {number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(write(name) for name in range(WRITERS)))


if __name__ == "__main__":
    install_from_environment()
    asyncio.run(main(Path(sys.argv[1])))
