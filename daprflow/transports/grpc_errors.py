"""Errors of gRPC calls of a sidecar, in the terms that the same errors have over HTTP."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from daprflow.protocol import details, messages
from daprflow.protocol.details import Detail
from daprflow.protocol.fault import FaultText
from daprflow.protocol.grpc_codes import Code, http_status
from daprflow.transports.events import CallRefused

if TYPE_CHECKING:
    from daprflow.transports.grpc import AioRpcError

DETAILS = "grpc-status-details-bin"

BY_REASON = {
    "DAPR_STATE_NOT_CONFIGURED": ("ERR_STATE_STORE_NOT_CONFIGURED", 500),
    "DAPR_STATE_NOT_FOUND": ("ERR_STATE_STORE_NOT_FOUND", 400),
    "DAPR_STATE_ILLEGAL_KEY": ("ERR_MALFORMED_REQUEST", 400),
    "DAPR_STATE_QUERYING_NOT_SUPPORTED": ("ERR_STATE_STORE_NOT_SUPPORTED", 500),
    "DAPR_STATE_QUERY_FAILED": ("ERR_STATE_QUERY", 500),
    "DAPR_PUBSUB_NOT_CONFIGURED": ("ERR_PUBSUB_NOT_CONFIGURED", 400),
    "DAPR_PUBSUB_NOT_FOUND": ("ERR_PUBSUB_NOT_FOUND", 404),
    "DAPR_PUBSUB_FORBIDDEN": ("ERR_PUBSUB_FORBIDDEN", 403),
    "DAPR_PUBSUB_METADATA_DESERIALIZATION": ("ERR_PUBSUB_REQUEST_METADATA", 400),
    "DAPR_PUBSUB_CLOUD_EVENT_CREATION": ("ERR_PUBSUB_CLOUD_EVENTS_SER", 500),
    "DAPR_PUBSUB_PUBLISH_MESSAGE": ("ERR_PUBSUB_PUBLISH_MESSAGE", 500),
    "DAPR_PUBSUB_MARSHAL_EVENTS": ("ERR_PUBSUB_EVENTS_SER", 400),
    "DAPR_PUBSUB_UNMARSHAL_EVENTS": ("ERR_PUBSUB_EVENTS_SER", 400),
}
"""Code and status over HTTP by the reason, which is the same over gRPC."""


def refused(error: "AioRpcError") -> CallRefused:
    """Return what a failed call says: code, message, details and status as over HTTP."""
    number: int = error.code().value[0]
    found = tuple(_details(error.trailing_metadata()))
    code, status = _code_and_status(number, found)
    fault = FaultText(code, error.details() or f"the call ended with {error.code().name}", found)
    return CallRefused(status, fault, unavailable=number == Code.UNAVAILABLE)


def _code_and_status(number: int, found: tuple[Detail, ...]) -> tuple[str, int]:
    info = next((each for each in found if isinstance(each, details.ErrorInfo)), None)
    status = http_status(number)
    if info is None:
        return "", status
    said = (info.metadata or {}).get("http.code", "")
    if said.isascii() and said.isdigit():
        return "", int(said)
    known = BY_REASON.get(info.reason)
    if known is not None:
        return known
    return (info.reason, status) if info.reason.startswith(("ERR_", "DAPR_")) else ("", status)


def _details(trailers: Any) -> Iterable[Detail]:
    """Read the rich details, none where they are missing or broken."""
    packed = next((value for name, value in trailers or () if name == DETAILS), b"")
    try:
        status = messages.RpcStatus.FromString(packed)
        return [_detail(each) for each in status.details]
    except messages.DecodeError:
        return ()


def _detail(packed: messages.AnyMessage) -> Detail:
    kind = packed.TypeName()
    match kind.rpartition(".")[2]:
        case "ErrorInfo":
            info = messages.ErrorInfo.FromString(packed.value)
            return details.ErrorInfo(info.domain, dict(info.metadata) or None, info.reason)
        case "ResourceInfo":
            found = messages.ResourceInfo.FromString(packed.value)
            return details.ResourceInfo(
                found.description, found.owner, found.resource_name, found.resource_type
            )
        case "BadRequest":
            wrong = messages.BadRequest.FromString(packed.value)
            return details.BadRequest(
                tuple(
                    details.FieldViolation(each.field, each.description)
                    for each in wrong.field_violations
                )
            )
        case "Help":
            links = messages.Help.FromString(packed.value).links
            return details.Help(
                tuple(details.HelpLink(each.description, each.url) for each in links)
            )
        case _:
            known = msgspec.json.encode({"@type": packed.type_url})
            return details.OtherDetail(packed.type_url, known)
