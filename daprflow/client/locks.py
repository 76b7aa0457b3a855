"""A lock as a block of code that one caller at a time is in."""

import asyncio
import logging
import math
import uuid
from contextlib import suppress
from contextvars import Context
from datetime import timedelta
from types import TracebackType

from daprflow.client.backoff import pauses
from daprflow.client.caller import Caller
from daprflow.client.lease import Lease
from daprflow.errors import LockLost, LockTaken, SidecarError
from daprflow.protocol.locks import Unlocked

logger = logging.getLogger(__name__)

SECOND = "#2"
"""What the name of the second lease of a renewed lock ends with."""
GOODBYE = 5.0
"""Seconds that giving a lock back may take; it ends by itself."""


class HeldLock:
    """A lock that its holder has; what ``async with client.lock(...)`` gives.

    Attributes:
        resource: what is locked.
        owner: the name under which the store has it.

    Example:
        ```python
        async with client.lock("lockstore", "invoice-7", renew=True) as held:
            print(held.resource, held.owner)
        ```
    """

    def __init__(self, resource: str, owner: str, leases: tuple[Lease, ...]) -> None:
        self.resource = resource
        self.owner = owner
        self._leases = leases

    @property
    def remaining(self) -> timedelta:
        """How long the lock may still be relied on; none is left of a lost one."""
        return timedelta(seconds=max(0.0, *(lease.left for lease in self._leases)))

    @property
    def lost(self) -> bool:
        """Whether the lock may not be relied on any more."""
        return not self.remaining

    def __repr__(self) -> str:
        return f"HeldLock({self.resource!r}, {self.owner!r})"


class Lock:
    """A lock that is about to be taken; see `daprflow.Client.lock`.

    Raises:
        ValueError: a name is empty, or the expiry is below a second.

    Example:
        ```python
        lock = client.lock("lockstore", "invoice-7", expiry=timedelta(minutes=1))
        async with lock:
            ...
        ```
    """

    def __init__(
        self,
        caller: Caller,
        store: str,
        resource: str,
        *,
        expiry: timedelta,
        owner: str | None,
        wait: timedelta | None,
        renew: bool,
    ) -> None:
        if not store or not resource:
            raise ValueError("a lock needs the name of its store and that of a resource")
        if expiry < timedelta(seconds=1):
            raise ValueError(f"a lock's expiry is {expiry}; the runtime counts whole seconds")
        self._resource = resource
        self._owner = owner or str(uuid.uuid4())
        self._wait = 0.0 if wait is None else wait.total_seconds()
        names = (resource, resource + SECOND) if renew else (resource,)
        self._leases = tuple(Lease(caller, store, name, self._owner, expiry) for name in names)
        self._limit: asyncio.Timeout | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def __aenter__(self) -> HeldLock:
        """Take the lock.

        Raises:
            LockTaken: somebody else has it, and no time to wait is left.
            SidecarError: the sidecar refused, or did not answer.
        """
        if self._limit is not None:
            raise RuntimeError("a lock is taken once; make another one with 'client.lock(...)'")
        await self._acquire()
        self._limit = asyncio.timeout_at(self._deadline)
        await self._limit.__aenter__()
        if len(self._leases) > 1:
            loop = asyncio.get_running_loop()
            self._renewal = loop.create_task(self._renew(self._limit), context=Context())
        return HeldLock(self._resource, self._owner, self._leases)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the lock back.

        Raises:
            LockLost: the lock ended before its block did.
        """
        if self._limit is None:
            raise RuntimeError("the lock was not taken")
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})
        held = self._deadline > asyncio.get_running_loop().time()
        lost = False
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError:
            lost = True
        finally:
            held = await self._give_back() and held
        if lost or (not held and kind is None):
            raise LockLost(
                f"the lock on '{self._resource}' ended before the work under it did: it lasts "
                f"{self._leases[0].seconds} s; take it for longer, or with 'renew'"
            ) from error

    # ---- taking

    @property
    def _deadline(self) -> float:
        return max(lease.deadline for lease in self._leases)

    async def _acquire(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait
        for pause in pauses():
            if await self._take_all():
                return
            left = end - loop.time()
            if left <= 0:
                raise LockTaken(
                    f"somebody else has the lock on '{self._resource}'"
                    + (f", and had it for {self._wait:g} s" if self._wait else "")
                )
            await asyncio.sleep(min(pause, left))

    async def _take_all(self) -> bool:
        """Take every lease or none; once one is refused, those before it are given back."""
        taken: list[Lease] = []
        try:
            for lease in self._leases:
                taken.append(lease)  # an answer that got lost may have been a yes
                if not await lease.take():
                    taken.pop()
                    break
            else:
                return True
        except BaseException:
            await _give_back_all(taken)
            raise
        await _give_back_all(taken)
        return False

    # ---- keeping

    async def _renew(self, limit: asyncio.Timeout) -> None:
        """Give the older lease back and take it anew while the younger one holds, in turns."""
        period = self._leases[0].seconds / 3
        while True:
            await asyncio.sleep(period)
            older, younger = sorted(self._leases, key=lambda lease: lease.deadline)
            if not await self._retake(older, younger):
                limit.reschedule(-math.inf)
                return
            limit.reschedule(self._deadline)

    async def _retake(self, older: Lease, younger: Lease) -> bool:
        """Take ``older`` anew; False when the store has lost it, and with it perhaps everything."""
        if older.left > 0:
            try:
                if await older.give_back() is not Unlocked.SUCCESS:
                    return False
            except SidecarError as error:
                logger.warning("renewing the lock on '%s' failed: %s", self._resource, error)
        for pause in pauses():
            if younger.left <= 0:
                return True  # the limit ends the block
            try:
                if await older.take():
                    return True
            except SidecarError as error:
                logger.warning("renewing the lock on '%s' failed: %s", self._resource, error)
            await asyncio.sleep(pause)
        return False  # pragma: no cover - the pauses have no end

    # ---- giving back

    async def _give_back(self) -> bool:
        """Give everything back; False when the store says that it was not ours any more."""
        ours = True
        for lease in self._leases:
            try:
                async with asyncio.timeout(GOODBYE):
                    status = await lease.give_back()
            except (SidecarError, TimeoutError, RuntimeError) as error:
                # RuntimeError: the client was closed before, as when an app is ended at once.
                logger.warning(
                    "the lock on '%s' could not be given back (%s); it ends within %d s",
                    self._resource,
                    str(error) or "no answer",
                    lease.seconds,
                )
            else:
                ours = ours and status is Unlocked.SUCCESS
        return ours


async def _give_back_all(leases: list[Lease]) -> None:
    for lease in leases:
        with suppress(SidecarError):
            await lease.give_back()
