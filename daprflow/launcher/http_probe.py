"""One small HTTP call to a process on this machine, without a client library."""

import asyncio
from collections.abc import Mapping

PROBE_SECONDS = 2.0


async def probe(port: int, path: str, headers: Mapping[str, str], host: str = "127.0.0.1") -> int:
    """Return the status of ``GET path``; 0 where no proper answer came."""
    lines = [f"GET {path} HTTP/1.1", f"host: {host}:{port}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode())
                first = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return 0
    words = first.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
