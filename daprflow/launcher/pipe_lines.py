"""The lines that a child process writes into a pipe."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def pipe_lines(reading: int, limit: int) -> AsyncIterator[AsyncIterator[bytes]]:
    """Read a pipe line by line, with their ends, until everybody closed it.

    Args:
        reading: our end of the pipe; closed afterwards.
        limit: bytes of a line that comes as one; a longer one comes in pieces.
    """
    reader = asyncio.StreamReader(limit=limit)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
    )
    try:
        yield _lines(reader)
    finally:
        transport.close()


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while line := await _line(reader):
        yield line


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line, what fits of an endless one, and nothing at the end."""
    try:
        return await reader.readuntil()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await reader.readexactly(error.consumed)
