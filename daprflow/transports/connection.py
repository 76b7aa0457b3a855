"""One HTTP/1.1 connection: uvicorn's httptools protocol plus what ASGI cannot refuse."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

_LOG = logging.getLogger(__name__)
_VERSIONS = frozenset({"1.0", "1.1"})
_TURNED_AWAY = 32
"""How many may be open beyond the limit, to be told that it is reached; more are just closed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may use up.

    Attributes:
        header_bytes: request line and headers together; more is answered 431 (414 for the target).
        header_count: number of headers; more is answered 431.
        header_seconds: from connecting, or from the first byte of a later request, to the end of
            the headers; a runtime allows 10 s as well.
        body_seconds: silence inside a body, and a reader that takes nothing of an answer.
        idle_seconds: silence between requests. Go clients, a runtime among them, keep idle
            connections for 90 s; outliving that spares them a broken POST.
        connections: open connections; more are answered 503 at once. Where a process may have
            fewer open files, those are the limit.
        linger_seconds: how long a peer may go on with a body after its answer, or after a refusal.
        linger_bytes: how much of that is read and thrown away.
    """

    header_bytes: int = 65_536
    header_count: int = 256
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: int = 120
    connections: int = 1_000
    linger_seconds: float = 1.0
    linger_bytes: int = 1_048_576


class LimitedConfig(Config):
    """uvicorn's configuration with our limits beside it."""

    limits: Limits = Limits()
    full: bool = False
    """Whether connections are being turned away, which is said once."""


class Refusal(Exception):  # noqa: N818 - carries an answer, is no error of ours
    """A request that is answered here, without the application."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Phase(Enum):
    """Where the connection stands; timers run in every phase but ``IDLE``."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    LINGER = 3
    """The answer is out, the request's body is still coming and is thrown away."""
    REFUSED = 4
    """The refusal is out, whatever comes is thrown away until the peer has read it."""


# Members are compared by identity on every request; a global is one lookup less than Phase.IDLE.
_IDLE, _HEAD, _BODY, _LINGER, _REFUSED = Phase


class Connection(HttpToolsProtocol):
    """A connection that holds its peer to `Limits`.

    On a whole request in one piece the cost is a few attribute tests: clocks are read and timers
    set only when a request arrives in parts.
    """

    def __init__(
        self,
        config: LimitedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = config.limits
        self._config = config
        self._phase = _IDLE
        self._hosts = 0
        self._wishes = False
        self._unwished = b""
        self._chunk = 0
        self._late_head = 0
        self._thrown = 0
        self._rested = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    # ---- the transport's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or turn it away where too many are open."""
        super().connection_made(transport)
        surplus = len(self.connections) - self.limits.connections
        if surplus > _TURNED_AWAY:
            transport.abort()
            return
        if surplus > 0:
            if not self._config.full:
                self._config.full = True
                _LOG.warning(
                    "refused a connection: %d are open already; callers should use theirs again",
                    self.limits.connections,
                )
            self._refuse(503, "too many connections")
            return
        self._config.full = False
        self._phase = _HEAD
        self._watch(self.limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget every timer."""
        for timer in (self._timer, self._stall, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall = self.timeout_keep_alive_task = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then see whether the request is still incomplete."""
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        phase = self._phase
        self._chunk = len(data)
        if phase is _HEAD:
            self._late_head += len(data)
        elif phase is _REFUSED or phase is _LINGER:
            self._throw_away(len(data))
            if phase is _REFUSED:
                return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._on_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse_for(error)
        if self._phase is not _IDLE:
            self._unfinished()

    def _on_upgrade(self, rest: bytes) -> None:
        """Hand a WebSocket over; another wish, such as a Java client's h2c, is not granted.

        The parser has left out the body then: what follows is not read as a request of its own, but
        after the same head without the wish.
        """
        head, self._unwished = self._unwished, b""
        if head:
            self.parser = httptools.HttpRequestParser(self)
            self._late_head = 0
            self.data_received(head + rest)
        elif self._should_upgrade():
            self.handle_websocket_upgrade()
        else:
            self._refuse(400, "CONNECT is for proxies")

    def _throw_away(self, size: int) -> None:
        self._thrown += size
        if self._thrown > self.limits.linger_bytes:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Give a peer that reads nothing a deadline."""
        super().pause_writing()
        self._stall = self.loop.call_later(self.limits.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Lift the deadline: the peer reads again."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    # ---- the parser's side

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._phase = _HEAD
        self._hosts = 0
        self._wishes = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, counting ``Host``."""
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"upgrade":
            self._wishes = True
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Refuse what is too long or ambiguous, else start the application."""
        limits = self.limits
        if self._chunk > limits.header_bytes or self._late_head:
            self._check_length()
        if len(self.headers) > limits.header_count:
            raise Refusal(431, f"more than {limits.header_count} headers")
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            raise Refusal(400, "HTTP/1.1 and HTTP/1.0 are spoken here")
        if self._hosts != 1 and (self._hosts or version != "1.0"):
            raise Refusal(400, f"a request has one Host header, this one {self._hosts}")
        if self._wishes and self.parser.should_upgrade() and not self._should_upgrade():
            self._unwished = self._head_without_wish(version)
            return
        self._late_head = 0
        self._phase = _BODY
        super().on_headers_complete()

    def _head_without_wish(self, version: str) -> bytes:
        first = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version.encode())
        others = [b"%s: %s" % pair for pair in self.headers if pair[0] != b"upgrade"]
        return b"\r\n".join([first, *others, b"", b""])

    def on_message_complete(self) -> None:
        """Leave the request; after a lingering body the connection is idle again."""
        if self._unwished:
            return
        lingering = self._phase is _LINGER
        self._phase = _IDLE
        if lingering and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Bound how long a body may go on that nobody reads any more."""
        super().on_response_complete()
        if self._phase is _BODY and self.cycle.response_complete:
            self._phase = _LINGER
            self._thrown = 0
            self._unset_keepalive_if_required()
            self._watch(self.limits.linger_seconds)

    # ---- deadlines

    def _unfinished(self) -> None:
        phase = self._phase
        if phase is _HEAD:
            if self._late_head > self.limits.header_bytes:
                self._refuse(*self._too_long())
            elif self._timer is None:
                self._watch(self.limits.header_seconds)
        elif phase is _BODY:
            self._rested = self.flow.read_paused
            self._watch(self.limits.body_seconds)

    def _watch(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= self._deadline:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(self._deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._phase is _IDLE or self.transport.is_closing():
            return
        if self._phase is _BODY and (self.flow.read_paused or self._rested):
            # The application is slow, not the peer, who has the whole time once it reads again.
            self._rested = self.flow.read_paused
            self._watch(self.limits.body_seconds)
        elif self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._expire)
        elif self._phase is _HEAD:
            self._refuse(408, f"no complete headers within {self.limits.header_seconds:g} s")
        elif self._phase is _BODY:
            self._refuse(408, f"the body paused for {self.limits.body_seconds:g} s")
        else:
            self.transport.abort()

    # ---- refusals

    def _check_length(self) -> None:
        length = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if length > self.limits.header_bytes:
            raise Refusal(*self._too_long())

    def _too_long(self) -> tuple[int, str]:
        if len(self.url) > self.limits.header_bytes:
            return 414, f"a request target longer than {self.limits.header_bytes} bytes"
        return 431, f"request headers longer than {self.limits.header_bytes} bytes"

    def _refuse_for(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(cause, Refusal):
            self._refuse(cause.status, str(cause))
        else:
            self._refuse(400, "not a valid HTTP/1.1 request")

    def _refuse(self, status: int, text: str) -> None:
        cycle, unread = self.cycle, self._phase is _BODY
        self._phase = _REFUSED
        if cycle is None or cycle.response_complete:
            self._answer(status, text)
        elif not unread and not self.pipeline:
            cycle.keep_alive = False  # its request was good: it is answered, then we hang up
            self.flow.pause_reading()
        else:
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False  # nothing may follow the refusal
            cycle.message_event.set()
            if cycle.response_started or self.pipeline:
                self.transport.close()
            else:
                self._answer(status, text)

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        )
        # Closing while the peer still sends makes its kernel discard our answer unread.
        with contextlib.suppress(OSError):  # the peer is gone already
            if self.transport.can_write_eof():  # TLS has no half of a connection
                self.transport.write_eof()
        self._watch(self.limits.linger_seconds)
