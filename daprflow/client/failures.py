"""Error answers of a sidecar as exceptions."""

import re

from daprflow.client import hints
from daprflow.client.releases import Feature
from daprflow.errors import EtagMismatch, NotFound, SidecarError, SidecarUnavailable
from daprflow.protocol.fault import FaultText, decode
from daprflow.protocol.http import HttpResponse
from daprflow.transports.events import CallRefused

WRITES = frozenset({"ERR_STATE_SAVE", "ERR_STATE_DELETE"})
GUARDED_WRITES = WRITES | {"ERR_STATE_TRANSACTION"}
NOT_FOUND = 404
MISSING = ("_NOT_FOUND", "_NOT_CONFIGURED")
"""How codes end of what is not there: the component, or any of its building block."""
CONFLICT = 409
SHOWN = 300
# A text, not a pattern: re keeps what it compiled, and importing does not pay for it.
_CONFLICT = (
    r"possible etag mismatch|user_script:\d+: failed to (set key|delete)|no item was updated"
)
_TITLE = r"(?is)<title[^>]*>\s*(.*?)\s*</title>"


def succeeded(response: HttpResponse) -> bool:
    """Tell whether ``response`` is not an error."""
    return 200 <= response.status < 300  # noqa: PLR2004 - HTTP's range of success


def healthy(response: HttpResponse) -> bool:
    """Tell whether ``response`` is the health of a sidecar, and not somebody's page."""
    return succeeded(response) and not _is_page(response)


def of(response: HttpResponse) -> SidecarError:
    """Return the exception for an error answer.

    An unknown component is a 400, 401 or 404 of the runtime, by building block; the code tells.
    """
    fault = decode(response.status, response.body)
    if not fault.code and _is_page(response):
        return garbage(response, "it is an HTML page")
    return of_fault(response.status, fault)


def of_fault(status: int, fault: FaultText) -> SidecarError:
    """Return the exception for an error that a sidecar described, however it was carried."""
    kind: type[SidecarError] = SidecarError
    missing = fault.code.endswith(MISSING) or status == NOT_FOUND
    if missing or "couldn't find output binding" in fault.message:
        kind = NotFound
    elif _conflict(status, fault.code, fault.message):
        kind = EtagMismatch
    return kind(
        f"{_short(fault.message)} ({fault.code or 'no error code'}, status {status})",
        code=fault.code,
        status=status,
        details=fault.details,
        hint=hints.of(status, fault.code, fault.message)
        or (hints.LATE if kind is EtagMismatch else ""),
    )


def of_call(error: CallRefused) -> SidecarError:
    """Return the exception for a call over gRPC that failed."""
    if error.unavailable:
        text = f"no sidecar answered over gRPC: {_short(error.fault.message)}"
        return SidecarUnavailable(text, status=error.status, details=error.fault.details)
    return of_fault(error.status, error.fault)


def _conflict(status: int, code: str, message: str) -> bool:
    """Tell whether a write came too late.

    A transaction's conflict is a 500 of the runtime, and so is that of a first write in stores on
    Redis and PostgreSQL; there the text tells.
    """
    if status == CONFLICT and code in WRITES:
        return True
    return code in GUARDED_WRITES and re.search(_CONFLICT, message) is not None


def not_ready(address: str, response: HttpResponse) -> SidecarUnavailable:
    """Return the exception for a health answer that is not the good one."""
    fault = decode(response.status, response.body)
    said = f"status {response.status} {fault.code}".rstrip()
    if _is_page(response):
        said += f" and an HTML page{_titled(response)}: no sidecar listens there"
    return SidecarUnavailable(
        f"the sidecar at {address} is not ready: it answered its health check with {said}",
        code=fault.code,
        status=response.status,
    )


def garbage(response: HttpResponse, reason: str) -> SidecarError:
    """Return the exception for an answer that no sidecar gives; it holds nothing of its body."""
    page = _titled(response) if _is_page(response) else ""
    return SidecarError(
        f"the answer is not a sidecar's: {reason}{page} (status {response.status})",
        status=response.status,
        hint=hints.GARBAGE,
    )


def unexpected(response: HttpResponse, reason: str) -> SidecarError:
    """Return the exception for an answer that a component gave and nobody expected."""
    return SidecarError(f"{reason} (status {response.status})", status=response.status)


def too_old(failure: SidecarError, feature: Feature, version: str) -> SidecarError:
    """Return the exception for a call that the runtime is too old for."""
    needed = ".".join(map(str, feature.since))
    return SidecarError(
        f"{feature.name} needs Dapr {needed}; this sidecar is {version}",
        code=failure.code,
        status=failure.status,
        details=failure.details,
        hint=f"update the runtime to {needed} or later",
    )


def _is_page(response: HttpResponse) -> bool:
    return response.header("content-type").startswith("text/html")


def _titled(response: HttpResponse) -> str:
    found = re.search(_TITLE, response.body[:10_000].decode("utf-8", "replace"))
    return f" titled '{_short(found[1])}'" if found else ""


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
