"""``POST /{version}/conversation/{name}/converse``: talks with language models."""

import msgspec

from daprflow.protocol import faults
from daprflow.protocol.conversation import ConverseRequest, FirstRequest
from daprflow.protocol.protojson import ProtoJsonError, read_message
from daprflow.sidecar.http_api.call import Answer, Call, json_answer

_LENGTH = 4


async def handle(call: Call) -> Answer | None:
    """Serve one call, None where no route fits."""
    if call.method != "POST" or len(call.segments) != _LENGTH or call.segments[3] != b"converse":
        return None
    version = call.segments[0]
    if version not in {b"v1.0-alpha1", b"v1.0-alpha2"}:
        return None
    name, body, block = call.segment(2), await call.body(), call.runtime.conversation
    try:
        if version == b"v1.0-alpha1":
            first = await block.converse_first(name, read_message(FirstRequest, body))
            return json_answer(msgspec.json.encode(first))
        second = await block.converse(name, read_message(ConverseRequest, body))
    except ProtoJsonError as error:
        raise faults.malformed_body(str(error)) from None
    return json_answer(msgspec.json.encode(second))
