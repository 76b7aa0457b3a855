"""Watching an app's files for ``--reload``."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from watchfiles import PythonFilter, awatch

DEBOUNCE_MS = 200


async def watch(
    root: Path, changed: asyncio.Event, concerns: Callable[[Path], bool] = lambda _: True
) -> None:
    """Set ``changed`` whenever a Python file below ``root`` was saved.

    Files saved together, as by a branch switch, count once.

    Args:
        root: the folder.
        changed: set.
        concerns: tells whether a file counts.
    """
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    saved = awatch(root, watch_filter=PythonFilter(), debounce=DEBOUNCE_MS, step=50)
    async for changes in saved:
        if any(concerns(Path(file)) for _, file in changes):
            changed.set()
