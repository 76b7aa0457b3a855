"""The sidecar itself: what it has, how it is, and its end."""

import asyncio
import time
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from daprflow.client import failures, readiness
from daprflow.client.base import BaseClient
from daprflow.durations import seconds
from daprflow.errors import SidecarUnavailable
from daprflow.protocol import operations
from daprflow.protocol.metadata import Metadata

if TYPE_CHECKING:
    from daprflow.health.report import HealthReport

HEALTH_AGE: Final = 5.0
HEALTH_SECONDS: Final = 1.0


class Managing(BaseClient):
    """The part of the client that is about the sidecar itself."""

    async def metadata(self) -> Metadata:
        """Return what the sidecar has: components, subscriptions, its version and more.

        Raises:
            SidecarError: the sidecar refused, or something else answered.

        Example:
            ```python
            found = await client.metadata()
            print(found.runtime_version, [each.name for each in found.components])
            ```
        """
        response = await self._caller.call(operations.METADATA)
        return self._caller.document(response, Metadata, "the sidecar's metadata")

    async def set_metadata(self, key: str, value: str, /) -> None:
        """Set an entry of the metadata's ``extended``, for whoever asks; it ends with the sidecar.

        Args:
            key: the entry's name; a value that is there is replaced.
            value: any text.

        Raises:
            SidecarError: the sidecar refused.

        Example:
            ```python
            await client.set_metadata("build", "2027-01-31")
            ```
        """
        await self._caller.call(operations.set_metadata(key, value))

    async def healthy(self, *, outbound: bool = False) -> bool:
        """Tell whether the sidecar is healthy now; False, too, when none answers.

        It waits for nothing and takes 5 seconds at most.

        Args:
            outbound: ask only whether it serves calls, whatever its app does.

        Example:
            ```python
            if not await client.healthy(outbound=True):
                print("calls would fail now")
            ```
        """
        transport = await self._caller.way.reach()
        request = operations.OUTBOUND_HEALTH if outbound else operations.HEALTH
        try:
            async with asyncio.timeout(readiness.PROBE_SECONDS):
                return failures.healthy(await transport.send(request))
        except (TimeoutError, SidecarUnavailable):
            return False

    async def health(
        self, *, max_age: timedelta | float = HEALTH_AGE, components: Collection[str] = ()
    ) -> "HealthReport":
        """Return how the sidecar is, and each component that it has loaded.

        Nothing is changed by it: state, configuration and lock stores are asked for what nobody
        has; of other components it counts that they are loaded. It waits for nothing: each answer
        may take a second.

        Args:
            max_age: how old an earlier report may be to be returned again, in seconds or as a
                timedelta; 0 asks in any case.
            components: names of those that there must be.

        Example:
            ```python
            report = await client.health(components=["statestore"])
            print(report.status, [part.reason for part in report.parts])
            ```
        """
        from daprflow.client.component_health import sidecar_health  # noqa: PLC0415 - few ask
        from daprflow.health.report import summed  # noqa: PLC0415 - likewise

        way = self._caller.way
        oldest = seconds(max_age)
        known, wanted = way.health, frozenset(components)
        now = time.monotonic()
        if known is not None and known[1] == wanted and now - known[0] < oldest:
            return known[2]
        transport = await way.reach()
        report = summed(await sidecar_health(transport, HEALTH_SECONDS, wanted))
        way.health = (now, wanted, report)
        return report

    async def wait_until_ready(self, timeout: timedelta | float | None = None) -> None:  # noqa: ASYNC109 - the error says more than TimeoutError
        """Wait until the sidecar serves calls; also when it did before, and was restarted since.

        Args:
            timeout: seconds or a timedelta; None means ``DAPR_HEALTH_TIMEOUT``.

        Raises:
            SidecarUnavailable: it did not in that time; the text says what it answered last.

        Example:
            ```python
            await client.wait_until_ready(timeout=timedelta(seconds=30))
            ```
        """
        way = self._caller.way
        transport = await way.reach()
        limit = way.settings.health_timeout if timeout is None else seconds(timeout)
        await readiness.wait_until_ready(transport, limit)

    async def shutdown(self, *, force: bool = False) -> None:
        """Ask the sidecar to end: gracefully, or at once with ``force`` (from runtime 1.18 on).

        Raises:
            SidecarError: the sidecar refused.

        Example:
            ```python
            await client.shutdown()
            ```
        """
        await self._caller.call(operations.shutdown(force=force))
