"""The method that ends the sidecar."""

from collections.abc import Mapping

from daprflow.protocol import messages
from daprflow.sidecar.grpc_api.call import GrpcCall, Method

_FORCE = "dapr-force-shutdown"


async def _shutdown(call: GrpcCall, _request: messages.ShutdownRequest) -> messages.Empty:
    """Ask for the end of the sidecar; with the metadata ``dapr-force-shutdown`` for it at once."""
    runtime = call.runtime
    sent = call.context.invocation_metadata() or ()
    if any(name == _FORCE and str(value).lower() == "true" for name, value in sent):
        runtime.shutdown_forced = True
    runtime.shutdown_requested.set()
    return messages.Empty()


METHODS: Mapping[str, Method] = {"Shutdown": Method(_shutdown, messages.ShutdownRequest)}
