"""``/{version}/workflows/{component}/…``: start instances, look at them, end them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

import msgspec

from daprflow.protocol import workflow_faults
from daprflow.protocol.workflows import StartedWorkflow
from daprflow.sidecar.blocks.pubsub_publish import Trace
from daprflow.sidecar.http_api.call import JSON_TYPE, Answer, Call, ClientGone, json_answer
from daprflow.sidecar.http_api.trace import parent_of

T = TypeVar("T")

VERSIONS = frozenset({b"v1.0", b"v1.0-beta1", b"v1.0-alpha1"})
ACCEPTED = 202
_ONE = 4
_ACTION = 5
_EVENT = 6


async def handle(call: Call) -> Answer | None:
    """Serve one call about a workflow, None where no route fits; its component is ignored."""
    segments = call.segments
    if segments[0] not in VERSIONS:
        return None
    if call.method == "GET":
        return await _get(call) if len(segments) == _ONE else None
    if call.method != "POST":
        return None
    if len(segments) == _EVENT and segments[4] == b"raiseEvent":
        return await _raise_event(call)
    if len(segments) != _ACTION:
        return None
    action = _ACTIONS.get(segments[4])
    return None if action is None else await action(call)


async def _start(call: Call) -> Answer:
    data = await call.body(workflow_faults.body)
    instance_id = call.query().get("instanceID", "")
    trace = Trace(*parent_of(call))
    start = call.runtime.workflows.start(call.segment(3), instance_id, data, {}, trace)
    started = StartedWorkflow(await _while_awaited(call, start))
    return Answer(ACCEPTED, msgspec.json.encode(started), (JSON_TYPE,))


async def _get(call: Call) -> Answer:
    instance_id = call.segment(3)
    status = await call.runtime.workflows.get(instance_id)
    if status is None:
        raise workflow_faults.not_found(instance_id)
    return json_answer(msgspec.json.encode(status))


async def _raise_event(call: Call) -> Answer:
    data = await call.body(workflow_faults.body)
    work = call.runtime.workflows.raise_event(call.segment(3), call.segment(5), data)
    return await _done(call, work)


async def _terminate(call: Call) -> Answer:
    return await _done(call, call.runtime.workflows.terminate(call.segment(3)))


async def _pause(call: Call) -> Answer:
    return await _done(call, call.runtime.workflows.pause(call.segment(3)))


async def _resume(call: Call) -> Answer:
    return await _done(call, call.runtime.workflows.resume(call.segment(3)))


async def _purge(call: Call) -> Answer:
    return await _done(call, call.runtime.workflows.purge(call.segment(3)))


async def _done(call: Call, work: Coroutine[Any, Any, None]) -> Answer:
    await _while_awaited(call, work)
    return Answer(ACCEPTED, b"{}", (JSON_TYPE,))


async def _while_awaited(call: Call, work: Coroutine[Any, Any, T]) -> T:
    """Do something that may wait for a worker; a caller that leaves ends that.

    Raises:
        ClientGone: it left.
    """
    working = asyncio.get_running_loop().create_task(work)
    leaving = asyncio.get_running_loop().create_task(_left(call))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return await working
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})


async def _left(call: Call) -> None:
    while (await call.receive())["type"] != "http.disconnect":
        pass


_ACTIONS: Mapping[bytes, Callable[[Call], Awaitable[Answer]]] = {
    b"start": _start,
    b"terminate": _terminate,
    b"pause": _pause,
    b"resume": _resume,
    b"purge": _purge,
}
