"""``POST /v1.0-alpha1/lock/…`` and ``…/unlock/…``."""

from typing import TypeVar

import msgspec

from daprflow.protocol import faults
from daprflow.protocol.locks import TriedLock, TryLock, Unlock, UnlockAnswer
from daprflow.protocol.protojson import ProtoJsonError, read_message
from daprflow.sidecar.http_api.call import Answer, Call, json_answer

M = TypeVar("M")

_LENGTH = 3


async def handle(call: Call) -> Answer | None:
    """Serve one lock call, None where no route fits."""
    segments = call.segments
    if call.method != "POST" or segments[0] != b"v1.0-alpha1" or len(segments) != _LENGTH:
        return None
    store, block = call.segment(2), call.runtime.locks
    if segments[1] == b"lock":
        taken = await block.try_lock(store, await _read(call, TryLock))
        return json_answer(msgspec.json.encode(TriedLock(taken)))
    status = await block.unlock(store, await _read(call, Unlock))
    return json_answer(msgspec.json.encode(UnlockAnswer(status)))


async def _read(call: Call, message: type[M]) -> M:
    try:
        return read_message(message, await call.body())
    except ProtoJsonError as error:
        raise faults.malformed_body(str(error)) from None
