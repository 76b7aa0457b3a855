"""Rate limits by route, caller or header: 429 with the time to wait."""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from math import ceil
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daprflow.middleware.paths import Paths
from daprflow.middleware.problem import send_problem
from daprflow.middleware.rate_keys import CALLER, RateKey, by_caller, joined, shortened
from daprflow.middleware.rate_rules import Rule, Taken
from daprflow.middleware.rate_store import Counts, SharedCounts, Undecided

MAX_KEYS = 10_000
_UNREAD = ("/dapr/", "/job/", "/configuration/", "/actors/")


class RateLimit:
    """Refuses requests beyond a rate with 429, ``Retry-After`` and the RateLimit headers.

    On the way in: counts the request. On the way out: every answer has ``RateLimit`` (what is
    left, and the seconds until one more may pass where nothing is) and ``RateLimit-Policy``; those
    to a sidecar's own deliveries have them only where they are refused, since it reads neither.

    Put it around a router or a handler for a count of its own, or use ``by``. An event that is
    refused is delivered again, by the subscription's resiliency policy.

    Args:
        app: what is called inside.
        rule: `TokenBucket` or `SlidingWindow`.
        by: whose requests are counted together; several make one key.
        counts: "memory" for each process by itself, or `SharedCounts` for all replicas.
        max_keys: how many keys this process counts; the least used are forgotten first.
        exclude: paths that are not counted.

    Raises:
        ValueError: ``by`` is empty, or ``max_keys`` below 1.

    Example:
        ```python
        limit = Middleware(RateLimit, rule=SlidingWindow(100, window=60), by=by_caller)
        shop = DaprFlow("shop", middleware=[limit])
        ```
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        rule: Rule,
        by: RateKey | Sequence[RateKey] = by_caller,
        counts: SharedCounts | Literal["memory"] = "memory",
        max_keys: int = MAX_KEYS,
        exclude: Collection[str] = (),
    ) -> None:
        parts = (by,) if callable(by) else tuple(by)
        if not parts:
            raise ValueError("'by' is empty; give it by_caller, by_route, by_header(...)")
        if max_keys < 1:
            raise ValueError(f"max_keys={max_keys!r} counts nothing; it must be at least 1")
        if not hasattr(rule, "take"):
            raise ValueError(f"rule={rule!r}; it must be a TokenBucket or a SlidingWindow")
        self.app = app
        self._rule = rule
        self._key = joined(parts)
        self._by_caller = parts == (by_caller,)
        self._own = Counts(max_keys)
        self._shared = counts if isinstance(counts, SharedCounts) else None
        self._asks_first = self._shared is None and hasattr(rule, "passes")
        self._excluded = Paths(exclude) if exclude else None
        policy = b'"default";q=%d;w=%d' % (rule.limit, ceil(rule.seconds))
        self._policy = (b"ratelimit-policy", policy)

    def passes(self, scope: Scope, headers: Mapping[bytes, bytes] | None = None) -> bool:
        """Count a request that surely may pass, and whose answer says nothing of the rate.

        False leaves it to the middleware itself; it is not counted then.

        Args:
            scope: of the request.
            headers: the last one of each name, where somebody has looked at them already.
        """
        path = scope["path"]
        if not (self._asks_first and path.startswith(_UNREAD)):
            return False
        if self._excluded is not None and path in self._excluded:
            return False
        if headers is None or not self._by_caller:
            key = self._key(scope)
        else:
            caller = headers.get(CALLER)
            key = shortened(caller) if caller else ""
        return self._own.passes(key, self._rule)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request and let it pass, or not."""
        excluded = self._excluded
        if (
            scope["type"] != "http"
            or (excluded is not None and scope["path"] in excluded)
            or self.passes(scope)
        ):
            await self.app(scope, receive, send)
            return
        key = self._key(scope)
        taken: Taken | None
        if self._shared is None:
            taken = self._own.take(key, self._rule)
        else:
            try:
                taken = await self._shared.take(key, self._rule)
            except Undecided:
                if self._shared.away == "refuse":
                    text = "requests cannot be counted now; try again"
                    await send_problem(send, 503, text, [(b"retry-after", b"1")])
                    return
                allowed = self._shared.away == "allow"
                taken = None if allowed else self._own.take(key, self._rule)
        if taken is None or (taken.allowed and scope["path"].startswith(_UNREAD)):
            await self.app(scope, receive, send)
            return
        state = b'"default";r=%d;t=%d' % (taken.remaining, ceil(taken.wait))
        told = (self._policy, (b"ratelimit", state))
        if not taken.allowed:
            wait = max(1, ceil(taken.wait))
            headers = [*told, (b"retry-after", b"%d" % wait)]
            await send_problem(send, 429, f"too many requests; try again in {wait} s", headers)
            return

        def send_told(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *told]
            return send(message)

        await self.app(scope, receive, send_told)
