"""Whether a database file is whole: looked at before it is used, and without changing it."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

logger = logging.getLogger(__name__)

CHECKED = 256 * 1024 * 1024
"""Bytes up to which a file is checked when it is opened: 0.3 s for 128 MiB. SQLite sees damage of
a larger one where it reads it, but for a key that its index has lost."""


def refuse_damaged(file: Path, busy_timeout: float, limit: int = CHECKED) -> None:
    """Look at each page, row and index of a file; one that is empty, or not there, is whole.

    The connection can only read: it leaves a file that is damaged as it is, log and all.

    Raises:
        sqlite3.Error: it is damaged, or cannot be read.
    """
    try:
        size = file.stat().st_size if file.is_file() else 0
    except OSError:
        return  # SQLite says why, as it does of what is no file
    if not size:
        return
    if size > limit:
        logger.info("database '%s' is large and not checked for damage", file)
        return
    address = f"{file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, timeout=busy_timeout, uri=True)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"it is damaged: {found.splitlines()[-1]}")
