"""An ASGI application on a listening socket, inside a loop that belongs to somebody else."""

import asyncio
import contextlib
import logging
import math
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import Config

from daprflow.errors import DaprFlowError
from daprflow.transports.connection import Connection, LimitedConfig, Limits
from daprflow.transports.descriptors import AT_ONCE, WAITING, fitting

__all__ = ["HttpServer", "Limits", "StartFailed", "serve"]

CANCEL_SECONDS = 0.5
"""How long a cancelled request may take to end."""

_UVICORN = logging.getLogger("uvicorn.error")


class StartFailed(DaprFlowError):  # noqa: N818 - named for what happened
    """The application's lifespan ended with an error; its traceback is in the log."""


class _OneLine(logging.Filter):
    """Leaves one line of what uvicorn logs about requests that outlive the grace period."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the traceback of each, and the sum where there were none."""
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False
        if not record.msg.startswith("Cancel %s running"):
            return True
        record.msg = (
            "%s request(s) outlived the grace period and were cancelled; a longer one lets them end"
        )
        return record.args != (0,)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever owns the process."""
        yield


class HttpServer:
    """One application, served with `Limits`.

    Args:
        app: the application.
        limits: what a peer may use up.
        lifespan: run the application's lifespan; an error there is `StartFailed`.
        websockets: hand upgrades to a WebSocket library where one is installed.
        tls: what is shown to callers, who must speak TLS then.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits | None = None,
        *,
        lifespan: bool = False,
        websockets: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._tls = tls
        config = LimitedConfig(
            app,
            http=Connection,
            ws="auto" if websockets else "none",
            lifespan="auto" if lifespan else "off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=self._limits.idle_seconds,
        )
        config.limits = self._limits
        self._server = _Server(config)
        self._listener: socket.socket | None = None
        self._ticks: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Run the lifespan's first half and accept connections on ``listener`` (taken over)."""
        config = self._server.config
        if not config.loaded:
            config.load()
            config.ssl = self._tls
        self._fit(config)
        self._server.lifespan = config.lifespan_class(config)
        try:
            await self._server.startup(sockets=[listener])
        except SystemExit:
            raise StartFailed("the application failed while it started") from None
        listener.listen(WAITING)  # asyncio takes as many at once as it lets wait
        self._listener = listener
        self._ticks = asyncio.create_task(self._server.main_loop())

    def _fit(self, config: Config) -> None:
        """Take no more connections, in all and at once, than there are files for."""
        if isinstance(config, LimitedConfig):
            allowed = fitting(self._limits.connections)
            config.limits = replace(self._limits, connections=allowed)
        config.backlog = AT_ONCE

    async def stop(self, grace: float) -> None:
        """Stop accepting, let what is in flight end within ``grace`` seconds, end the lifespan."""
        if self._ticks is None or self._listener is None:
            return
        self._ticks.cancel()
        self._ticks = None
        self._server.config.timeout_graceful_shutdown = math.ceil(grace)
        _UVICORN.addFilter(one_line := _OneLine())
        try:
            await self._server.shutdown(sockets=[self._listener])
            if tasks := self._server.server_state.tasks:
                await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        finally:
            _UVICORN.removeFilter(one_line)


async def serve(
    server: HttpServer, listener: socket.socket, until: asyncio.Event, grace: float
) -> None:
    """Serve on ``listener`` until ``until`` is set, then stop within ``grace`` seconds."""
    await server.start(listener)
    try:
        await until.wait()
    finally:
        await server.stop(grace)
