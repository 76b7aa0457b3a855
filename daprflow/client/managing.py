"""The sidecar itself: what it has, how it is, and its end."""

import asyncio
from datetime import timedelta

from daprflow.client import failures, readiness
from daprflow.client.base import BaseClient
from daprflow.errors import SidecarUnavailable
from daprflow.protocol import operations
from daprflow.protocol.metadata import Metadata


class Managing(BaseClient):
    """The part of the client that is about the sidecar itself."""

    async def metadata(self) -> Metadata:
        """Return what the sidecar has: components, subscriptions, its version and more.

        Raises:
            SidecarError: the sidecar refused, or something else answered.
        """
        response = await self._caller.call(operations.METADATA)
        return self._caller.document(response, Metadata, "the sidecar's metadata")

    async def set_metadata(self, key: str, value: str, /) -> None:
        """Set an entry of the metadata's ``extended``, for whoever asks; it ends with the sidecar.

        Raises:
            SidecarError: the sidecar refused.
        """
        await self._caller.call(operations.set_metadata(key, value))

    async def healthy(self, *, outbound: bool = False) -> bool:
        """Tell whether the sidecar is healthy now; False, too, when none answers.

        It waits for nothing and takes 5 seconds at most.

        Args:
            outbound: ask only whether it serves calls, whatever its app does.
        """
        transport = await self._caller.way.reach()
        request = operations.OUTBOUND_HEALTH if outbound else operations.HEALTH
        try:
            async with asyncio.timeout(readiness.PROBE_SECONDS):
                return failures.healthy(await transport.send(request))
        except (TimeoutError, SidecarUnavailable):
            return False

    async def wait_until_ready(self, timeout: timedelta | float | None = None) -> None:  # noqa: ASYNC109 - the error says more than TimeoutError
        """Wait until the sidecar serves calls; also when it did before, and was restarted since.

        Args:
            timeout: seconds or a timedelta; None means ``DAPR_HEALTH_TIMEOUT``.

        Raises:
            SidecarUnavailable: it did not in that time; the text says what it answered last.
        """
        way = self._caller.way
        transport = await way.reach()
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        await readiness.wait_until_ready(
            transport, way.settings.health_timeout if seconds is None else seconds
        )

    async def shutdown(self, *, force: bool = False) -> None:
        """Ask the sidecar to end: gracefully, or at once with ``force`` (from runtime 1.18 on).

        Raises:
            SidecarError: the sidecar refused.
        """
        await self._caller.call(operations.shutdown(force=force))
