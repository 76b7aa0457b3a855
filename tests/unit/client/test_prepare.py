"""A client may load its transport ahead of the first call."""

import subprocess
import sys

PROGRAM = """
import asyncio, sys
from daprflow import Client

async def main():
    client = Client()
    await client.prepare()
    assert "aiohttp" in sys.modules
    assert not client._caller.opened

assert "aiohttp" not in sys.modules
asyncio.run(main())
"""


def test_preparing_loads_the_transport_and_opens_nothing() -> None:
    """The first call then waits for no import, and nothing needs closing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
