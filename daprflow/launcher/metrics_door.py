"""The port where the metrics of an embedded sidecar are read."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from daprflow.sidecar.http_api.guard import Guard
from daprflow.transports.server import HttpServer, Limits

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime
    from daprflow.sidecar.telemetry.metrics import Registry

logger = logging.getLogger(__name__)

PATHS = frozenset({"/", "/metrics"})
"""The real runtime answers on any path; these two are what is asked in practice."""


class MetricsDoorway:
    """Serves metrics on a port that is held already.

    Args:
        listener: holds the port; None where there are no metrics.
    """

    def __init__(self, listener: socket.socket | None) -> None:
        self._listener = listener
        self._server: HttpServer | None = None
        self._starting: asyncio.Task[None] | None = None

    def open(self, runtime: "Runtime") -> None:
        """Begin to serve; returns at once, whoever connects meanwhile waits a little."""
        meters = runtime.telemetry.meters
        if self._listener is None:
            return
        if meters is None:  # the configuration switched them off
            self._listener.close()
            return
        self._server = HttpServer(MetricsApp(meters.registry), Limits())
        self._starting = asyncio.create_task(self._server.start(self._listener))

    async def close(self) -> None:
        """Stop serving at once."""
        if self._starting is not None:
            with contextlib.suppress(Exception):
                await self._starting
        if self._server is not None:
            await self._server.stop(0)


Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]


class MetricsApp:
    """Answers with everything that was recorded, as Prometheus reads it."""

    def __init__(self, registry: "Registry") -> None:
        self._registry = registry
        self._guard = Guard(None)

    async def __call__(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Event]],
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        """Serve one request."""
        from daprflow.sidecar.telemetry.exposition import (  # noqa: PLC0415 - if anybody asks
            CONTENT_TYPE,
            exposed,
        )

        del receive
        if scope["type"] != "http":
            return
        refused = self._guard.stranger(dict(scope["headers"]), scope["headers"])
        found = scope["path"] in PATHS and scope["method"] in {"GET", "HEAD"} and refused is None
        body = exposed(self._registry) if found else b"metrics are at /metrics\n"
        body = body if refused is None else refused.body
        kind = CONTENT_TYPE if found else "text/plain; charset=utf-8"
        headers = [
            (b"content-type", kind.encode("ascii")),
            (b"content-length", b"%d" % len(body)),
        ]
        status = refused.status if refused is not None else 200 if found else 404
        await send({"type": "http.response.start", "status": status, "headers": headers})
        sent = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": sent})
