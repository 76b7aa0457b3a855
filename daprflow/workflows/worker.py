"""The worker of an app's workflows and activities, on the app's own event loop."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from daprflow.client.backoff import SOON, reconnections
from daprflow.errors import DaprFlowError
from daprflow.transports.events import CallRefused, StreamLost
from daprflow.workflows.options import WorkflowSettings

if TYPE_CHECKING:
    from daprflow.transports.grpc_work import TaskHub

logger = logging.getLogger(__name__)

LASTING = 1.0
"""Seconds after which a stream counts as one that worked: its end is told, and is no repetition."""


def _soon() -> Iterator[float]:
    return reconnections(SOON)


class Channels(Protocol):
    """Where the sidecar's gRPC API is."""

    @property
    def token(self) -> str:
        """What it asks for."""
        ...

    async def to_work(self) -> Any:
        """Return a channel, once the sidecar is there."""
        ...


class Work(Protocol):
    """What is done with the items of a stream."""

    def take(self, item: Any, hub: "TaskHub", reset: Any, /) -> None:
        """Begin with an item."""
        ...

    async def drain(self, seconds: float, /) -> None:
        """Let what runs come to its end."""
        ...


class Worker:
    """Takes work from a sidecar for as long as the app runs, however often that goes away.

    Args:
        channels: the way to the sidecar.
        work: does what comes.
        settings: how much at once, and how long at the end.
        pauses: gives the seconds between attempts, from the shortest on.

    Attributes:
        connected: whether work comes now.
    """

    def __init__(
        self,
        channels: Channels,
        work: Work,
        settings: WorkflowSettings,
        pauses: Callable[[], Iterator[float]] = _soon,
    ) -> None:
        self.connected = asyncio.Event()
        self._channels = channels
        self._work = work
        self._settings = settings
        self._pauses = pauses
        self._stopping = False
        self._lasted = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, beside everything else: the sidecar may come after the app."""
        self._task = asyncio.create_task(self._run(), name="daprflow workflows")

    async def stop(self) -> None:
        """Take nothing more, let what runs end, and cancel what does not in time."""
        self._stopping = True
        task, self._task = self._task, None
        if task is None:
            return
        try:
            await self._work.drain(self._settings.drain)
        finally:
            task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _run(self) -> None:
        pauses = self._pauses()
        told = False
        while not self._stopping:
            self._lasted = False
            try:
                await self._work_once()
            except (StreamLost, CallRefused, DaprFlowError) as error:
                if self._lasted:
                    pauses, told = self._pauses(), False
                if not told:
                    logger.warning("no work for workflows comes: %s; it is asked for again", error)
                    told = True
                else:
                    logger.debug("no work for workflows comes yet: %s", error)
            except Exception:
                logger.exception("the worker of workflows failed; it begins again")
            await asyncio.sleep(next(pauses))

    async def _work_once(self) -> None:
        """Take work until the stream ends.

        Raises:
            StreamLost: it did, for whatever reason.
            CallRefused: the sidecar refused, or is not there.
            DaprFlowError: it cannot be reached.
        """
        channel = await self._channels.to_work()
        from daprflow.transports.grpc_work import TaskHub, WorkItems  # noqa: PLC0415 - needs gRPC

        hub = TaskHub(channel, self._channels.token)
        await hub.hello()
        items = WorkItems(hub, stateful=not self._settings.replay)
        self.connected.set()
        logger.info("work for workflows comes from the sidecar")
        lasting = asyncio.get_running_loop().call_later(LASTING, self._last)
        try:
            while True:
                item = await items.read()
                if not self._stopping:
                    self._work.take(item, hub, items.cancel)
        finally:
            lasting.cancel()
            self.connected.clear()
            with contextlib.suppress(Exception):
                items.cancel()

    def _last(self) -> None:
        self._lasted = True
