"""Slots: so many at once, and a bounded, timed queue of those that wait, in order."""

import asyncio
from collections import OrderedDict


class NoSlot(Exception):  # noqa: N818 - named for the state
    """Nobody made room in time, or too many wait already.

    Attributes:
        waited: seconds, 0 where there was no room to wait.
        full: whether there was none.
    """

    def __init__(self, waited: float, *, full: bool) -> None:
        self.waited = waited
        self.full = full
        super().__init__(f"no slot after {waited:.1f} s")


class Slots:
    """Taken with ``busy += 1`` where ``is_free``, else with ``wait``; given back with ``leave``.

    Args:
        most: how many are taken at once.
        room: how many may wait; None for any number.

    Attributes:
        busy: how many are taken.
        queue: who waits, in order.
        refused: how many got none.
        waits: how many had to wait and got one.
        waited: how long those did, in seconds.
    """

    __slots__ = ("busy", "most", "queue", "refused", "room", "waited", "waits")

    def __init__(self, most: int, room: int | None) -> None:
        self.most: int = most
        self.room: int | None = room
        self.busy: int = 0
        self.refused: int = 0
        self.waits: int = 0
        self.waited: float = 0.0
        self.queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def is_free(self) -> bool:
        """Whether one can be taken at once."""
        return self.busy < self.most and not self.queue

    async def wait(self, seconds: float | None) -> float:
        """Return the seconds it took to get a slot; None waits without an end.

        Raises:
            NoSlot: there was none within ``seconds``, or too many wait already.
        """
        if self.room is not None and len(self.queue) >= self.room:
            self.refused += 1
            raise NoSlot(0.0, full=True)
        loop = asyncio.get_running_loop()
        began = loop.time()
        mine: asyncio.Future[None] = loop.create_future()
        self.queue[mine] = None
        timer = None if seconds is None else loop.call_later(seconds, _expire, mine)
        try:
            await mine
        except _Expired:
            self.queue.pop(mine, None)
            self.refused += 1
            raise NoSlot(loop.time() - began, full=False) from None
        except asyncio.CancelledError:
            if self.queue.pop(mine, mine) is mine and _given(mine):
                self.leave()  # the slot came in the same moment
            raise
        finally:
            if timer is not None:
                timer.cancel()
        took = loop.time() - began
        self.waits += 1
        self.waited += took
        return took

    def leave(self) -> None:
        """Give a slot back; who waits longest has it then."""
        while self.queue:
            first, _ = self.queue.popitem(last=False)
            if not first.done():
                first.set_result(None)
                return
        self.busy -= 1


class _Expired(Exception):  # noqa: N818 - it never leaves this module
    """Nobody made room in time."""


def _expire(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_exception(_Expired())


def _given(slot: "asyncio.Future[None]") -> bool:
    return slot.done() and not slot.cancelled() and slot.exception() is None
