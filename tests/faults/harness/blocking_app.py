"""The app whose handlers block: one the event loop, the others threads.

Served as a process of its own: ``BLOCK_SECONDS`` says for how long.
"""

import os
import time
from collections.abc import Callable

from daprflow import DaprFlow

SECONDS = "BLOCK_SECONDS"
app = DaprFlow("blocking")
block: Callable[[float], None] = time.sleep
"""What handlers are found to do."""


@app.invoke
def waits() -> None:
    """Block a thread."""
    block(float(os.environ[SECONDS]))


@app.invoke
async def blocks() -> None:
    """Block the event loop."""
    look_up()


def look_up() -> None:
    """Do what a library without 'async' does."""
    block(float(os.environ[SECONDS]))
