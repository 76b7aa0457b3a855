"""Keeping up with the items of one configuration store: read, subscribe, read again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import Context

import msgspec

from daprflow.client.caller import Caller
from daprflow.client.pushes import Pushes
from daprflow.errors import SidecarError, SidecarUnavailable
from daprflow.protocol.configuration import (
    ConfigurationItem,
    Subscribed,
    get_configuration,
    subscribe_configuration,
    unsubscribe_configuration,
)

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 15.0
GOODBYE = 1.0
"""Seconds that the end of a subscription may take; the sidecar may have gone before."""

REMOVED = ConfigurationItem()
_items = msgspec.json.Decoder(Mapping[str, ConfigurationItem])
_subscribed = msgspec.json.Decoder(Subscribed)

Changed = Callable[[str, ConfigurationItem], Awaitable[None]]


class NotTaken(Exception):  # noqa: N818 - named for what happened
    """Whoever was told of a change could not take it; it is told again later."""


async def read_items(
    caller: Caller, store: str, keys: tuple[str, ...]
) -> Mapping[str, ConfigurationItem]:
    """Return the items that exist of ``keys``; no keys asks for all.

    Raises:
        SidecarError: the sidecar refused, or the store is away.
    """
    response = await caller.call(get_configuration(store, keys))
    if not response.body:
        return {}
    try:
        items: Mapping[str, ConfigurationItem] = _items.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _nonsense(store) from error
    return items


class Watch:
    """Tells of every change of some items, one at a time.

    Inside an app the sidecar posts changes; what is read again every ``every`` seconds then only
    makes up for a post that was lost. Without an app the reading is all there is.

    Args:
        changed: told of each item at first and of each change, a missing one without a value;
            `NotTaken` has it told again with the next reading.
        pushes: what the app of this process receives; None where there is no app.

    Attributes:
        items: as last told.
        error: why the store could not be read; None when it could.
    """

    def __init__(
        self,
        caller: Caller,
        store: str,
        keys: tuple[str, ...],
        changed: Changed,
        *,
        pushes: Pushes | None,
        every: float,
    ) -> None:
        self.store = store
        self.subscription = ""
        self.items: dict[str, ConfigurationItem] = {}
        self.error: SidecarError | None = None
        self._caller = caller
        self._keys = keys
        self._changed = changed
        self._pushes = pushes
        self._every = every
        self._turn = asyncio.Lock()
        self._woken = asyncio.Event()
        self._resting = asyncio.Event()
        self._pushed = 0
        self._stale = False
        self._task: asyncio.Task[None] | None = None

    async def first(self, seconds: float) -> bool:
        """Read for the first time; tell whether that could be done within ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._read()
        except TimeoutError:
            text = f"configuration store '{self.store}' did not answer within {seconds:g} s"
            self._note(SidecarUnavailable(text))
        except SidecarError as error:
            self._note(error)
        return self.error is None

    async def assume_missing(self) -> None:
        """Tell that nothing is there, of every item that was not told yet."""
        for key in self._keys:
            if key not in self.items:
                with suppress(NotTaken):
                    await self._tell(key, REMOVED)

    def start(self) -> None:
        """Keep up from now on, until `close`."""
        if self._pushes is not None:
            self._pushes.add(self)
        # Not in the context of the delivery that may have asked for it: its trace ends before.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

    async def close(self) -> None:
        """Stop, and end the subscription as far as the sidecar is there to hear it."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._pushes is not None:
            self._pushes.remove(self)
        task.cancel()
        await asyncio.wait({task})
        if self.subscription:
            with suppress(SidecarError, TimeoutError, RuntimeError):
                async with asyncio.timeout(GOODBYE):
                    await self._unsubscribe()

    # ---- what comes from outside

    def wants(self, key: str, /) -> bool:
        """Whether it keeps that item."""
        return not self._keys or key in self._keys

    async def push(self, key: str, item: ConfigurationItem, /) -> None:
        """Take one change of its own subscription.

        Raises:
            NotTaken: whoever is told could not take it.
        """
        self._pushed += 1
        await self._tell(key, item)

    def wake(self) -> None:
        """Read again soon."""
        self._woken.set()
        self._resting.clear()

    def renew(self) -> None:
        """Subscribe again, then read again."""
        self._stale = True
        self.wake()

    async def settled(self) -> None:
        """Return when there is nothing to do but wait."""
        if self._task is not None:
            await self._resting.wait()

    # ---- the task

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._woken.clear()
            if await self._refresh():
                pause, delay = FIRST_PAUSE, self._every
            else:
                pause, delay = min(2 * pause, LONGEST_PAUSE), pause
            if not self._woken.is_set():
                self._resting.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._woken.wait()
            self._resting.clear()

    async def _refresh(self) -> bool:
        """Subscribe where that is possible and needed, then read; tell whether all is well."""
        subscribed = await self._ensure_subscribed()
        try:
            await self._read()
        except SidecarError as error:
            self._note(error)
            return False
        except Exception:  # whoever is told may raise anything; the task must go on
            logger.exception("keeping up with configuration store '%s' failed", self.store)
            return False
        return subscribed

    async def _ensure_subscribed(self) -> bool:
        if self._pushes is None or (self.subscription and not self._stale):
            return True
        try:
            if self.subscription:
                await self._unsubscribe()
            self._stale = False
            response = await self._caller.call(subscribe_configuration(self.store, self._keys))
            self.subscription = _subscribed.decode(response.body).id
        except (SidecarError, msgspec.MsgspecError) as error:
            logger.debug("cannot subscribe to configuration store '%s': %s", self.store, error)
            return False
        return True

    async def _unsubscribe(self) -> None:
        """End the subscription; a sidecar that is another one does not know it."""
        subscription, self.subscription = self.subscription, ""
        with suppress(SidecarError):
            await self._caller.call(unsubscribe_configuration(self.store, subscription))

    async def _read(self) -> None:
        """Read the items and tell what is not as last told.

        Raises:
            SidecarError: they cannot be read.
        """
        pushed = self._pushed
        found = await read_items(self._caller, self.store, self._keys)
        self._recovered()
        for key in self._keys or {**found, **self.items}:
            if self._pushed != pushed:  # what was read may be older than what was told
                self.wake()
                return
            with suppress(NotTaken):
                await self._tell(key, found.get(key, REMOVED))

    async def _tell(self, key: str, item: ConfigurationItem) -> None:
        async with self._turn:
            if self.items.get(key) != item:
                await self._changed(key, item)
                self.items[key] = item

    def _note(self, error: SidecarError) -> None:
        if self.error is None:
            logger.warning(
                "configuration store '%s' cannot be read (%s); it is tried again until it can",
                self.store,
                error,
            )
        self.error = error

    def _recovered(self) -> None:
        if self.error is not None:
            logger.info("configuration store '%s' can be read again", self.store)
            self.error = None


def _nonsense(store: str) -> SidecarError:
    return SidecarError(f"the answer for configuration store '{store}' is not what it should be")
