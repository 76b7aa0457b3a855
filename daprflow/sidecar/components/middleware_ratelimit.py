"""``middleware.http.ratelimit``: so many calls a second from each address."""

from collections import OrderedDict

from daprflow.sidecar.components.base import ComponentContext, ComponentError
from daprflow.sidecar.components.middleware import AsgiApp, Receive, Scope, Send, header

DEFAULT = 100.0
REMEMBERED = 10_000
MESSAGE = b"You have reached maximum request limit."
_TOO_MANY = 429


class RateLimitMiddleware:
    """A token bucket for each remote address; a call that finds it empty is answered with 429."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        text = context.metadata.get("maxrequestspersecond", "") or str(DEFAULT)
        try:
            self._rate = float(text)
        except ValueError:
            self._rate = 0.0
        if not self._rate > 0:
            raise ComponentError("metadata property maxRequestsPerSecond must be a positive value")
        self._size = max(1.0, float(int(self._rate)))
        self._clock = context.clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def open(self) -> None:
        """Have nothing to open."""

    async def close(self) -> None:
        """Forget every address."""
        self._buckets.clear()

    def wrap(self, app: AsgiApp, /) -> AsgiApp:
        """Stand before ``app``."""

        async def limited(scope: Scope, receive: Receive, send: Send) -> None:
            if self._takes(_address(scope)):
                await app(scope, receive, send)
                return
            headers = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"%d" % len(MESSAGE)),
            ]
            start = {"type": "http.response.start", "status": _TOO_MANY, "headers": headers}
            await send(start)
            await send({"type": "http.response.body", "body": MESSAGE})

        return limited

    def _takes(self, address: str) -> bool:
        now = self._clock.now()
        left, since = self._buckets.pop(address, (self._size, now))
        left = min(self._size, left + (now - since) * self._rate)
        taken = left >= 1.0
        self._buckets[address] = (left - 1.0 if taken else left, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return taken


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else header(scope, b"x-forwarded-for") or "0.0.0.0"  # noqa: S104
