"""A state store of a test's that fails, says so wrongly, or ends with its process."""

from collections.abc import Callable, Sequence

from daprflow.sidecar.components.base import ComponentError, StateWrite, StoredValue
from daprflow.sidecar.components.state_in_memory import InMemoryState

Fault = str
"""What happens to a call: nothing at all where it is empty."""
BEFORE = "before"
"""It fails, and nothing was done."""
AFTER = "after"
"""It fails, though everything was done."""
KILLED_BEFORE = "killed before"
"""Nothing was done, and nothing comes after it."""
KILLED_AFTER = "killed after"
"""Everything was done, and nothing comes after it."""


class FaultyStore:
    """One process's way to a state store.

    Args:
        store: the store, which outlives the process.
        fault: asked before each call, with what is called, what becomes of it.

    Attributes:
        cut: whether the process is to count as killed: no call does anything any more.
        calls: how many transactions there were.
    """

    missing_last = False
    capabilities = ("ETAG", "TRANSACTIONAL", "ACTOR")

    def __init__(self, store: InMemoryState, fault: Callable[[str], Fault]) -> None:
        self.store = store
        self.cut = False
        self.calls = 0
        self._fault = fault

    async def open(self) -> None:
        """Have nothing to open."""

    async def close(self) -> None:
        """Have nothing to close."""

    def parse_ttl(self, text: str, /) -> int | None:
        """Read a time to live."""
        return self.store.parse_ttl(text)

    async def get(self, key: str, /) -> StoredValue | None:
        """Read one value."""
        self._before("get")
        return await self.store.get(key)

    async def get_many(self, keys: Sequence[str], /) -> list[StoredValue | None]:
        """Read several values."""
        self._before("get_many")
        return await self.store.get_many(keys)

    async def keys(self, prefix: str, suffix: str, /) -> list[str]:
        """Tell keys."""
        self._before("keys")
        return await self.store.keys(prefix, suffix)

    async def write(self, write: StateWrite, /) -> None:
        """Do one write."""
        await self.transact((write,))

    async def transact(self, writes: Sequence[StateWrite], /) -> None:
        """Do all writes or none."""
        self.calls += 1
        fault = self._before("transact")
        await self.store.transact(writes)
        if fault == KILLED_AFTER:
            self.cut = True
        if fault:
            raise ComponentError("the store did it and is away now")

    def _before(self, call: str) -> Fault:
        if self.cut:
            raise ComponentError("the process is gone")
        fault = self._fault(call)
        if fault == KILLED_BEFORE:
            self.cut = True
        if fault in {BEFORE, KILLED_BEFORE} or (fault and call != "transact"):
            raise ComponentError("the store is away")
        return fault
