"""Configuration and locks for tests of the client: an embedded sidecar that can go away."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from daprflow.client import Client
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from daprflow.sidecar.components.base import EditableConfiguration, LockStore
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.testing.transport import InProcessTransport
from daprflow.transports.base import ConnectionLost
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar

COMPONENTS: Components = {
    "settings": ("configuration.daprflow", {}),
    "overrides": ("configuration.daprflow", {}),
    "locks": ("lock.daprflow", {}),
}


class Line:
    """A transport that a test can cut.

    Attributes:
        cut: whether requests get no answer.
        sent: the targets of the requests so far.
    """

    def __init__(self, sidecar: InProcessSidecar) -> None:
        self._transport = InProcessTransport(HttpApi(sidecar.runtime))
        self.address = self._transport.address
        self.cut = False
        self.sent: list[str] = []

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Carry a request, unless the line is cut."""
        self.sent.append(request.target)
        if self.cut:
            raise ConnectionLost("the line is cut")
        return await self._transport.send(request)

    async def close(self) -> None:
        """Have nothing to close."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A sidecar with configuration and locks, and a client of it."""

    sidecar: InProcessSidecar
    client: Client
    line: Line

    def store(self, name: str = "settings") -> EditableConfiguration:
        """Return a store of items."""
        found = self.sidecar.runtime.configuration.find(name)
        return cast("EditableConfiguration", found)

    async def set(self, key: str, value: str, version: str = "", store: str = "settings") -> None:
        """Set one item as its owner would."""
        await self.store(store).put(key, value, version)

    @property
    def locks(self) -> LockStore:
        """The store of locks."""
        return cast("LockStore", self.sidecar.runtime.loaded("lock")["locks"])


@contextlib.asynccontextmanager
async def blocks(root: Path) -> AsyncIterator[Blocks]:
    """Start a sidecar without an app, and a client of it whose calls fail at once."""
    async with in_process_sidecar(root, COMPONENTS) as sidecar:
        line = Line(sidecar)
        settings = Settings(health_timeout=0.2)
        async with Client(settings, transport=line).with_options(max_attempts=1) as client:
            yield Blocks(sidecar, client, line)
