"""``/v1.0/jobs/{name}`` and ``/v1.0-alpha1/jobs/{name}``: schedule, get and delete a job."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from daprflow.protocol import faults
from daprflow.protocol.jobs import read_job
from daprflow.protocol.protojson import ProtoJsonError
from daprflow.sidecar.http_api.call import DONE, Answer, Call, json_answer

VERSIONS = frozenset({b"v1.0", b"v1.0-alpha1"})
_SIZE = 3


async def handle(call: Call) -> Answer | None:
    """Serve one call about a job, None where no route fits: jobs cannot be listed over HTTP."""
    if len(call.segments) != _SIZE or call.segments[0] not in VERSIONS:
        return None
    method = _METHODS.get(call.method)
    return None if method is None else await method(call)


async def _schedule(call: Call) -> Answer:
    try:
        job = read_job(await call.body())
    except ProtoJsonError as error:
        raise faults.malformed_body(str(error)) from None
    await call.runtime.jobs.schedule(call.segment(2).strip(), job)
    return DONE


async def _get(call: Call) -> Answer:
    return json_answer(msgspec.json.encode(call.runtime.jobs.describe(call.segment(2))))


async def _delete(call: Call) -> Answer:
    await call.runtime.jobs.delete(call.segment(2))
    return DONE


_METHODS: Mapping[str, Callable[[Call], Awaitable[Answer]]] = {
    "POST": _schedule,
    "GET": _get,
    "DELETE": _delete,
}
