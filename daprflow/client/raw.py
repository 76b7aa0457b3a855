"""Calls of apps by app id, verb and path: any method, any body, any answer."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypedDict
from urllib.parse import quote, urlencode

from daprflow.client import hints, payload, streaming
from daprflow.client.caller import Caller
from daprflow.client.response import Response, StreamingResponse
from daprflow.durations import seconds
from daprflow.errors import InvocationError
from daprflow.handlers.codecs import Codecs
from daprflow.protocol.fault import decode
from daprflow.protocol.http import Headers, HttpRequest, StreamedRequest
from daprflow.protocol.operations import segment

Query = Mapping[str, str | int | float | bool] | Sequence[tuple[str, str]]

BAD = 400


class RequestOptions(TypedDict, total=False):
    """What a raw call may say.

    Attributes:
        verb: ``POST`` where it is not given.
        headers: name and value pairs; hop-by-hop ones do not arrive.
        query: of the method's URL, escaped here.
        content_type: what the data is, where that differs from what its type says.
        timeout: seconds or a timedelta; of what is streamed, for each piece.
        raise_for_status: whether a status of 400 and above is an `InvocationError`, as it is where
            this is not given.
    """

    verb: str
    headers: Mapping[str, str]
    query: Query
    content_type: str | None
    timeout: timedelta | float | None
    raise_for_status: bool


@dataclass(frozen=True, slots=True)
class Options:
    """`RequestOptions`, complete."""

    verb: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Query = ()
    content_type: str | None = None
    timeout: timedelta | float | None = None
    raise_for_status: bool = True

    @property
    def seconds(self) -> float | None:
        """The timeout as the caller takes it."""
        return None if self.timeout is None else seconds(self.timeout)


async def request(
    caller: Caller, app_id: str, method: str, data: object, options: Options
) -> Response:
    """Call a method and return the whole answer.

    Raises:
        InvocationError: the status is an error and ``options`` make it one.
        SidecarUnavailable: no sidecar answered.
    """
    target = _target(app_id, method, options.query)
    sent = _encoded(data, options.content_type, caller.codecs)
    headers = _headers(options, sent.content_type)
    asked = HttpRequest(options.verb.upper(), target, headers, sent.body)
    answer = await caller.exchange(asked, options.seconds)
    if options.raise_for_status and answer.status >= BAD:
        raise failure(f"method '{method}' of app '{app_id}'", answer.status, answer.body)
    return Response(answer.status, answer.headers, answer.body, caller.codecs)


@asynccontextmanager
async def stream(
    caller: Caller, app_id: str, method: str, data: object, options: Options
) -> AsyncIterator[StreamingResponse]:
    """Call a method with bodies in pieces both ways; leaving the block gives up the rest.

    Raises:
        InvocationError: the status is an error and ``options`` make it one.
        SidecarUnavailable: no sidecar answered.
    """
    target = _target(app_id, method, options.query)
    if isinstance(data, AsyncIterable):
        chunks, length = aiter(data), None
        headers = _headers(options, options.content_type or payload.BYTES)
    else:
        sent = _encoded(data, options.content_type, caller.codecs)
        chunks, length = _once(sent.body), len(sent.body)
        headers = _headers(options, sent.content_type)
    asked = StreamedRequest(options.verb.upper(), target, headers, chunks, length)
    answer = await streaming.carry(caller, asked, options.seconds)
    try:
        response = StreamingResponse(answer)
        if options.raise_for_status and answer.status >= BAD:
            body = await streaming.beginning(answer.chunks)
            raise failure(f"method '{method}' of app '{app_id}'", answer.status, body)
        yield response
    finally:
        await answer.close()


def failure(what: str, status: int, body: bytes) -> InvocationError:
    """Return the error of an app, or of a sidecar that did not reach it (then with a code)."""
    fault = decode(status, body)
    said = fault.message if fault.code else "see 'body' for what it said"
    return InvocationError(
        f"{what} answered with status {status}: {said}",
        status=status,
        body=body,
        code=fault.code,
        hint=hints.of(status, fault.code, fault.message) if fault.code else "",
    )


def _target(app_id: str, method: str, query: Query) -> str:
    if "?" in method or "#" in method:
        raise ValueError(f"method '{method}' holds '?' or '#'; give the query as 'query'")
    path = "/".join(segment(part) for part in method.split("/") if part)
    target = f"/v1.0/invoke/{segment(app_id)}/method/{path}"
    if not query:
        return target
    pairs = list(query.items()) if isinstance(query, Mapping) else list(query)
    texts = [(name, _text(value)) for name, value in pairs]
    return f"{target}?{urlencode(texts, quote_via=quote)}"


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _encoded(data: object, content_type: str | None, codecs: Codecs) -> payload.Payload:
    if data is None:
        return payload.Payload(b"", content_type or "")
    return payload.encode(data, content_type, codecs)


def _headers(options: Options, content_type: str) -> Headers:
    given = tuple((name.lower(), value) for name, value in options.headers.items())
    if not content_type or any(name == "content-type" for name, _ in given):
        return given
    return (("content-type", content_type), *given)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body
