"""Calls of methods that are not Dapr's: they are for the app that the metadata name."""

from typing import TYPE_CHECKING, Any

import grpc

from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.grpc_api.serving import abort
from daprflow.sidecar.grpc_api.status import STATUS_CODES, Failure

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

_NO_APP = "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found"


class Proxy:
    """Passes calls on to apps."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def handler(self, method: str, metadata: Any) -> Any:
        """Return what answers a call of a method that Dapr does not have."""
        del method, metadata
        failed = Failure(STATUS_CODES[Code.UNKNOWN], _NO_APP)

        async def refuse(_requests: Any, context: Any) -> None:
            await abort(context, failed)

        return grpc.stream_stream_rpc_method_handler(refuse)
