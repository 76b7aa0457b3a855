"""The method of output bindings."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from daprflow.protocol import faults, messages
from daprflow.protocol.fault import Fault
from daprflow.sidecar.app.postman import NO_TRACE
from daprflow.sidecar.grpc_api.baggage import NAME as BAGGAGE
from daprflow.sidecar.grpc_api.baggage import sent_baggage
from daprflow.sidecar.grpc_api.call import TOKEN, GrpcCall, Method

_PARENT = "traceparent"
_OVERWRITTEN = frozenset({_PARENT, "tracestate"})
_RESERVED = "grpc-"
_NAME = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[ -~]*")


async def _invoke(
    call: GrpcCall, request: messages.InvokeBindingRequest
) -> messages.InvokeBindingResponse:
    block, name = call.runtime.bindings, request.name
    metadata = _with_headers(request.metadata, call.context.invocation_metadata())
    try:
        answer = await block.invoke(name, request.operation, request.data, metadata)
    except Fault:
        await call.send_headers()
        raise
    await call.send_headers(*_headers(answer.metadata))
    if answer.error:
        raise faults.output_binding(name, answer.error)
    return messages.InvokeBindingResponse(data=answer.data or b"", metadata=answer.metadata)


def _with_headers(metadata: Mapping[str, str], sent: Any) -> dict[str, str]:
    """Return a request's metadata and what came as the call's, as the real runtime passes it."""
    known = dict(metadata)
    own: dict[str, str] = {}
    for name, value in sent or ():
        if isinstance(value, str) and name != TOKEN:
            own.setdefault(f"dapr-{name}" if name.startswith(_RESERVED) else name, value)
    if baggage := sent_baggage(sent):
        known[BAGGAGE] = baggage
    stronger = {name: value for name, value in own.items() if name in _OVERWRITTEN}
    return {_PARENT: NO_TRACE, **own, **known, **stronger}


def _headers(metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what a binding answered beside its data, as far as gRPC can carry it."""
    for key, value in metadata.items():
        name = f"metadata.{key}".lower()
        sound = _NAME.fullmatch(name) and _VALUE.fullmatch(value)
        if sound and not name.endswith("-bin"):
            yield name, value


METHODS: Mapping[str, Method] = {
    "InvokeBinding": Method(_invoke, messages.InvokeBindingRequest, whole=True, headers=True)
}
