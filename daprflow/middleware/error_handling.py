"""Error answers for callers: a problem with an id, never a stack."""

import ipaddress
import logging
import secrets
import traceback
from collections.abc import Collection
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daprflow.middleware.paths import DAPR_PATHS, Paths, passes
from daprflow.middleware.problem import PROBLEM_JSON, Problem, phrase

logger = logging.getLogger(__name__)

_ERROR = 400
_SERVER_ERROR = 500
_PATH_SHOWN = 200
_RELAYED = frozenset({b"dapr-caller-app-id", b"x-forwarded-for", b"forwarded"})
_REWRITTEN = (b"application/json", b"text/plain")
_LONGEST = 64 * 1024


class _ErrorText(msgspec.Struct, frozen=True):
    error: Any = None
    detail: Any = None
    error_id: str = ""


_texts = msgspec.json.Decoder(_ErrorText)


class ErrorHandling:
    """Answers errors as ``application/problem+json`` (RFC 9457).

    On the way in: nothing. On the way out: whatever is raised inside, and error answers of
    daprflow, Starlette and FastAPI (``{"error": ...}``, ``{"detail": ...}``, plain text), become a
    problem. One from 500 up has an id in the place of its reason, and the log a line with that id
    and the traceback, where something was raised; neither exceptions nor payloads go to the caller.
    A problem that the app made itself is left alone, and so is any other body.

    It goes outside of what may fail, inside of CORS, correlation and compression.

    Args:
        app: what is called inside.
        debug: tells a caller on this machine the traceback; a request that came through a sidecar
            or a proxy is none.
        exclude: paths that are left alone; Dapr's, since a sidecar reads no problems.

    Example:
        ```python
        shop = DaprFlow("shop", middleware=[Middleware(ErrorHandling, debug=True)])
        ```
    """

    def __init__(
        self, app: ASGIApp, *, debug: bool = False, exclude: Collection[str] = DAPR_PATHS
    ) -> None:
        self.app = app
        self._debug = debug
        self._excluded = Paths(exclude)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make problems of errors."""
        if passes(scope, self._excluded):
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        try:
            await self.app(scope, receive, answer)
        except HTTPException as error:
            if answer.begun:
                raise
            headers = [(n.lower().encode(), v.encode()) for n, v in (error.headers or {}).items()]
            detail = error.detail if error.status_code < _SERVER_ERROR else ""
            await answer.problem(error.status_code, detail, headers)
        except Exception as error:
            if answer.begun:
                raise
            shown = self._debug and _is_local(scope)
            text = "".join(traceback.format_exception(error)) if shown else ""
            await answer.problem(500, "", (), error=error, shown=text)


class _Answer:
    """Sends an answer; an error's is held back until its body can be told to be rewritten."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None
        self._pieces: list[bytes] = []
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= _ERROR and _is_rewritten(message):
                self._start = message
                return
            self.begun = True
        elif self._start is not None and message["type"] == "http.response.body":
            self._pieces.append(message.get("body", b""))
            if message.get("more_body"):
                return
            start, body = self._start, b"".join(self._pieces)
            self._start = None
            await self._rewrite(start, body)
            return
        await self._send(message)

    async def _rewrite(self, start: Message, body: bytes) -> None:
        status = start["status"]
        kept = [
            pair
            for pair in start.get("headers", ())
            if pair[0] not in {b"content-type", b"content-length"}
        ]
        is_json = any(
            name == b"content-type" and value.startswith(b"application/json")
            for name, value in start.get("headers", ())
        )
        found = _told(body) if is_json else (body.decode("utf-8", "replace"), "")
        if found is None:  # JSON of the app's own
            self.begun = True
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body})
            return
        detail, error_id = found
        if status >= _SERVER_ERROR or detail == phrase(status):
            detail = ""
        await self.problem(status, detail, kept, error_id=error_id)

    async def problem(
        self,
        status: int,
        detail: str,
        headers: Collection[tuple[bytes, bytes]],
        *,
        error: Exception | None = None,
        shown: str = "",
        error_id: str = "",
    ) -> None:
        """Send a problem; from 500 up the log has a line with its id, if it has none yet."""
        if status >= _SERVER_ERROR and not error_id:
            error_id = secrets.token_hex(8)
            logger.error(
                "answered %d to '%s %s', error id %s",
                status,
                self._scope["method"],
                ascii(self._scope["path"][:_PATH_SHOWN])[1:-1],
                error_id,
                exc_info=error,
            )
        found = Problem(phrase(status), status, detail=detail, error_id=error_id, exception=shown)
        body = msgspec.json.encode(found)
        head = [
            (b"content-type", PROBLEM_JSON.encode()),
            (b"content-length", b"%d" % len(body)),
            *headers,
        ]
        self.begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})


def _is_rewritten(start: Message) -> bool:
    """Whether an error's body may be one of those that are known."""
    kind, length = b"", b"0"
    for name, value in start.get("headers", ()):
        if name == b"content-type":
            kind = value
        elif name == b"content-length":
            length = value
        elif name == b"content-encoding":
            return False
    return kind.startswith(_REWRITTEN) and length.isdigit() and int(length) <= _LONGEST


def _told(body: bytes) -> tuple[str, str] | None:
    """Return an error's text in JSON and its id; None where it is not one of the known forms."""
    try:
        found = _texts.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    text = found.detail if found.error is None else found.error
    return (text, found.error_id) if isinstance(text, str) else None


def _is_local(scope: Scope) -> bool:
    """Whether a request began on this machine, as far as can be told."""
    if any(name in _RELAYED for name, _ in scope["headers"]):
        return False
    return all(_is_loopback(scope.get(end)) for end in ("client", "server"))


def _is_loopback(address: Any) -> bool:
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except (TypeError, ValueError, IndexError):
        return False
