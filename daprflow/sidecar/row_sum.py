"""Checksums of rows in a database of our own: they say when a row is not as it was written."""

import sqlite3
import zlib

DAMAGED = "a row is not as it was written, by its checksum"
"""What is said of a damaged row. It names nothing of it: any of it may be what was damaged."""


Part = int | float | str | bytes | None


def row_sum(content: bytes, *names: Part) -> int:
    """Return the CRC-32 of what a row holds, and of what it is found by.

    Args:
        content: the largest part.
        names: the others; a number that comes back as a float is given as one.
    """
    return zlib.crc32(content, zlib.crc32(repr(names).encode()))


def require_sound(found: object, content: object, *names: Part) -> None:
    """Compare a row with its checksum; rows that came before there were any have none.

    Args:
        found: the checksum.
        content: as in `row_sum`; damage can turn it into anything.
        names: likewise.

    Raises:
        sqlite3.DatabaseError: it is another one.
    """
    if found is None:
        return
    if not isinstance(content, bytes) or found != row_sum(content, *names):
        raise sqlite3.DatabaseError(DAMAGED)
