"""Dapr's faults as statuses of gRPC, with their details."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from daprflow.protocol import details, messages
from daprflow.protocol.fault import Fault
from daprflow.protocol.grpc_codes import Code

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
"""The codes of the library by their number."""

_DETAILS_KEY = "grpc-status-details-bin"
_WITH_INFO = frozenset(
    {
        "ERR_CONFIGURATION_GET",
        "ERR_CONFIGURATION_STORE_NOT_CONFIGURED",
        "ERR_CONFIGURATION_STORE_NOT_FOUND",
        "ERR_CONFIGURATION_SUBSCRIBE",
        "ERR_INVOKE_OUTPUT_BINDING",
        "ERR_NOT_SUPPORTED_STATE_OPERATION",
        "ERR_STATE_BULK_DELETE",
        "ERR_STATE_DELETE",
        "ERR_STATE_GET",
        "ERR_STATE_SAVE",
        "ERR_STATE_TRANSACTION",
    }
)
"""Codes of plain faults that the real runtime gives as a detail over gRPC."""

_STORE_REASONS = frozenset({"DAPR_STATE_NOT_FOUND", "DAPR_STATE_NOT_CONFIGURED"})


@dataclass(frozen=True, slots=True)
class Failure:
    """How a call ends that failed."""

    code: grpc.StatusCode
    text: str
    trailers: tuple[tuple[str, str | bytes], ...] = ()


def failure_of(fault: Fault) -> Failure:
    """Return how a call ends with this fault: its code, its text and, if it is rich, details."""
    fault = fault.over_grpc
    found = [_message(detail) for detail in fault.details]
    if fault.code in _WITH_INFO:
        found = [messages.ErrorInfo(reason=fault.code, domain="dapr.io")]
    if not found:
        return Failure(STATUS_CODES[fault.grpc], fault.message)
    return failure(fault.grpc, fault.message, found)


def failure(code: int, text: str, found: "Sequence[messages.Message]") -> Failure:
    """Return how a call ends with these details, as Google's error model has them."""
    status = messages.RpcStatus(code=code, message=text)
    for detail in found:
        status.details.add().Pack(detail)
    packed = (_DETAILS_KEY, status.SerializeToString())
    return Failure(STATUS_CODES[code], text, (packed,))


def internal() -> Failure:
    """Return how a call ends that met a mistake of ours."""
    return Failure(STATUS_CODES[Code.INTERNAL], "the sidecar failed; see its log")


def _message(detail: details.Known) -> messages.Message:
    made: messages.Message
    match detail:
        case details.ErrorInfo(domain=domain, reason=reason):
            metadata = dict(detail.metadata or {})
            if reason in _STORE_REASONS:
                metadata.pop("appID", None)  # the real runtime names the app over HTTP only
            made = messages.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
        case details.ResourceInfo():
            made = messages.ResourceInfo(
                resource_type=detail.resource_type,
                resource_name=detail.resource_name,
                owner=detail.owner,
                description=detail.description,
            )
        case details.BadRequest():
            fields = [
                messages.BadRequest.FieldViolation(field=each.field, description=each.description)
                for each in detail.field_violations
            ]
            made = messages.BadRequest(field_violations=fields)
        case details.Help():
            links = [
                messages.Help.Link(description=each.description, url=each.url)
                for each in detail.links
            ]
            made = messages.Help(links=links)
    return made
