"""What a test can have go wrong: failures, delays, a lost sidecar."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from daprflow.addresses import Endpoint
from daprflow.testing.faults import DEFAULT, Fault, Faults
from daprflow.testing.stage import Stage
from daprflow.testing.targets import Target


class Trouble(ABC):
    """The part of a `TestSidecar` that has things fail."""

    _faults: Faults

    @property
    @abstractmethod
    def _stage(self) -> Stage: ...

    @abstractmethod
    def _fake_for(self, app_id: str) -> None: ...

    def fail(
        self,
        target: Target,
        /,
        *,
        times: int | None = None,
        error: str | Exception = DEFAULT,
        status: int | None = None,
    ) -> Fault:
        """Have calls of ``target`` fail, as they do with a real sidecar.

        Who calls sees Dapr's own error of that building block, with ``error`` as the component's
        text in it. A method of an app answers with ``status`` (500) and ``{"error": …}``; so does
        an actor. An activity raises: `ActivityFault`, or ``error`` where that is an exception. It
        goes through resiliency policies: what they retry is tried again, and may pass.

        Args:
            target: a part of a sidecar such as ``StateStore("statestore", on="write")``, a topic,
                an endpoint, an activity, or a class of actors.
            times: how many calls fail; None means all until `Fault.end`.
            error: the text, or for an activity the exception.
            status: what an app answers; 409 for a state store is an ETag conflict.

        Returns:
            what ends it, and counts.

        Raises:
            ValueError: a status or an error that such a target has not.
            TypeError: there is no such target, or ``error`` is an exception for what is no
                activity.

        Example:
            ```python
            dapr.fail(StateStore("statestore"), times=1)
            await dapr.publish(orders, Order("7"))
            ```
        """
        if isinstance(target, Endpoint):
            self._fake_for(target.app_id)
        return self._faults.fail(target, times, error, status)

    def delay(self, target: Target, by: timedelta, /, *, times: int | None = None) -> Fault:
        """Have calls of ``target`` wait on the virtual clock before they go on.

        Such a call ends with `advance`; what needs it counts as settled meanwhile.

        Args:
            target: as for ``fail``.
            by: how long each waits, on the virtual clock.
            times: how many calls wait; None means all until `Fault.end`.

        Returns:
            what ends it, and counts.

        Raises:
            ValueError: the time is negative, or the count below one.
            TypeError: there is no such target.

        Example:
            ```python
            dapr.delay(price, timedelta(seconds=30), times=1)
            ```
        """
        return self._faults.delay(target, by.total_seconds(), times)

    async def disconnect(self, *, times: int | None = None) -> None:
        """Have the app lose its sidecar.

        Its calls raise `SidecarUnavailable`, at once; no event, tick or call reaches it until
        `reconnect`. With ``times`` only so many calls lose their connection, and a client repeats
        those that may be repeated. The test's own ``dapr.client`` is not concerned.

        Example:
            ```python
            await dapr.disconnect()
            ```
        """
        hosted = self._stage.principal
        if times is not None:
            hosted.line.losses += times
            return
        await hosted.disconnect()

    async def reconnect(self) -> None:
        """Let the app find its sidecar again, and wait until what was held back is done.

        Example:
            ```python
            await dapr.disconnect()
            await dapr.reconnect()
            ```
        """
        self._stage.principal.line.losses = 0
        await self._stage.settling.run(self._stage.principal.reconnect())
        await self._stage.settle()

    @asynccontextmanager
    async def disconnected(self) -> AsyncIterator[None]:
        """Have the app be without its sidecar inside ``async with``.

        Yields:
            nothing; the sidecar is back when the block ends.

        Example:
            ```python
            async with dapr.disconnected():
                assert not await dapr.client.healthy()
            ```
        """
        await self.disconnect()
        try:
            yield
        finally:
            await self.reconnect()
