"""Service invocation of an app that speaks gRPC: its ``OnInvoke``, for callers of both kinds."""

from collections.abc import AsyncIterator
from urllib.parse import unquote

import msgspec

from daprflow.protocol import messages
from daprflow.protocol.grpc_codes import Code, http_status
from daprflow.protocol.http import Headers, StreamedRequest, StreamedResponse
from daprflow.sidecar.app.rpc_metadata import headers_of, metadata_of
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.grpc import CALLBACKS, GrpcChannel
from daprflow.sidecar.channel.rpc import DETAILS, Metadata, RpcAnswer, RpcFailed

_RPC = f"{CALLBACKS}OnInvoke"
_PROTOBUF = "application/x-protobuf"
_VERBS = messages.HTTPExtension.Verb
_KNOWN = frozenset(_VERBS.keys())
_TYPE = "content-type"
_TEXT = "text/plain; charset=utf-8"  # as the real runtime, which looks at the bytes


async def invoke(
    channel: GrpcChannel, request: messages.InvokeRequest, metadata: Metadata
) -> RpcAnswer[messages.InvokeResponse]:
    """Call a method of the app for a caller over gRPC.

    Raises:
        RpcFailed: the app answered with an error, or could not be reached (``UNAVAILABLE``).
    """
    try:
        return await channel.exchange(_RPC, request, messages.InvokeResponse, metadata)
    except AppUnreachable as error:
        raise RpcFailed(Code.UNAVAILABLE, f"connection error: {error}") from error


async def invoke_over_http(channel: GrpcChannel, request: StreamedRequest) -> StreamedResponse:
    """Call a method of the app for a caller over HTTP, whose body is collected first.

    As in the real runtime an error is answered with the HTTP status of its code, and with the
    status in JSON as the body; to a policy of the caller that is no failure.
    """
    body = b"".join([chunk async for chunk in request.chunks])
    path, _, query = request.target.partition("?")
    metadata = metadata_of(request.headers)
    if request.length:
        metadata = (*metadata, ("dapr-content-length", str(request.length)))
    given = next((value for name, value in request.headers if name == _TYPE), "")
    message = messages.InvokeRequest(
        method=unquote(path).lstrip("/"),
        data=messages.AnyMessage(value=body),
        content_type=given,
        http_extension=messages.HTTPExtension(verb=_verb(request.method), querystring=query),
    )
    try:
        answer = await invoke(channel, message, metadata)
    except RpcFailed as failed:
        return _failed(failed)
    data = answer.message.data
    content_type = _PROTOBUF if data.type_url else answer.message.content_type
    typed: Headers = ((_TYPE, content_type),) if content_type else ()
    return _response(200, (*headers_of(answer.headers), *typed), data.value)


def _verb(method: str) -> "messages.HTTPExtension.Verb.ValueType":
    """Return the verb; one that Dapr does not know counts as POST."""
    return _VERBS.Value(method) if method in _KNOWN else _VERBS.POST


def _failed(failed: RpcFailed) -> StreamedResponse:
    status = http_status(failed.code)
    headers = headers_of(failed.headers)
    return _response(status, (*headers, (_TYPE, _TEXT)), status_in_json(failed))


def status_in_json(failed: RpcFailed) -> bytes:
    """Return the status of a failed call as protobuf's JSON has it, details included."""
    status = messages.RpcStatus(code=failed.code, message=failed.text)
    packed = next((value for name, value in failed.trailers if name == DETAILS), None)
    if isinstance(packed, bytes):
        try:
            status.details.extend(messages.RpcStatus.FromString(packed).details)
        except messages.DecodeError:
            status.ClearField("details")
    return msgspec.json.encode(messages.MessageToDict(status))


def _response(status: int, headers: Headers, body: bytes) -> StreamedResponse:
    return StreamedResponse(status, headers, _once(body), _nothing, final=True)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _nothing() -> None:
    """Give up a body that is at hand already."""
