"""Where requests are counted: in this process, or in a state store that replicas share."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal

import msgspec

from daprflow.client import Client
from daprflow.durations import Duration, seconds
from daprflow.errors import EtagMismatch, SidecarError
from daprflow.middleware.rate_rules import NOTHING, Counted, Rule, Taken

logger = logging.getLogger(__name__)

Away = Literal["memory", "allow", "refuse"]
_ATTEMPTS = 5


class Undecided(Exception):  # noqa: N818 - named for the state
    """The counts cannot be reached."""


class Counts:
    """Counts in this process: at most ``max_keys`` keys, of which the least used go first."""

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._kept: OrderedDict[str, Counted] = OrderedDict()

    def passes(self, key: str, rule: Rule) -> bool:
        """Count one request that surely may pass; False leaves it to `take`."""
        kept = self._kept
        known = kept.get(key)
        if known is None or (after := rule.passes(known, time.monotonic())) is None:
            return False
        kept[key] = after
        kept.move_to_end(key)
        return True

    def take(self, key: str, rule: Rule) -> Taken:
        """Count one request."""
        kept = self._kept
        known = kept.get(key)
        taken = rule.take(NOTHING if known is None else known, time.monotonic())
        if taken.allowed:
            kept[key] = taken.state
            if known is not None:
                kept.move_to_end(key)
            elif len(kept) > self._max_keys:
                kept.popitem(last=False)
        return taken


class _Turn:
    """Who counts on a key, and how many want to."""

    __slots__ = ("lock", "wanted")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0


class SharedCounts:
    """Counts in a Dapr state store, which all replicas of an app share.

    Each request reads its key and, where it may pass, writes it with its ETag: who loses a race
    with another replica reads again. Requests of one process take turns on a key. Clocks of
    replicas should agree to within a fraction of the window.

    Args:
        store: the component's name; it needs ETags.
        client: the client, or what returns it when the first request comes, as
            ``lambda: app.client``.
        away: what holds while the store cannot be reached: "memory" counts in each replica for
            itself, "allow" lets everything pass, "refuse" answers 503.
        timeout: seconds one request waits for the store.
        pause: seconds for which a store that failed is not asked again.
        prefix: what the keys begin with.

    Raises:
        ValueError: ``store`` is empty, or ``away`` is none of these.

    Example:
        ```python
        counts = SharedCounts("statestore", client, away="allow")
        limit = Middleware(RateLimit, rule=TokenBucket(100), counts=counts)
        ```
    """

    def __init__(
        self,
        store: str,
        client: Client | Callable[[], Client],
        *,
        away: Away = "memory",
        timeout: Duration = 0.25,
        pause: Duration = 2.0,
        prefix: str = "rate-limit",
    ) -> None:
        if not store:
            raise ValueError("the name of the state store is empty")
        if away not in ("memory", "allow", "refuse"):
            raise ValueError(f"away={away!r}; it must be 'memory', 'allow' or 'refuse'")
        self.away: Away = away
        self._store = store
        self._client = client
        self._timeout = seconds(timeout)
        self._pause = seconds(pause)
        self._prefix = prefix
        self._again_at = 0.0
        self._is_away = False
        self._turns: dict[str, _Turn] = {}

    async def take(self, key: str, rule: Rule) -> Taken:
        """Count one request.

        Raises:
            Undecided: the store cannot be reached, or too many replicas write the key at once.
        """
        if time.monotonic() < self._again_at:
            raise Undecided
        try:
            async with asyncio.timeout(self._timeout), self._turn(key):
                taken = await self._counted(f"{self._prefix}:{_safe(key)}", rule)
        except (SidecarError, TimeoutError, msgspec.MsgspecError) as error:
            self._note_away(error)
            raise Undecided from None
        if self._is_away:
            self._is_away = False
            logger.warning("state store '%s' counts requests again", self._store)
        return taken

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        """Let one request of this process at a time count on a key: only replicas race."""
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = _Turn()
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[key]

    async def _counted(self, key: str, rule: Rule) -> Taken:
        client = self._client if isinstance(self._client, Client) else self._client()
        store = client.state(self._store)
        ttl = timedelta(seconds=max(2 * rule.seconds, 1))
        for _ in range(_ATTEMPTS):
            item = await store.get(key, Counted)
            taken = rule.take(NOTHING if item is None else item.value, time.time())
            if not taken.allowed:
                return taken
            etag = None if item is None else item.etag
            try:
                await store.set(key, taken.state, etag=etag, ttl=ttl, concurrency="first-write")
            except EtagMismatch:
                continue
            return taken
        # So many at once on one key are themselves a sign of too many.
        return Taken(NOTHING, allowed=False, remaining=0, wait=rule.seconds / rule.limit)

    def _note_away(self, error: Exception) -> None:
        self._again_at = time.monotonic() + self._pause
        if not self._is_away:
            self._is_away = True
            logger.warning(
                "state store '%s' cannot count requests (%s); until it can, away='%s' holds",
                self._store,
                type(error).__name__,
                self.away,
            )


def _safe(key: str) -> str:
    """Return a key without what stores and the runtime give a meaning."""
    return "".join(
        each if each.isascii() and (each.isalnum() or each in "-_./ ") else f"%{ord(each):02x}"
        for each in key
    ).replace(" ", "+")
