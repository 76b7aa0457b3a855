"""Who may call what on the gRPC API: the API token, and a Configuration's lists of APIs."""

from secrets import compare_digest
from typing import Any

from daprflow.protocol import messages
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.grpc_api.access import MethodAccess
from daprflow.sidecar.grpc_api.call import TOKEN
from daprflow.sidecar.grpc_api.status import Failure, failure


class Guard:
    """Refuses calls of methods that are switched off, and calls without the right token.

    Args:
        api_token: what callers must send; None asks for nothing.
        access: the methods that are served.
    """

    def __init__(self, api_token: str | None, access: MethodAccess) -> None:
        self._token = None if api_token is None else api_token.encode()
        self._access = access

    def refusal(self, method: str, metadata: Any) -> Failure | None:
        """Return how a call ends that may not come in; None lets it in."""
        if not self._access.permits(method):
            text = "requested endpoint is not available"
            return http_failure(Code.UNIMPLEMENTED, "Not Implemented", 501, text)
        if self._token is None:
            return None
        sent = next((value for name, value in metadata or () if name == TOKEN), None)
        if sent is None:
            return _unauthorized("missing api token in request metadata")
        given = sent.encode("utf-8", "surrogateescape") if isinstance(sent, str) else bytes(sent)
        if compare_digest(given, self._token):
            return None
        return _unauthorized("authentication error: api token mismatch")


def _unauthorized(text: str) -> Failure:
    return http_failure(Code.UNAUTHENTICATED, "Unauthorized", 401, text)


def http_failure(code: Code, reason: str, status: int, text: str) -> Failure:
    """Return how a call ends that the real runtime describes by an HTTP status."""
    metadata = {"http.code": str(status), "http.error_message": text}
    info = messages.ErrorInfo(reason=reason, domain="dapr.io", metadata=metadata)
    return failure(code, reason, [info])
