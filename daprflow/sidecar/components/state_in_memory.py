"""``state.in-memory``: values that live as long as the sidecar."""

from collections.abc import Iterator, Sequence
from uuid import uuid4

from daprflow.sidecar.components.base import (
    ComponentContext,
    EtagConflict,
    StateWrite,
    StoredValue,
)
from daprflow.sidecar.components.ttl import parse_int

_SWEEP = 1024
"""How many writes there are at least between two looks for what has expired."""


class InMemoryState:
    """A dictionary with ETags (UUIDs) and expiry."""

    capabilities: tuple[str, ...] = (
        "ETAG",
        "TRANSACTIONAL",
        "TTL",
        "DELETE_WITH_PREFIX",
        "KEYS_LIKE",
        "ACTOR",
    )
    missing_last = False

    def __init__(self, context: ComponentContext) -> None:
        self._clock = context.clock
        self._items: dict[str, StoredValue] = {}
        self._until_sweep = _SWEEP

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Forget everything."""
        self._items.clear()

    def parse_ttl(self, text: str, /) -> int | None:
        """Read ``ttlInSeconds``; the error text is the real store's."""
        return max(parse_int(text, "Atoi"), 0) or None

    async def get(self, key: str, /) -> StoredValue | None:
        """Return the stored value, None when absent or expired."""
        return self._find(key)

    async def get_many(self, keys: Sequence[str], /) -> list[StoredValue | None]:
        """Return the stored values in the order of ``keys``."""
        return [self._find(key) for key in keys]

    async def write(self, write: StateWrite, /) -> None:
        """Do one write, if its ETag allows it."""
        self._check(write)
        self._apply(write)

    async def transact(self, writes: Sequence[StateWrite], /) -> None:
        """Check every write, then do all; a refused one leaves everything as it was."""
        for write in writes:
            self._check(write)
        for write in writes:
            self._apply(write)

    async def keys(self, prefix: str, suffix: str, /) -> list[str]:
        """Return the keys that begin and end so."""
        return [key for key, _ in self.items() if key.startswith(prefix) and key.endswith(suffix)]

    def items(self) -> Iterator[tuple[str, StoredValue]]:
        """Give everything that is stored, oldest key first."""
        now = self._clock.now()
        for key, value in self._items.items():
            if value.expires is None or value.expires > now:
                yield key, value

    def _find(self, key: str) -> StoredValue | None:
        item = self._items.get(key)
        if item is not None and item.expires is not None and item.expires <= self._clock.now():
            del self._items[key]
            return None
        return item

    def _check(self, write: StateWrite) -> None:
        if not write.etag:
            if write.first_write and self._find(write.key) is not None:
                raise EtagConflict("item already exists and no etag was passed")
            return
        item = self._find(write.key)
        if item is None:
            raise EtagConflict(f"state not exist or expired for key={write.key}")
        if item.etag != write.etag:
            raise EtagConflict(
                f"state etag not match for key={write.key}: "
                f"current={item.etag}, expect={write.etag}"
            )

    def _apply(self, write: StateWrite) -> None:
        if write.data is None:
            self._items.pop(write.key, None)
            return
        self._until_sweep -= 1
        if self._until_sweep <= 0:
            self._sweep()
        expires = None
        if write.ttl is not None and write.ttl > 0:
            expires = self._clock.now() + _go_seconds(write.ttl)
        self._items[write.key] = StoredValue(write.data, str(uuid4()), expires)

    def _sweep(self) -> None:
        """Forget what has expired and nobody asks for any more."""
        now = self._clock.now()
        for key in [k for k, v in self._items.items() if v.expires and v.expires <= now]:
            del self._items[key]
        self._until_sweep = max(_SWEEP, len(self._items))  # so a write costs the same among many


def _go_seconds(ttl: int) -> float:
    """Return a time to live as Go's 64 bits of nanoseconds have it: beyond 292 years it wraps."""
    nanoseconds = ttl * 10**9
    return ((nanoseconds + 2**63) % 2**64 - 2**63) / 1e9
