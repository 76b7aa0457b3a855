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
LATER = 5.0
"""The longest pause where a sidecar opens streams and ends them: it runs no workflows as yet."""
LOOK = 0.1
"""Seconds between two looks at whether the connection to such a sidecar is there."""


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
        pauses: gives the seconds between attempts, from the shortest on to the longest that is
            asked for.

    Attributes:
        connected: whether work comes now; after a stream that ended at once without any, it takes
            one that lasts.
    """

    def __init__(
        self,
        channels: Channels,
        work: Work,
        settings: WorkflowSettings,
        pauses: Callable[[float], Iterator[float]] = reconnections,
    ) -> None:
        self.connected: asyncio.Event = asyncio.Event()
        self._channels = channels
        self._work = work
        self._settings = settings
        self._pauses = pauses
        self._stopping = False
        self._lasted = False
        self._vain = False
        self._hub: TaskHub | None = None
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
        soon, later = self._pauses(SOON), self._pauses(LATER)
        told = False
        while not self._stopping:
            self._lasted = False
            try:
                await self._work_once()
            except (StreamLost, CallRefused, DaprFlowError) as error:
                if self._lasted:
                    soon, later, told = self._pauses(SOON), self._pauses(LATER), False
                if not told:
                    logger.warning("no work for workflows comes: %s; it is asked for again", error)
                    told = True
                else:
                    logger.debug("no work for workflows comes yet: %s", error)
            except Exception:
                logger.exception("the worker of workflows failed; it begins again")
            if self._vain:
                await self._rest(next(later))
            await asyncio.sleep(next(soon))

    async def _work_once(self) -> None:
        """Take work until the stream ends.

        Raises:
            StreamLost: it did, for whatever reason.
            CallRefused: the sidecar refused, or is not there.
            DaprFlowError: it cannot be reached.
        """
        channel = await self._channels.to_work()
        from daprflow.transports.grpc_work import TaskHub, WorkItems  # noqa: PLC0415 - needs gRPC

        hub = self._hub = TaskHub(channel, self._channels.token)
        before, self._vain = self._vain, False  # one that is away is no longer the one before
        await hub.hello()
        items = WorkItems(hub, stateful=not self._settings.replay)
        self._vain = True  # until it lasts, or an item comes
        if not before:
            self._comes()
        lasting = asyncio.get_running_loop().call_later(LASTING, self._last)
        try:
            while True:
                item = await items.read()
                if self._vain and not item.HasField("healthPing"):
                    self._last()
                if not self._stopping:
                    self._work.take(item, hub, items.cancel)
        finally:
            lasting.cancel()
            self.connected.clear()
            with contextlib.suppress(Exception):
                items.cancel()

    async def _rest(self, seconds: float) -> None:
        """Wait, but no longer than the connection lasts: the next sidecar may do better."""
        while seconds > 0 and self._hub is not None and self._hub.connected:
            await asyncio.sleep(min(seconds, LOOK))
            seconds -= LOOK

    def _comes(self) -> None:
        self.connected.set()
        logger.info("work for workflows comes from the sidecar")

    def _last(self) -> None:
        self._lasted, self._vain = True, False
        if not self.connected.is_set():
            self._comes()
