"""One connection to an app: HTTP/1.1 on a protocol of its own, read with httptools' parser."""

import asyncio
import re
import select
from collections.abc import AsyncIterator, Callable
from typing import cast

import httptools

from daprflow.protocol.http import Headers, HttpRequest, HttpResponse, StreamedRequest
from daprflow.sidecar.channel.base import AppAway, AppUnreachable

HIGH_WATER = 256 * 1024
"""Bytes of a streamed body that wait for their reader before the app is held back."""

_FORBIDDEN = re.compile(r"[\r\n\0]")
_NO_LENGTH = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class HeadMaker:
    """Writes request heads; the usual ones are made once.

    Args:
        host: the value of the ``host`` header.
        extra: headers of every call, such as the app's token.
    """

    def __init__(self, host: str, extra: Headers = ()) -> None:
        self._host = host
        self._extra = extra
        self._known: dict[tuple[str, str, Headers], bytes] = {}

    def make(self, method: str, target: str, headers: Headers, *, token: bool = True) -> bytes:
        """Return request line and headers, without the framing and the last empty line.

        Raises:
            AppUnreachable: a part cannot stand in a request head.
        """
        key = (method, target, headers)
        known = self._known.get(key) if token else None
        if known is None:
            known = self._write(method, target, headers, self._extra if token else ())
            if token:
                if len(self._known) >= 256:  # noqa: PLR2004 - heads with metadata differ each time
                    self._known.clear()
                self._known[key] = known
        return known

    def _write(self, method: str, target: str, headers: Headers, extra: Headers) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in (*headers, *extra)]
        if " " in target or any(_FORBIDDEN.search(line) for line in lines):
            raise AppUnreachable("the call cannot be written: a line break in path or headers")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n"


def framing(method: str, length: int) -> bytes:
    """Return the end of a head for a body of ``length`` bytes."""
    if not length and method in _NO_LENGTH:
        return b"\r\n"
    return b"content-length: %d\r\n\r\n" % length


class Connection(asyncio.Protocol):
    """One keep-alive connection; carries one call at a time.

    Any answer that is not sound HTTP ends the connection with one reason.

    Args:
        head_limit: bytes of status line and headers.
        body_limit: bytes of a collected body; None means no limit.
        released: called when the connection can carry another call.
    """

    def __init__(
        self,
        head_limit: int,
        body_limit: int | None,
        released: "Callable[[Connection], None]",
    ) -> None:
        self.usable = False
        self.fresh = True
        self.answered = False
        self.idle_since = 0.0
        self._head_limit = head_limit
        self._body_limit = body_limit
        self._released = released
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[HttpResponse] | None = None
        self._body: Body | None = None
        self._method = ""
        self._idle = True
        self._until_eof = False
        self._reset()

    def _reset(self) -> None:
        self._headers: list[tuple[str, str]] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._head_size = 0
        self._head_tail = b""
        self._in_head = True
        self._interim = False
        self._complete = False
        self._keep = False
        self._status = 0

    # ---- calling --------------------------------------------------------------------------------

    async def send(self, head: bytes, request: HttpRequest) -> HttpResponse:
        """Carry one call with its body at hand.

        Raises:
            AppAway: the connection was closed before.
            AppUnreachable: no sound answer came.
        """
        transport = self._require()
        waiter = self._start(request.method)
        transport.write(head + framing(request.method, len(request.body)) + request.body)
        try:
            return await waiter
        except asyncio.CancelledError:
            self.abort("the call was given up")
            raise

    async def stream(
        self, head: bytes, request: StreamedRequest, body: "Body"
    ) -> tuple[int, Headers]:
        """Carry one call whose bodies come in pieces; returns when the answer's head is here.

        Raises:
            AppUnreachable: no sound answer came.
        """
        waiter = self._start(request.method)
        self._body = body
        sender = asyncio.get_running_loop().create_task(self._send_chunks(head, request))
        body.sender = sender
        try:
            answer = await waiter
        except BaseException:
            sender.cancel()
            self.abort("the call was given up")
            raise
        return answer.status, answer.headers

    def _start(self, method: str) -> asyncio.Future[HttpResponse]:
        self._reset()
        self._method = method
        self._idle = False
        self.answered = False
        waiter: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        return waiter

    async def _send_chunks(self, head: bytes, request: StreamedRequest) -> None:
        transport = self._require()
        try:
            if request.length is not None:
                transport.write(head + framing(request.method, request.length))
                async for chunk in request.chunks:
                    transport.write(chunk)
                    await self._drained()
                return
            transport.write(head + b"transfer-encoding: chunked\r\n\r\n")
            async for chunk in request.chunks:
                if chunk:
                    transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                    await self._drained()
            transport.write(b"0\r\n\r\n")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the caller's iterator failed: end the call
            self.abort(f"the request's body ended early: {error}")

    async def _drained(self) -> None:
        if self._paused_writing is not None:
            await self._paused_writing

    def _require(self) -> asyncio.Transport:
        if self._transport is None or self._transport.is_closing():
            raise AppAway("the connection is closed")
        return self._transport

    @property
    def silent(self) -> bool:
        """Whether nothing has come since the last answer: neither bytes nor the end.

        Both end an idle connection, but the event loop may not have got to it yet.
        """
        if self._transport is None or not self.usable:
            return False
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._poll.poll(0)

    # ---- asyncio.Protocol -----------------------------------------------------------------------

    _paused_writing: asyncio.Future[None] | None = None
    _poll: "select.poll | None" = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        # uvloop's transports are no subclass of asyncio's
        self._transport = cast("asyncio.Transport", transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what comes without a call ends the connection."""
        if self._idle:
            self.abort("the app sent bytes without being asked")
            return
        self.answered = True
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > self._head_limit and self._head_too_long(data):
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._keep = False
            if not self._complete:
                cause = error.__context__
                self.abort(str(cause) if cause else f"the app's answer is not HTTP: {error}")
        if self._in_head:
            self._head_tail = (self._head_tail + data)[-3:]  # the empty line may come in two parts
        if self._complete:
            self._finish()

    def _head_too_long(self, data: bytes) -> bool:
        """Tell, and end the call, when the head alone is over the limit."""
        before = self._head_size - len(data) - len(self._head_tail)
        end = (self._head_tail + data).find(b"\r\n\r\n")
        if end >= 0 and before + end <= self._head_limit:
            return False
        self.abort(f"server response headers exceeded {self._head_limit} bytes")
        return True

    def eof_received(self) -> bool:
        """Take the end of the stream for the end of a body that has no length."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End whatever is under way."""
        self.usable = False
        if self._paused_writing is not None and not self._paused_writing.done():
            self._paused_writing.set_result(None)
        if self._idle:
            self._released(self)
            return
        if exc is None and self._until_eof and not self._in_head:
            self._complete = True
            self._finish()
        elif exc is not None:
            self._fail(f"the connection to the app broke: {exc}")
        else:
            self._fail("the app closed the connection before its answer was complete")

    def pause_writing(self) -> None:
        """Hold the request's body back."""
        self._paused_writing = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Go on with the request's body."""
        if self._paused_writing is not None and not self._paused_writing.done():
            self._paused_writing.set_result(None)
        self._paused_writing = None

    def pause_reading(self) -> None:
        """Hold the app back: nobody reads its body."""
        if self._transport is not None and self.usable:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the app go on."""
        if self._transport is not None and self.usable:
            self._transport.resume_reading()

    # ---- httptools' callbacks -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Refuse a second answer to one call."""
        if self._complete:
            raise AppUnreachable("the app sent more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note one header (a trailer after the body is dropped)."""
        if self._in_head:
            self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Check the head; a streamed call has its answer with it."""
        status = self._parser.get_status_code()
        if status < 200:  # noqa: PLR2004 - an interim answer; the real one follows
            self._interim = True
            if status == 101:  # noqa: PLR2004 - nobody asked for another protocol
                raise AppUnreachable("the app answered 101, which nobody asked for")
            return
        if status > 599:  # noqa: PLR2004 - the last class there is
            raise AppUnreachable(f"the app answered with the impossible status {status}")
        self._in_head = False
        self._status = status
        self._until_eof = self._check_framing(status)
        if self._body is not None and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(HttpResponse(status, tuple(self._headers)))

    def _check_framing(self, status: int) -> bool:
        """Refuse a body with two lengths; returns whether only the end of the stream ends it."""
        lengths = {value.strip() for name, value in self._headers if name == "content-length"}
        chunked = any(name == "transfer-encoding" for name, _ in self._headers)
        if len(lengths) > 1 or (lengths and chunked):
            raise AppUnreachable("the app's answer has two lengths")
        if self._method == "HEAD" or status in {204, 304}:
            self._complete = self._method == "HEAD"
            return False
        return not lengths and not chunked

    def on_body(self, body: bytes) -> None:
        """Note one piece of the body."""
        if self._complete:
            raise AppUnreachable("the app sent a body where none can be")
        if self._body is not None:
            self._body.feed(body)
            return
        self._size += len(body)
        if self._body_limit is not None and self._size > self._body_limit:
            raise AppUnreachable(f"the app's answer is over {self._body_limit} bytes")
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Note the end; one of an interim answer starts over."""
        if self._interim:
            self._interim = False
            self._headers.clear()
        else:
            self._complete = True
            # The parser forgets the framing with the message; asked later it says no.
            self._keep = self._parser.should_keep_alive() and self._method != "HEAD"

    # ---- ends -----------------------------------------------------------------------------------

    def abort(self, reason: str) -> None:
        """Give the connection up; a call under way fails with ``reason``."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()
        if not self._idle:
            self._fail(reason)

    def close(self) -> None:
        """Close an idle connection."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def _finish(self) -> None:
        keep = self.usable and self._keep and not self._until_eof
        body, waiter = self._body, self._waiter
        self._body = self._waiter = None
        self._idle = True
        self.fresh = False
        if body is not None:
            if body.sender is not None and not body.sender.done():
                keep = False  # the app answered before it had read the request
                body.sender.cancel()
            body.end(None)
        if not keep:
            self.close()
        if waiter is not None and not waiter.done():
            parts = self._parts
            content = parts[0] if len(parts) == 1 else b"".join(parts)
            waiter.set_result(HttpResponse(self._status, tuple(self._headers), content))
        self._released(self)

    def _fail(self, reason: str) -> None:
        body, waiter = self._body, self._waiter
        self._body = self._waiter = None
        self._idle = True
        self.usable = False
        error = AppUnreachable(reason)
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        if body is not None:
            if body.sender is not None:
                body.sender.cancel()
            body.end(error)
        self._released(self)


class Body:
    """A response body on its way to its reader."""

    def __init__(self, connection: Connection) -> None:
        self.sender: asyncio.Task[None] | None = None
        self._connection = connection
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._error: AppUnreachable | None = None
        self._news: asyncio.Future[None] | None = None
        self._on_end: Callable[[], None] | None = None

    def when_ended(self, call: Callable[[], None]) -> None:
        """Have ``call`` called when nothing more comes."""
        if self._ended:
            call()
        else:
            self._on_end = call

    def feed(self, part: bytes) -> None:
        """Take one piece; holds the app back when nobody reads."""
        self._parts.append(part)
        self._size += len(part)
        if self._size > HIGH_WATER:
            self._connection.pause_reading()
        self._tell()

    def end(self, error: AppUnreachable | None) -> None:
        """Note that nothing more comes."""
        self._ended = True
        self._error = error
        if self._on_end is not None:
            self._on_end()
        self._tell()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body as it comes.

        Raises:
            AppUnreachable: it broke off.
        """
        while True:
            if self._parts:
                parts, self._parts, self._size = self._parts, [], 0
                self._connection.resume_reading()
                for part in parts:
                    yield part
            elif self._ended:
                if self._error is not None:
                    raise self._error
                return
            else:
                self._news = asyncio.get_running_loop().create_future()
                await self._news

    async def close(self) -> None:
        """Give the rest up."""
        if not self._ended:
            self._connection.abort("the answer was not read to its end")

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
