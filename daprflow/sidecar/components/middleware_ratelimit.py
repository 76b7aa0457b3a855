"""``middleware.http.ratelimit``: so many calls a second from each address on each path."""

import ipaddress
import math
from collections import OrderedDict
from urllib.parse import unquote

from daprflow.sidecar.components.base import ComponentContext, ComponentError
from daprflow.sidecar.components.middleware import (
    AsgiApp,
    Event,
    Receive,
    Scope,
    Send,
    header,
    raw_target,
)

DEFAULT = 100.0
REMEMBERED = 10_000
MESSAGE = b"You have reached maximum request limit."
NOWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there: the real one writes it for "unknown"
_TOO_MANY = 429
_PREFIX_BITS = 64


class RateLimitMiddleware:
    """A token bucket for each address and path; a call that finds it empty is answered with 429.

    Each answer says how many calls a second are allowed and how many are left.
    """

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        text = context.metadata.get("maxrequestspersecond", "") or str(DEFAULT)
        try:
            self._rate = float(text)
        except ValueError:
            self._rate = 0.0
        if not 0 < self._rate < math.inf:
            raise ComponentError("metadata property maxRequestsPerSecond must be a positive value")
        self._size = max(1.0, float(int(self._rate)))
        self._clock = context.clock
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    async def open(self) -> None:
        """Have nothing to open."""

    async def close(self) -> None:
        """Forget every address."""
        self._buckets.clear()

    def wrap(self, app: AsgiApp, /) -> AsgiApp:
        """Stand before ``app``."""

        async def limited(scope: Scope, receive: Receive, send: Send) -> None:
            forwarded = header(scope, b"x-forwarded-for").strip()
            address = _address(scope, forwarded)
            if not address:  # a call on the app comes from nowhere
                forwarded = address = NOWHERE
                scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-for", b"0.0.0.0")]}
            left = self._take(address, unquote(raw_target(scope).partition("?")[0]))
            told = self._headers(scope, forwarded, left or 0)

            async def telling(event: Event) -> None:
                if event["type"] == "http.response.start":
                    event = {**event, "headers": [*event["headers"], *told]}
                await send(event)

            if left is not None:
                await app(scope, receive, telling)
                return
            headers = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"%d" % len(MESSAGE)),
            ]
            await telling({"type": "http.response.start", "status": _TOO_MANY, "headers": headers})
            await telling({"type": "http.response.body", "body": MESSAGE})

        return limited

    def _take(self, address: str, path: str) -> int | None:
        """Take one token; return how many whole ones are left, None where there was none."""
        now = self._clock.now()
        left, since = self._buckets.pop((address, path), (self._size, now))
        left = min(self._size, left + (now - since) * self._rate)
        taken = left >= 1.0
        if taken:
            left -= 1.0
        self._buckets[address, path] = (left, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return int(left) if taken else None

    def _headers(self, scope: Scope, forwarded: str, left: int) -> list[tuple[bytes, bytes]]:
        client = scope.get("client")
        remote = f"{client[0]}:{client[1]}" if client else ""
        pairs = [
            ("x-rate-limit-limit", f"{self._rate:.2f}"),
            ("x-rate-limit-duration", "1"),
            *([("x-rate-limit-request-forwarded-for", forwarded)] if forwarded else []),
            ("x-rate-limit-request-remote-addr", remote),
            ("ratelimit-limit", str(math.floor(self._rate + 0.5))),
            ("ratelimit-reset", "1"),
            ("ratelimit-remaining", str(left)),
        ]
        return [(name.encode(), value.encode("latin-1")) for name, value in pairs]


def _address(scope: Scope, forwarded: str) -> str:
    """Return what a call counts for; of an IPv6 address its network. Empty where it is unknown."""
    client = scope.get("client")
    address = forwarded.rpartition(",")[2].strip() or header(scope, b"x-real-ip")
    address = address or (client[0] if client else "")
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(ipaddress.IPv6Network((int(parsed), _PREFIX_BITS), strict=False).network_address)
