"""A bare grpc.aio service as a peer: every call of every method gets the same bytes."""

import sys
from typing import Any

import grpc
import uvloop

from benchmarks.peers.serve import end_with_parent
from daprflow.protocol.messages import GetStateResponse

ANSWER = GetStateResponse(data=b'{"id":"o-1","total":120,"items":["tea","cup"]}', etag="1")


class _Constant(grpc.GenericRpcHandler):
    """Answers everything alike, with messages read and written as any service does."""

    def service(self, handler_call_details: Any) -> Any:  # noqa: ARG002 - the library's signature
        """Return the one handler."""
        return _HANDLER


async def _answer(_request: Any, _context: Any) -> GetStateResponse:
    return ANSWER


_HANDLER = grpc.unary_unary_rpc_method_handler(_answer, bytes, GetStateResponse.SerializeToString)


async def _serve() -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Constant(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    end_with_parent()
    uvloop.run(_serve())
