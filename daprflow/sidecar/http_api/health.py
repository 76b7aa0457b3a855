"""``GET /v1.0/healthz`` and ``/v1.0/healthz/outbound``."""

from daprflow.protocol import faults
from daprflow.protocol.fault import Fault
from daprflow.sidecar.http_api.call import Answer, Call, fault_answer

_READY = Answer(traced=False)


async def handle(call: Call) -> Answer | None:
    """Answer 204 when ready; health answers carry no trace headers."""
    if call.method != "GET" or call.segments[0] != b"v1.0":
        return None
    health = call.runtime.health
    tail = call.segments[2:]
    if tail == [b"outbound"]:
        return _READY if health.outbound_ready else _untraced(faults.outbound_not_ready())
    if tail:
        return None
    if not health.ready:
        return _untraced(faults.not_ready(("app",) if health.outbound_ready else ("runtime",)))
    wanted = call.query().get("appid", "")
    if wanted and wanted != call.runtime.app_id:
        return _untraced(faults.app_id_mismatch())
    return _READY


def _untraced(fault: Fault) -> Answer:
    answer = fault_answer(fault)
    return Answer(answer.status, answer.body, answer.headers, traced=False)
