"""The HTTP API of one app's sidecar, as a plain ASGI application."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from daprflow.protocol import faults
from daprflow.protocol.fault import Fault
from daprflow.sidecar.http_api import (
    actors,
    bindings,
    configuration,
    conversation,
    cryptography,
    health,
    invoke,
    jobs,
    locks,
    metadata,
    own,
    publish,
    secrets,
    shutdown,
    state,
    workflows,
)
from daprflow.sidecar.http_api.call import (
    DONE,
    Answer,
    BadEscape,
    Call,
    ClientGone,
    Event,
    Receive,
    Scope,
    Send,
    check_escapes,
    fault_answer,
    text_answer,
)
from daprflow.sidecar.http_api.guard import Guard
from daprflow.sidecar.http_api.trace import NO_PARENT, UNTRACED, bad_baggage, trace_headers
from daprflow.sidecar.resiliency.caller import waiting

if TYPE_CHECKING:
    from daprflow.sidecar.components.middleware import AsgiApp
    from daprflow.sidecar.pipeline import Pipeline
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[Answer | None]]

NO_CONTENT = 204
VERSIONS = frozenset({b"v1.0", b"v1.0-alpha1", b"v1.0-alpha2", b"v1.0-beta1"})
BLOCKS: Mapping[bytes, Handler] = {
    b"actors": actors.handle,
    b"bindings": bindings.handle,
    b"configuration": configuration.handle,
    b"conversation": conversation.handle,
    b"crypto": cryptography.handle,
    b"healthz": health.handle,
    b"jobs": jobs.handle,
    b"lock": locks.handle,
    b"metadata": metadata.handle,
    b"publish": publish.handle,
    b"secrets": secrets.handle,
    b"shutdown": shutdown.handle,
    b"state": state.handle,
    b"subtlecrypto": cryptography.handle_subtle,
    b"unlock": locks.handle,
    b"workflows": workflows.handle,
}

_ACCEPTED = {
    "type": "http.response.start",
    "status": 204,
    "headers": [(b"traceparent", NO_PARENT)],
}
_NO_BODY = {"type": "http.response.body", "body": b""}


class HttpApi:
    """Serves ``/v1.0/…`` for one runtime; what no route owns is service invocation.

    Args:
        runtime: the app's sidecar; its blocks exist once it is open.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._guard = Guard(runtime.options.api_token)
        self._pipeline: Pipeline | None = None
        self._entry: AsgiApp = self._enter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await _serve_other(scope, receive, send)
            return
        watch = self._runtime.telemetry.http
        if watch is None:
            await self._take(scope, receive, send)
        else:
            await watch.serve(self._take, scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(self._runtime, scope, receive)
        calls = self._runtime.calls  # a reload waits for those that were under way before it
        calls.begin()
        try:
            if self._runtime.http_pipeline is None:
                await self._serve(call, send)
            else:
                await self._through(self._runtime.http_pipeline, call, send)
        finally:
            calls.end()

    async def _through(self, pipeline: "Pipeline", call: Call, send: Send) -> None:
        """Serve a call through middleware, which sees those alone that may come in at all."""
        refused = self._guard.refusal(call)
        if refused is not None:
            await _send(refused, call, send)
            return
        if pipeline is not self._pipeline:
            self._pipeline, self._entry = pipeline, pipeline(self._enter)

        async def traced(event: Event) -> None:
            await send(_traced(event, call))

        await self._entry(call.scope, call.receive, traced)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(Call(self._runtime, scope, receive), send)

    async def _serve(self, call: Call, send: Send) -> None:
        try:
            answer = self._guard.refusal(call)
            if answer is None and b"baggage" in call.headers and UNTRACED not in call.scope:
                answer = bad_baggage(call)
            if answer is None:
                answer = await self._dispatch(call, send)
        except Fault as fault:
            self._runtime.telemetry.failed(fault.code)
            answer = fault_answer(fault)
        except BadEscape as error:
            answer = text_answer(400, str(error))
        except ClientGone:
            return
        except Exception:
            logger.exception("the HTTP API failed on %s %r", call.method, call.path)
            answer = fault_answer(Fault(500, "ERR_INTERNAL", "the sidecar failed; see its log"))
        if answer is not None:
            await _send(answer, call, send)

    async def _dispatch(self, call: Call, send: Send) -> Answer | None:
        if b"%" in call.path:
            check_escapes(call.path)
        segments = call.segments
        handler = None
        if len(segments) > 1 and segments[0] in VERSIONS:
            handler = BLOCKS.get(segments[1])
        access = self._runtime.api_access
        if access is not None and handler is not None and not access.permits(*_group(segments)):
            handler = None
        if handler is not health.handle and not self._runtime.health.outbound_ready:
            raise faults.outbound_not_ready()
        if handler is not None:
            watched = self._runtime.resiliency.names  # attempts may follow one another for ever
            answer = await (_watched(handler, call) if watched else handler(call))
            if answer is not None:
                return answer
        elif segments[0] == b"daprflow" and b"dapr-app-id" not in call.headers:
            answer = await own.handle(call)
            if answer is not None:
                return answer
        if access is not None and not access.permits("v1.0", "invoke"):
            return text_answer(404, "404 page not found")
        return await invoke.handle(call, send)


def _traced(event: Event, call: Call) -> Event:
    """Return an answer's start with trace headers, where middleware gave it and they are due."""
    if event["type"] != "http.response.start" or call.segments[1:2] == [b"healthz"]:
        return event
    if any(name == b"traceparent" for name, _ in event["headers"]):
        return event
    return {**event, "headers": [*event["headers"], *trace_headers(call)]}


async def _watched(handler: Handler, call: Call) -> Answer | None:
    """Serve a call; its attempts end when the caller leaves."""
    with waiting(call.receive):
        return await handler(call)


def _group(segments: Sequence[bytes]) -> tuple[str, str]:
    return segments[0].decode("latin-1"), segments[1].decode("latin-1")


async def _send(answer: Answer, call: Call, send: Send) -> None:
    if answer is DONE and b"traceparent" not in call.headers and _is_plain(call):
        await send(_ACCEPTED)
        await send(_NO_BODY)
        return
    headers = list(answer.headers)
    if answer.body or answer.status != NO_CONTENT:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    if answer.traced:
        headers.extend(trace_headers(call))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if call.method == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


def _is_plain(call: Call) -> bool:
    return b"baggage" not in call.headers and UNTRACED not in call.scope


async def _serve_other(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a server's lifespan; refuse websockets, which no Dapr API has."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
