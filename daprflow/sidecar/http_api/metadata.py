"""``GET /v1.0/metadata`` and ``PUT /v1.0/metadata/{key}``."""

from daprflow.sidecar.http_api.call import DONE, Answer, Call, json_answer

_DOCUMENT, _KEY = 2, 3


async def handle(call: Call) -> Answer | None:
    """Serve one metadata call, None where no route fits."""
    if call.segments[0] != b"v1.0":
        return None
    block = call.runtime.metadata
    size = len(call.segments)
    if call.method == "GET" and size == _DOCUMENT:
        return json_answer(block.document())
    if call.method == "PUT" and size == _KEY:
        body = await call.body()
        call.runtime.extended[call.segment(2)] = body.decode("utf-8", "replace")
        return DONE
    return None
