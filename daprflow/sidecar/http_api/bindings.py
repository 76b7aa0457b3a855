"""``POST /v1.0/bindings/{name}``: output bindings."""

import msgspec

from daprflow.protocol import faults
from daprflow.protocol.gojson import GoJsonError, decode_go, normalise
from daprflow.protocol.operations import BindingCall
from daprflow.sidecar.http_api.call import DONE, JSON_TYPE, Answer, Call, metadata_headers
from daprflow.sidecar.http_api.trace import trace_headers

_LENGTH = 3
_TYPE, _NAME = "http.OutputBindingRequest", "OutputBindingRequest"
_call = msgspec.json.Decoder(BindingCall | None)


async def handle(call: Call) -> Answer | None:
    """Serve one output binding call, None where no route fits."""
    if call.method not in {"POST", "PUT"} or call.segments[0] != b"v1.0":
        return None
    if len(call.segments) != _LENGTH:
        return None
    name = call.segment(2)
    try:
        body = await call.body(faults.malformed_body)
        asked = decode_go(_call, body, _TYPE, _NAME) or BindingCall()
        data = b"null" if asked.data is msgspec.UNSET else normalise(asked.data)
    except GoJsonError as error:
        raise faults.malformed_body(str(error)) from None
    block = call.runtime.bindings
    metadata = {**(asked.metadata or {}), **_trace(call)}
    answer = await block.invoke(name, asked.operation, data, metadata)
    headers = metadata_headers(answer.metadata)
    if answer.error:
        raise faults.output_binding(name, answer.error, headers)
    if answer.data is None:
        return Answer(204, b"", headers) if headers else DONE
    content_type = JSON_TYPE
    if answer.content_type:
        content_type = (b"content-type", answer.content_type.encode("latin-1", "replace"))
    return Answer(200, answer.data, (content_type, *headers))


def _trace(call: Call) -> dict[str, str]:
    """Return what of the call is the binding's, too; a trace parent there always is."""
    return {name.decode(): value.decode("latin-1") for name, value in trace_headers(call)}
