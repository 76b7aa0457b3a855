"""Limits of one request: its headers, its body, and its time."""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from itertools import chain

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daprflow.durations import Duration, seconds
from daprflow.middleware.paths import Paths
from daprflow.middleware.problem import send_problem
from daprflow.middleware.rate_limit import RateLimit
from daprflow.middleware.time_limit import TimeLimit

MAX_BODY = 4 * 1024 * 1024
MAX_HEADERS = 100
MAX_HEADER_BYTES = 16 * 1024
_DIGITS = 18


class _TooLong(Exception):  # noqa: N818 - named for the body
    """A body that came in pieces is longer than it may be."""


class RequestLimits:
    """Refuses requests that are too large, and ends those that take too long.

    On the way in: headers (431), then the length that the request says (413). While it is handled:
    the bytes that really come (413) and the time (504). On the way out: nothing. An answer that has
    begun when its time is up is cut off. A compressed body is refused (415): nothing here unpacks
    one, so that a small request cannot become a large one.

    What is handled in a thread goes on there to its end, as no thread can be stopped.

    Args:
        app: what is called inside.
        max_body: bytes a body may have; None for no limit besides the app's own.
        max_headers: how many headers there may be.
        max_header_bytes: how many bytes of names and values.
        timeout: seconds until the answer must have begun and ended; None for no limit.
        compressed: whether a body with a ``content-encoding`` is let through, to who unpacks it.
        exclude: paths without limits.

    Raises:
        ValueError: a limit is not above zero.

    Example:
        ```python
        shop = DaprFlow("shop", middleware=[Middleware(RequestLimits, max_body=1_000_000)])
        ```
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body: int | None = MAX_BODY,
        max_headers: int = MAX_HEADERS,
        max_header_bytes: int = MAX_HEADER_BYTES,
        timeout: Duration | None = None,
        compressed: bool = False,
        exclude: Collection[str] = (),
    ) -> None:
        timeout = None if timeout is None else seconds(timeout)
        for name, value in (
            ("max_body", max_body),
            ("max_headers", max_headers),
            ("max_header_bytes", max_header_bytes),
            ("timeout", timeout),
        ):
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value!r} is no limit; it must be above 0")
        self.app = app
        self._rate = app if type(app) is RateLimit else None
        self._max_body = max_body
        self._surely_fit = _DIGITS if max_body is None else len(str(max_body)) - 1
        self._max_headers = max_headers
        self._max_header_bytes = max_header_bytes
        self._time = None if timeout is None else TimeLimit(timeout)
        self._compressed = compressed
        self._excluded = Paths(exclude) if exclude else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold a request to its limits."""
        excluded = self._excluded
        if scope["type"] != "http" or (excluded is not None and scope["path"] in excluded):
            await self.app(scope, receive, send)
            return
        headers = scope["headers"]
        found = dict(headers)
        length = found.get(b"content-length")
        if (
            len(found) != len(headers)  # one came twice: look at each
            or len(found) > self._max_headers
            or len(b"".join([*found, *found.values()])) > self._max_header_bytes
            or (
                length is not None
                and not (len(length) <= self._surely_fit and length.isdigit())
                and not self._fits(length)
            )
            or b"content-encoding" in found
        ) and (refusal := self._refusal(headers)) is not None:
            status, text = refusal
            await send_problem(send, status, text, close=True)
            return
        counts = length is None and self._max_body is not None
        run = self._counted if counts else self._inside(scope, found)
        time = self._time
        if time is None:
            await run(scope, receive, send)
            return
        begun = False

        def noted(message: Message) -> Awaitable[None]:
            nonlocal begun
            begun = True
            return send(message)

        task = time.begin()
        try:
            await run(scope, receive, noted)
        except asyncio.CancelledError:
            if not time.end(task):
                raise
            text = f"the request took longer than {time.seconds:g} s"
            if begun:
                raise TimeoutError(text) from None
            await send_problem(send, 504, text)
        except BaseException:
            time.end(task)
            raise
        else:
            time.end(task)  # who answered in spite of it is not cancelled any more

    def _inside(self, scope: Scope, headers: Mapping[bytes, bytes]) -> ASGIApp:
        """Return what is called; a rate limit that stands right inside is asked at once."""
        rate = self._rate
        return rate.app if rate is not None and rate.passes(scope, headers) else self.app

    def _fits(self, length: bytes) -> bool:
        """Whether a body of that length is short enough; what is no length is not."""
        limit = self._max_body
        if limit is None:
            return True
        return length.isdigit() and len(length) <= _DIGITS and int(length) <= limit

    def _refusal(self, headers: Sequence[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """Return status and reason to refuse a request before its body is read."""
        if len(headers) > self._max_headers:
            return 431, f"the request has more than {self._max_headers} headers"
        if len(b"".join(chain.from_iterable(headers))) > self._max_header_bytes:
            return 431, f"the headers are longer than {self._max_header_bytes} bytes"
        for name, value in headers:
            if name == b"content-length" and not self._fits(value):
                return 413, f"the body is longer than {self._max_body} bytes"
            if name == b"content-encoding" and not self._compressed and value != b"identity":
                return 415, "the body is compressed, which is not taken here"
        return None

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a request whose body does not say its length."""
        limit, size, begun = self._max_body or 0, 0, False

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise _TooLong
            return message

        def noted(message: Message) -> Awaitable[None]:
            nonlocal begun
            begun = True
            return send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLong:
            if begun:
                raise
            await send_problem(send, 413, f"the body is longer than {limit} bytes", close=True)
