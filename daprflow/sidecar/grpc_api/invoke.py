"""``InvokeService``: one message to a method of an app, whatever protocol the app speaks."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from daprflow.protocol import faults, messages
from daprflow.protocol.fault import Fault
from daprflow.protocol.grpc_codes import Code, code_of_answer
from daprflow.protocol.http import Headers, StreamedRequest
from daprflow.protocol.http_phrases import phrase_of
from daprflow.sidecar.app import grpc_invoke
from daprflow.sidecar.app.postman import NO_TRACE
from daprflow.sidecar.app.rpc_metadata import metadata_of
from daprflow.sidecar.blocks.invocation import UnknownApp, called_app
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.rpc import DETAILS, Metadata, RpcFailed
from daprflow.sidecar.grpc_api.call import GrpcCall, Method
from daprflow.sidecar.grpc_api.guard import http_failure
from daprflow.sidecar.grpc_api.serving import abort
from daprflow.sidecar.grpc_api.status import STATUS_CODES, Failure
from daprflow.sidecar.method_names import cleaned, problem_of
from daprflow.sidecar.resiliency.breaker import Refused
from daprflow.sidecar.resiliency.deadline import TimedOut
from daprflow.sidecar.resiliency.policy import StoppedRetrying
from daprflow.sidecar.telemetry.passage import Passage

if TYPE_CHECKING:
    from daprflow.sidecar.channel.grpc import GrpcChannel
    from daprflow.sidecar.runtime import Runtime

_SAFE = "$&+,/:;=@-_.~"
_plain = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@\[\]/]|%[0-9A-Fa-f]{2})*")
_bad_escape = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")
_VERBS = messages.HTTPExtension.Verb
_INVALID = "rpc error: code = InvalidArgument desc = "
_LONGEST_TEXT = 63
_PROTOBUF = "application/x-protobuf"
_TRACE = ("traceparent", NO_TRACE)
_OWN = frozenset({"content-type", "dapr-app-id", "dapr-callee-app-id", "te"})


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What an attempt came to: an answer, or how the call ends without one."""

    headers: Metadata
    trailers: Metadata = ()
    answer: messages.InvokeResponse | None = None
    failure: Failure | None = None


class _Failed(Exception):  # noqa: N818 - named for what happened
    """The app answered with an error; a policy tries all of them again."""

    def __init__(self, outcome: _Outcome) -> None:
        super().__init__("" if outcome.failure is None else outcome.failure.text)
        self.outcome = outcome


async def _invoke(
    call: GrpcCall, request: messages.InvokeServiceRequest
) -> messages.InvokeResponse:
    app_id, message = request.id, request.message
    if problem := problem_of(message.method):
        text = f"{_INVALID}invalid method: method contains {problem}"
        raise faults.direct_invoke(app_id, text)
    message.method = cleaned(message.method)
    outcome = await _outcome(call, app_id, message)
    await call.context.send_initial_metadata(outcome.headers)
    if outcome.failure is not None:
        failed = outcome.failure
        trailers = (*failed.trailers, *outcome.trailers)
        await abort(call.context, Failure(failed.code, failed.text, trailers))
    call.context.set_trailing_metadata(outcome.trailers)
    return outcome.answer or messages.InvokeResponse()


async def _outcome(call: GrpcCall, app_id: str, message: messages.InvokeRequest) -> _Outcome:
    resiliency = call.runtime.resiliency
    policy = resiliency.app(app_id, message.method) if resiliency.guards_calls else None
    if policy is None:
        return await _attempt(call, app_id, message)

    async def attempt() -> _Outcome:
        outcome = await _attempt(call, app_id, message)
        if outcome.failure is not None:
            raise _Failed(outcome)
        return outcome

    try:
        return await policy.run(attempt)
    except _Failed as failed:
        return failed.outcome
    except StoppedRetrying as stopped:
        if isinstance(stopped.__cause__, _Failed):
            return stopped.__cause__.outcome
        raise faults.direct_invoke(app_id, str(stopped)) from stopped
    except Refused as refused:
        return _Outcome((), failure=Failure(STATUS_CODES[Code.UNKNOWN], str(refused)))
    except TimedOut as late:
        return _Outcome((), failure=Failure(STATUS_CODES[Code.DEADLINE_EXCEEDED], str(late)))


async def _attempt(call: GrpcCall, app_id: str, message: messages.InvokeRequest) -> _Outcome:
    block = call.runtime.invocation
    pairs: Metadata = tuple(call.context.invocation_metadata() or ())
    if app_id.startswith(("http://", "https://")) or app_id in block.endpoints:
        return await _over_http(call, app_id, message, pairs)
    own = block.is_own(app_id)
    if not own:
        await block.await_arrival(app_id)
    try:
        callee = call.runtime if own else block.find(app_id)
    except UnknownApp as error:
        raise faults.direct_invoke(app_id, str(error)) from error
    channel = None if callee.app is None else callee.app.grpc
    if channel is None:
        return await _over_http(call, app_id, message, pairs)
    remote = callee is not call.runtime
    if remote:
        _check_access(call.runtime, callee, message)
        callee = await block.reachable(callee)
        channel = callee.app.grpc if callee.app is not None and callee.app.grpc else channel
    called_app(callee, app_id, remote=remote)
    sent = _sent(call.runtime, pairs)
    if not remote:
        return await _over_grpc(channel, message, sent)
    sent = (*sent, *block.caller(callee.app_id))
    return await _watched(call.runtime, callee, channel, message, sent)


# ---- apps that speak gRPC -----------------------------------------------------------------------


def _check_access(caller: "Runtime", callee: "Runtime", message: messages.InvokeRequest) -> None:
    verb = _VERBS.Name(message.http_extension.verb)
    if not caller.invocation.may_call(callee, verb, message.method):
        operation = message.method.removeprefix("/")
        raise faults.invocation_denied(callee.app_id, caller.app_id, verb, operation)


async def _watched(
    caller: "Runtime",
    callee: "Runtime",
    channel: "GrpcChannel",
    message: messages.InvokeRequest,
    sent: Metadata,
) -> _Outcome:
    """Call another app, and tell of it on both sides."""
    if not caller.telemetry.watching and not callee.telemetry.watching:
        return await _over_grpc(channel, message, sent)
    passage = Passage(caller.telemetry, callee.telemetry, caller.app_id, callee.app_id)
    headers, span = passage.begin(message.method, sent)
    failure: Failure | None = Failure(STATUS_CODES[Code.UNKNOWN], "the call was given up")
    try:
        outcome = await _over_grpc(channel, message, tuple(headers))
        failure = outcome.failure
    finally:
        if failure is None:
            passage.end_rpc(span, Code.OK, None)
        else:
            passage.end_rpc(span, failure.code.value[0], failure.text)
    return outcome


async def _over_grpc(
    channel: "GrpcChannel", message: messages.InvokeRequest, sent: Metadata
) -> _Outcome:
    try:
        answer = await grpc_invoke.invoke(channel, message, sent)
    except RpcFailed as failed:
        trailers = tuple(pair for pair in failed.trailers if pair[0] != DETAILS)
        details = tuple(pair for pair in failed.trailers if pair[0] == DETAILS)
        failure = Failure(STATUS_CODES[failed.code], failed.text, details)
        return _Outcome(_traced(failed.headers), _traced(trailers), failure=failure)
    return _Outcome(_traced(answer.headers), _traced(answer.trailers), answer.message)


def _sent(caller: "Runtime", pairs: Metadata) -> Metadata:
    """Return the caller's metadata as far as the app gets it."""
    options = caller.options
    dropped = {"user-agent", "dapr-caller-app-id", "dapr-caller-namespace", *_OWN}
    if options.api_token or options.app_token:
        dropped.add("dapr-api-token")
    kept = (pair for pair in pairs if pair[0] not in dropped and not pair[0].startswith("grpc-"))
    return _traced(tuple(kept))


def _traced(pairs: Metadata) -> Metadata:
    return pairs if any(name == _TRACE[0] for name, _ in pairs) else (*pairs, _TRACE)


# ---- apps that speak HTTP -----------------------------------------------------------------------


async def _over_http(
    call: GrpcCall, app_id: str, message: messages.InvokeRequest, pairs: Metadata
) -> _Outcome:
    request = _http_request(call.runtime, app_id, message, pairs)
    response = await call.runtime.invocation.invoke(app_id, request)
    try:
        body = b"".join([chunk async for chunk in response.chunks])
    except AppUnreachable as error:
        raise faults.direct_invoke(app_id, str(error)) from error
    finally:
        await response.close()
    headers = _traced(metadata_of(_without_length(response.headers)))
    headers = (*headers, ("dapr-http-status", str(response.status)))
    code = code_of_answer(response.status)
    if code is not Code.OK:
        phrase = phrase_of(response.status)
        return _Outcome(headers, failure=_refusal(code, phrase, response.status, body))
    content_type = next((value for name, value in response.headers if name == "content-type"), "")
    answer = messages.InvokeResponse(
        data=messages.AnyMessage(value=body), content_type=content_type
    )
    return _Outcome(headers, answer=answer)


def _refusal(code: Code, phrase: str, status: int, body: bytes) -> Failure:
    """Return how the call ends; the details hold a piece of the body, none if it is no text."""
    try:
        text = body[:_LONGEST_TEXT].decode()
    except UnicodeDecodeError:
        return Failure(STATUS_CODES[code], phrase)
    return http_failure(code, phrase, status, text)


def _http_request(
    caller: "Runtime", app_id: str, message: messages.InvokeRequest, pairs: Metadata
) -> StreamedRequest:
    if not message.HasField("http_extension"):
        raise _unsuitable(caller, app_id, f"{_INVALID}missing HTTP extension field")
    if message.http_extension.verb == _VERBS.NONE:
        raise _unsuitable(caller, app_id, f"{_INVALID}invalid HTTP verb")
    query, body = message.http_extension.querystring, message.data.value
    content_type = _PROTOBUF if message.data.type_url else message.content_type
    typed: Headers = (("content-type", content_type),) if content_type else ()
    if bad := _bad_escape.search(message.method):
        raise _unsuitable(caller, app_id, f'invalid URL escape "{bad[0]}"')
    path = _path_of(message.method)
    return StreamedRequest(
        method=_VERBS.Name(message.http_extension.verb),
        target=f"{path}?{query}" if query else path,
        headers=(*_http_headers(pairs), *typed),
        chunks=_once(body),
        length=len(body),
    )


def _path_of(method: str) -> str:
    """Return the path of a method; as Go does: one odd character, and all are encoded anew."""
    method = "/" + method.lstrip("/")
    if _plain.fullmatch(method):
        return method
    return quote(unquote_to_bytes(method), safe=_SAFE)


def _unsuitable(caller: "Runtime", app_id: str, problem: str) -> Fault:
    if not caller.invocation.is_own(app_id):
        problem = f"rpc error: code = Internal desc = error invoking app channel: {problem}"
    return faults.direct_invoke(app_id, problem)


def _http_headers(pairs: Metadata) -> Headers:
    headers = tuple(
        (f"dapr-{name}" if name.startswith("grpc-") else name, value)
        for name, value in pairs
        if isinstance(value, str) and name not in _OWN
    )
    if any(name == _TRACE[0] for name, _ in headers):
        return headers
    return (*headers, _TRACE)


def _without_length(headers: Headers) -> Headers:
    dropped = {"content-length", "connection", "keep-alive", "transfer-encoding", "upgrade"}
    return tuple(pair for pair in headers if pair[0] not in dropped)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


METHODS: Mapping[str, Method] = {
    "InvokeService": Method(_invoke, messages.InvokeServiceRequest),
}
