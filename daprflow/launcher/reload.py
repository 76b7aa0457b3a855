"""Watching an app's files for ``--reload``."""

import asyncio
import logging
from pathlib import Path

from watchfiles import PythonFilter, awatch

DEBOUNCE_MS = 200


async def watch(root: Path, changed: asyncio.Event) -> None:
    """Set ``changed`` whenever a Python file below ``root`` was saved.

    Files saved together, as by a branch switch, count once.
    """
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    async for _ in awatch(root, watch_filter=PythonFilter(), debounce=DEBOUNCE_MS, step=50):
        changed.set()
