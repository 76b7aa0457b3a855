"""``POST /v1.0/shutdown``."""

from daprflow.sidecar.http_api.call import DONE, Answer, Call


async def handle(call: Call) -> Answer | None:
    """Ask for the end of the sidecar; ``dapr-force-shutdown: true`` asks for it at once."""
    if call.method != "POST" or call.segments != [b"v1.0", b"shutdown"]:
        return None
    runtime = call.runtime
    if call.header(b"dapr-force-shutdown").lower() in {"true", "1", "t"}:
        runtime.shutdown_forced = True
    runtime.shutdown_requested.set()
    return DONE
