"""Who may call what on the gRPC API: the API token, and a Configuration's lists of APIs."""

from hashlib import sha256
from hmac import compare_digest
from typing import Any

from daprflow.protocol import messages
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.grpc_api.access import MethodAccess
from daprflow.sidecar.grpc_api.call import TOKEN
from daprflow.sidecar.grpc_api.status import Failure, failure


class Guard:
    """Refuses calls of methods that are switched off, and calls without the right token.

    Args:
        api_token: what callers must send; None or empty asks for nothing.
        access: the methods that are served.
    """

    def __init__(self, api_token: str | None, access: MethodAccess) -> None:
        self._digest = sha256(api_token.encode()).digest() if api_token else None
        self._access = access

    def refusal(self, method: str, metadata: Any) -> Failure | None:
        """Return how a call ends that may not come in; None lets it in."""
        if not self._access.permits(method):
            text = "requested endpoint is not available"
            return http_failure(Code.UNIMPLEMENTED, "Not Implemented", 501, text)
        if self._digest is None:
            return None
        sent = [value for name, value in metadata or () if name == TOKEN]
        if not sent:
            return _unauthorized("missing api token in request metadata")
        one = sent[0]
        given = one.encode("utf-8", "surrogateescape") if isinstance(one, str) else bytes(one)
        if compare_digest(sha256(given).digest(), self._digest) and len(sent) == 1:
            return None
        return _unauthorized("authentication error: api token mismatch")


def _unauthorized(text: str) -> Failure:
    return http_failure(Code.UNAUTHENTICATED, "Unauthorized", 401, text)


def http_failure(code: Code, reason: str, status: int, text: str) -> Failure:
    """Return how a call ends that the real runtime describes by an HTTP status."""
    metadata = {"http.code": str(status), "http.error_message": text}
    info = messages.ErrorInfo(reason=reason, domain="dapr.io", metadata=metadata)
    return failure(code, reason, [info])
