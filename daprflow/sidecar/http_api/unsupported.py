"""Building blocks that a real runtime offers and the embedded sidecar does not."""

from collections.abc import Mapping

from daprflow.protocol import faults
from daprflow.sidecar.http_api.call import Answer, Call, fault_answer

BLOCKS: Mapping[bytes, str] = {
    b"workflows": "workflows",
}
_SHORTEST = 3


async def handle(call: Call) -> Answer | None:
    """Answer in Dapr's error shape that this block needs a real runtime."""
    if len(call.segments) < _SHORTEST:
        return None
    block = BLOCKS[call.segments[1]]
    text = (
        f"this API is currently not implemented: the embedded sidecar has no {block}; "
        "a real Dapr runtime offers it (daprflow run --sidecar daprd)"
    )
    return fault_answer(faults.unimplemented(text))
