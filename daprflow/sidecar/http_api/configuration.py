"""``/v1.0/configuration/…``: get, subscribe and unsubscribe, all of them with GET."""

from urllib.parse import parse_qsl

from daprflow.protocol.configuration import Subscribed, Unsubscribed
from daprflow.protocol.gojson import encode_go
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.http_api.call import DONE, JSON_TYPE, Answer, Call, json_answer

_VERSIONS = frozenset({b"v1.0", b"v1.0-alpha1"})
_STORE, _SUBSCRIBE, _UNSUBSCRIBE = 3, 4, 5


async def handle(call: Call) -> Answer | None:
    """Serve one configuration call, None where no route fits."""
    segments = call.segments
    if call.method != "GET" or segments[0] not in _VERSIONS:
        return None
    if len(segments) == _STORE:
        return await _get(call)
    if len(segments) == _SUBSCRIBE and segments[3] == b"subscribe":
        return await _subscribe(call)
    if len(segments) == _UNSUBSCRIBE and segments[4] == b"unsubscribe":
        return await _unsubscribe(call)
    return None


async def _get(call: Call) -> Answer:
    block = call.runtime.configuration
    items = await block.get(call.segment(2), _keys(call), call.metadata())
    return json_answer(encode_go(items) + b"\n") if items else DONE


async def _subscribe(call: Call) -> Answer:
    block = call.runtime.configuration
    made = await block.subscribe(call.segment(2), _keys(call), call.metadata())
    return json_answer(encode_go(Subscribed(made)) + b"\n")


async def _unsubscribe(call: Call) -> Answer:
    store, subscription = call.segment(2), call.segment(3)
    try:
        await call.runtime.configuration.unsubscribe(store, subscription)
    except ComponentError as error:
        text = f"failed to unsubscribe to configuration request {subscription}: {error}"
        return Answer(500, encode_go(Unsubscribed(message=text)) + b"\n", (JSON_TYPE,))
    return json_answer(encode_go(Unsubscribed(ok=True)) + b"\n")


def _keys(call: Call) -> list[str]:
    """Return every ``key`` of the query, in order."""
    raw: bytes = call.scope["query_string"]
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    return [value for name, value in pairs if name == "key"]
