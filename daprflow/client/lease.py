"""One lease on a resource of a lock store: taken, given back, and until when it is relied on."""

import asyncio
import math
from datetime import timedelta
from typing import TypeVar

import msgspec

from daprflow.client.caller import Caller
from daprflow.errors import SidecarError
from daprflow.protocol import locks
from daprflow.protocol.locks import TriedLock, TryLock, Unlock, UnlockAnswer, Unlocked

M = TypeVar("M")

LARGEST_MARGIN = 2.0
_tried = msgspec.json.Decoder(TriedLock)
_unlocked = msgspec.json.Decoder(UnlockAnswer)


class Lease:
    """The right to one resource for a time.

    Attributes:
        deadline: the loop's time until which it may be relied on: counted from before it was asked
            for, and a tenth (two seconds at most) less than the store has it, for clocks differ.
    """

    def __init__(
        self, caller: Caller, store: str, resource: str, owner: str, expiry: timedelta
    ) -> None:
        self._caller = caller
        self._store = store
        self._resource = resource
        self._owner = owner
        self.seconds: int = math.ceil(expiry.total_seconds())
        self.deadline: float = -math.inf

    @property
    def left(self) -> float:
        """Seconds that it may still be relied on; negative when it may not."""
        return self.deadline - asyncio.get_running_loop().time()

    async def take(self) -> bool:
        """Ask for it once; False when somebody has it.

        Raises:
            SidecarError: the sidecar refused, or did not answer. It may have taken it all the same.
        """
        asked = asyncio.get_running_loop().time()
        body = TryLock(self._resource, self._owner, self.seconds)
        response = await self._caller.call(locks.try_lock(self._store, body))
        if not _decoded(_tried, response.body).success:
            return False
        self.deadline = asked + self.seconds - min(self.seconds / 10, LARGEST_MARGIN)
        return True

    async def give_back(self) -> Unlocked:
        """Give it back.

        Raises:
            SidecarError: the sidecar refused, or did not answer.
        """
        self.deadline = -math.inf
        body = Unlock(self._resource, self._owner)
        response = await self._caller.call(locks.unlock(self._store, body))
        return _decoded(_unlocked, response.body).status


def _decoded(decoder: msgspec.json.Decoder[M], body: bytes) -> M:
    try:
        decoded: M = decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise SidecarError("the answer about a lock is not what it should be") from error
    return decoded
