"""What every client has: the way to its sidecar, opened by the first call and closed once."""

import warnings
from types import TracebackType
from typing import Self

from daprflow.client.caller import Caller
from daprflow.settings import Settings
from daprflow.transports.base import Transport


class BaseClient:
    """Opens and closes the way to one sidecar; the building blocks are mixed in."""

    def __init__(
        self, settings: Settings | None = None, *, transport: Transport | None = None
    ) -> None:
        self._caller = Caller(settings, transport)

    async def open(self) -> None:
        """Wait for the sidecar now; a closed client can be opened again.

        Raises:
            SidecarUnavailable: it was not ready within the settings' health timeout.
        """
        await self._caller.open()

    async def prepare(self) -> None:
        """Load what the first call needs, so that it need not; no connection is opened."""
        await self._caller.prepare()

    async def close(self) -> None:
        """Give back every connection; later calls are refused."""
        await self._caller.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        caller = getattr(self, "_caller", None)
        if caller is not None and caller.opened:
            warnings.warn(
                "a daprflow Client was dropped while it was open; use 'async with' or 'close()'",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
