"""Service invocation over HTTP, and the place where every path ends that no other route owns."""

import asyncio
import contextlib
import logging
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from daprflow.protocol import faults
from daprflow.protocol.fault import Fault
from daprflow.protocol.http import Headers, StreamedRequest, StreamedResponse
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.http_api.call import (
    JSON_TYPE,
    Answer,
    Call,
    ClientGone,
    HeaderPair,
    Receive,
    Send,
    clean,
    drain,
    unescape,
)
from daprflow.sidecar.http_api.content_type import content_type_of
from daprflow.sidecar.http_api.invoke_guarded import GuardedCall, Ways
from daprflow.sidecar.http_api.trace import NO_PARENT, UNTRACED, trace_headers
from daprflow.sidecar.method_names import problem_of

logger = logging.getLogger(__name__)

_SAFE = "$&+,/:;=@-_.~"
_METHOD = b"/method/"
_INVOKE = b"v1.0/invoke/"
_PLAIN_PATH = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@\[\]/]*")
_OK, _BAD_REQUEST = 200, 400
_VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"})
_TYPED = frozenset({b"content-type", b"content-encoding"})
_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
        "te", "trailer", "proxy-authorization", "proxy-authenticate", "content-length",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a call is for; ``path`` is still percent-encoded."""

    app_id: str
    path: bytes


async def handle(call: Call, send: Send) -> Answer | None:
    """Carry the call to the app it names and stream its answer back.

    Returns:
        an answer to send; None when everything has been sent already.
    """
    target = target_of(call.path, call.raw_path, call.headers)
    if target is None:
        raise faults.no_app_id()
    if call.method == "CONNECT":
        text = "rpc error: code = InvalidArgument desc = invalid HTTP verb"
        raise faults.direct_invoke(target.app_id, text)
    try:
        body = _Body(call, target.app_id)
    except Fault:
        await drain(call.receive, {"more_body": True})
        raise
    request = StreamedRequest(
        method=call.method if call.method in _VERBS else "POST",  # as the real runtime takes others
        target=_request_target(call, target),
        headers=_request_headers(call),
        chunks=body.chunks(),
        length=body.length,
    )
    if call.runtime.resiliency.guards_calls:
        key = _breaker_key(call, target, request)
        policy = call.runtime.resiliency.app(target.app_id, key)
        if policy is not None:
            return await _guarded(call, target, request, body, send).run(policy)
    try:
        response = await call.runtime.invocation.invoke(target.app_id, request)
    except Fault:
        if body.failure is not None:
            raise body.failure from None
        raise
    if _OK <= response.status < _BAD_REQUEST:
        await _stream(call, response, send, body)
        return None
    try:
        return await _collect(call, response)
    except AppUnreachable as error:
        raise faults.direct_invoke(target.app_id, str(error)) from error


def _breaker_key(call: Call, target: Target, request: StreamedRequest) -> str:
    """Return what a breaker of the target is for: a method of an app, or a whole endpoint."""
    if target.app_id in call.runtime.invocation.endpoints:
        return ""
    return request.target.partition("?")[0].removeprefix("/")


def _guarded(
    call: Call, target: Target, request: StreamedRequest, body: "_Body", send: Send
) -> GuardedCall:
    async def gone() -> None:
        if body.done or body.length == 0:
            while (await call.receive())["type"] != "http.disconnect":
                pass
        else:
            await asyncio.Event().wait()  # what comes next is the body, and not for us

    ways = Ways(
        stream=lambda response: _stream(call, response, send, body),
        collect=lambda response: _collect(call, response),
        failure=lambda: body.failure,
        gone=gone,
    )
    return GuardedCall(call.runtime.invocation, target.app_id, request, ways)


async def _collect(call: Call, response: StreamedResponse) -> Answer:
    """Read an error answer to its end."""
    data = b"".join([chunk async for chunk in response.chunks])
    headers = _response_headers(call, response)
    if response.status >= _BAD_REQUEST and all(name != b"content-type" for name, _ in headers):
        headers = (JSON_TYPE, *headers)
    return Answer(response.status, data, headers, traced=False)


def target_of(path: bytes, raw_path: bytes, headers: Mapping[bytes, bytes]) -> Target | None:
    """Find the app that a call is for: in a header, in basic authentication, in the path."""
    by_header = headers.get(b"dapr-app-id", b"").decode("latin-1")
    if by_header:
        return Target(by_header, path)
    by_password = _basic_password(headers.get(b"authorization", b""))
    if by_password:
        return Target(by_password, path)
    # Cleaning takes a slash of an address; but dots lead where most clients have them lead.
    path = (path if b"/.." in raw_path else raw_path).lstrip(b"/")
    if not path.startswith(_INVOKE):
        return None
    app_id, marker, method = path.removeprefix(_INVOKE).partition(_METHOD)
    return Target(unescape(app_id), b"/" + method) if marker and app_id else None


def _basic_password(header: bytes) -> str:
    """Return the app id that a client wrote as ``http://dapr-app-id:<app>@host``."""
    scheme, _, credentials = header.partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        user, _, password = b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return password if user == "dapr-app-id" else ""


def _request_target(call: Call, target: Target) -> str:
    """Return path and query as the app gets them: decoded once, checked, cleaned, encoded again.

    Raises:
        Fault: the method has characters that would change its meaning on the way.
    """
    method = unquote_to_bytes(target.path).decode("utf-8", "replace")
    if problem := problem_of(method.removeprefix("/")):
        text = f"rpc error: code = InvalidArgument desc = invalid method: method contains {problem}"
        raise faults.direct_invoke(target.app_id, text)
    path = clean(method.encode()).decode()
    if not _PLAIN_PATH.fullmatch(path):  # as Go does: one odd character, and all are encoded
        path = quote(path, safe=_SAFE)
    query: bytes = call.scope["query_string"]
    return f"{path}?{query.decode('latin-1')}" if query else path


def _request_headers(call: Call) -> Headers:
    headers = [
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in call.scope["headers"]
        if name != b"dapr-app-id"
    ]
    if b"traceparent" not in call.headers and UNTRACED not in call.scope:
        headers.append(("traceparent", NO_PARENT.decode("ascii")))
    return tuple(headers)


class _Body:
    """The body of a call as it arrives; it is counted, never collected."""

    def __init__(self, call: Call, app_id: str) -> None:
        self._call = call
        self._app_id = app_id
        self._limit = call.runtime.options.max_body_size
        self.done = False
        self.failure: Exception | None = None
        self.length = self._declared()

    def _declared(self) -> int | None:
        headers = self._call.headers
        declared = headers.get(b"content-length", b"")
        if declared.isdigit():
            length = int(declared)
            if 0 <= self._limit < length:
                raise self._too_large()
            return length
        return None if b"transfer-encoding" in headers else 0

    def _too_large(self) -> Fault:
        limit = self._limit
        fault = faults.direct_invoke(
            self._app_id,
            f"stream too large: the body has more than {limit} bytes (--max-body-size)",
        )
        fault.headers = ((b"connection", b"close"),)
        return fault

    def _failed(self, error: Exception) -> Exception:
        """Keep what went wrong: a channel may report it as a failure of its own."""
        self.failure = error
        return error

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body.

        Raises:
            ClientGone: the caller went away.
            Fault: the body is larger than the sidecar accepts.
        """
        size = 0
        while not self.done:
            event = await self._call.receive()
            if event["type"] == "http.disconnect":
                raise self._failed(ClientGone())
            self.done = not event.get("more_body", False)
            chunk: bytes = event.get("body", b"")
            size += len(chunk)
            if 0 <= self._limit < size:
                await drain(self._call.receive, event)
                raise self._failed(self._too_large())
            if chunk:
                yield chunk


async def _stream(call: Call, response: StreamedResponse, send: Send, body: _Body) -> None:
    """Send the answer piece by piece; a caller that goes away ends the call on the app too."""
    watcher: asyncio.Task[None] | None = None
    if body.done or body.length == 0:
        watcher = asyncio.get_running_loop().create_task(_watch(call.receive, response))
    headers = list(_response_headers(call, response))
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    untyped = all(name not in _TYPED for name, _ in headers)
    try:
        if not untyped:
            await send(start)
        async for chunk in response.chunks:
            if untyped and chunk:
                untyped = False
                headers.append((b"content-type", content_type_of(chunk)))
                await send(start)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if untyped:
            await send(start)
        await send({"type": "http.response.body", "body": b""})
    except AppUnreachable as error:
        if untyped:
            await send(start)
        # The status is out: leaving the answer unfinished is the only way to tell the caller.
        logger.warning("service invocation broke off while the app was answering: %s", error)
    finally:
        if watcher is not None:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
        await response.close()


async def _watch(receive: Receive, response: StreamedResponse) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    await response.close()


def _response_headers(call: Call, response: StreamedResponse) -> tuple[HeaderPair, ...]:
    dropped = set(_HOP_BY_HOP)
    for name, value in response.headers:
        if name == "connection":
            dropped.update(token.strip().lower() for token in value.split(","))
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
        if name not in dropped
    ]
    if all(name != b"traceparent" for name, _ in headers):
        headers.extend(trace_headers(call))
    return tuple(headers)
