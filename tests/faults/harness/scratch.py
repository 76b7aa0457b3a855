"""Folders for files whose disk is a model: no real disk is waited for."""

import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder below it has a name of its own


def scratch_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder in memory where there is such a file system, to be entered."""
    return tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
