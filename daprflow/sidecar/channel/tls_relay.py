"""TLS for the gRPC library, which cannot leave a certificate unverified: done here, in between."""

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

from daprflow.sidecar.channel.probing import unverified

_CHUNK = 64 * 1024
_CONNECT_TIMEOUT = 5.0


class TlsRelay:
    """Listens on a Unix socket that only this user can reach, and passes on over TLS.

    Args:
        host: address of the app.
        port: where it listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._folder: Path | None = None
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        """Listen, unless it does already; return what the library connects to."""
        if self._folder is None:
            self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="daprflow-"))
            self._server = await asyncio.start_unix_server(self._accept, self._folder / "app")
        return f"unix:{self._folder / 'app'}"

    async def close(self) -> None:
        """End every connection and stop listening."""
        server, self._server = self._server, None
        folder, self._folder = self._folder, None
        if server is not None:
            server.close()
        for task in tuple(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        if folder is not None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            if self._server is not None:
                raise
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        context = unverified()
        context.set_alpn_protocols(["h2"])
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                from_app, to_app = await asyncio.open_connection(
                    self._host, self._port, ssl=context
                )
        except (OSError, TimeoutError):
            return
        try:
            async with asyncio.TaskGroup() as both:
                out = both.create_task(_copy(reader, to_app))
                back = both.create_task(_copy(from_app, writer))
                await asyncio.wait((out, back), return_when=asyncio.FIRST_COMPLETED)
                out.cancel()  # one end without the other is of no use to HTTP/2
                back.cancel()
        finally:
            to_app.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
