"""``GET /v1.0/secrets/…``: one secret, or all of a store."""

from daprflow.protocol.gojson import encode_go
from daprflow.sidecar.http_api.call import Answer, Call, json_answer

_LENGTH = 4


async def handle(call: Call) -> Answer | None:
    """Serve one secret call, None where no route fits."""
    if call.method != "GET" or call.segments[0] != b"v1.0" or len(call.segments) != _LENGTH:
        return None
    block = call.runtime.secrets
    store, metadata = call.segment(2), call.metadata()
    if call.segments[3] == b"bulk":
        found = await block.bulk(store, metadata)
        ordered = {name: dict(sorted(found[name].items())) for name in sorted(found)}
        return json_answer(encode_go(ordered) + b"\n")
    pairs = await block.get(store, call.segment(3), metadata)
    return json_answer(encode_go(dict(sorted(pairs.items()))) + b"\n")
