"""Error answers of a sidecar as exceptions."""

from daprflow.errors import EtagMismatch, NotFound, SidecarError, SidecarUnavailable
from daprflow.protocol import faults
from daprflow.protocol.http import HttpResponse

WRITES = frozenset({"ERR_STATE_SAVE", "ERR_STATE_DELETE"})
NOT_FOUND = 404
CONFLICT = 409


def succeeded(response: HttpResponse) -> bool:
    """Tell whether ``response`` is not an error."""
    return 200 <= response.status < 300  # noqa: PLR2004 - HTTP's range of success


def of(response: HttpResponse) -> SidecarError:
    """Return the exception for an error answer.

    An unknown component is a 400, 401 or 404 of the runtime, by building block; the code tells.
    """
    fault = faults.decode(response.status, response.body)
    kind: type[SidecarError] = SidecarError
    if fault.code.endswith("_NOT_FOUND") or response.status == NOT_FOUND:
        kind = NotFound
    elif response.status == CONFLICT and fault.code in WRITES:
        kind = EtagMismatch
    return kind(
        f"{fault.message} ({fault.code or 'no error code'}, status {response.status})",
        code=fault.code,
        status=response.status,
        details=fault.details,
    )


def not_ready(address: str, response: HttpResponse) -> SidecarUnavailable:
    """Return the exception for a health answer that is not the good one."""
    fault = faults.decode(response.status, response.body)
    return SidecarUnavailable(
        f"the sidecar at {address} is not ready: it answered its health check with status "
        f"{response.status} {fault.code}".rstrip(),
        code=fault.code,
        status=response.status,
    )
