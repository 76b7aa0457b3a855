"""Dapr's errors as they cross the wire: status, code, message, details; encoded and decoded."""

from collections.abc import Mapping, Sequence

import msgspec

from daprflow.protocol import details as rich
from daprflow.protocol.details import Detail, Known
from daprflow.protocol.gojson import encode_go
from daprflow.protocol.grpc_codes import Code


class _Body(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    error_code: str
    message: str
    details: tuple[Known, ...] = ()


class _ReadBody(msgspec.Struct, frozen=True, rename="camel"):
    error_code: str = ""
    message: str = ""
    details: msgspec.Raw = msgspec.Raw(b"null")


_USUAL: Mapping[int, Code] = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ABORTED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
}
"""The code of gRPC that goes with an HTTP status, where a fault does not say otherwise."""


class FailedEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of a bulk publish that was not accepted."""

    entry_id: str
    error: str


class _BulkBody(msgspec.Struct, frozen=True, rename="camel"):
    failed_entries: tuple[FailedEntry, ...]
    error_code: str


class Fault(Exception):  # noqa: N818 - Dapr's body is a fault; Error would suggest a Python failure
    """A call that ends in one of Dapr's errors.

    Attributes:
        status: the HTTP status.
        code: the ``errorCode``, such as ``ERR_STATE_GET``.
        message: the text for people.
        details: the rich details; none makes the plain body shape.
        headers: further response headers (a failing binding's metadata).
        grpc: the status code of the same fault over gRPC.
        over_grpc: the fault as it reads there, itself where that is the same.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *details: Known,
        headers: Sequence[tuple[bytes, bytes]] = (),
        grpc: Code | None = None,
        over_grpc: "Fault | None" = None,
    ) -> None:
        self.status = status
        self.over_grpc: Fault = over_grpc or self
        self.grpc: Code = _USUAL.get(status, Code.UNKNOWN) if grpc is None else grpc
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers
        super().__init__(message)

    def encode(self) -> bytes:
        """Return the JSON body, escaped as Go's encoder escapes it."""
        return encode_go(_Body(self.code, self.message, self.details))


class BulkPublishFault(Fault):
    """A bulk publish of which some entries were not accepted."""

    def __init__(self, failed: Sequence[FailedEntry]) -> None:
        self.failed: tuple[FailedEntry, ...] = tuple(failed)
        super().__init__(500, "ERR_PUBSUB_PUBLISH_MESSAGE", "some entries were not published")

    def encode(self) -> bytes:
        """Return the JSON body that lists the failed entries."""
        return encode_go(_BulkBody(self.failed, self.code))


class FaultText(msgspec.Struct, frozen=True):
    """An error body as a client reads it."""

    code: str
    message: str
    details: tuple[Detail, ...] = ()


_reader = msgspec.json.Decoder(_ReadBody)
_bulk_reader = msgspec.json.Decoder(_BulkBody)


def failed_entries(body: bytes) -> tuple[FailedEntry, ...]:
    """Read which entries of a bulk publish failed, none where the body does not say so."""
    try:
        return _bulk_reader.decode(body).failed_entries
    except msgspec.MsgspecError:
        return ()


def decode(status: int, body: bytes) -> FaultText:
    """Read an error body; whatever is not Dapr's JSON becomes the message as it stands."""
    try:
        read = _reader.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        read = None
    if read is not None and (read.error_code or read.message):
        found = rich.decode(read.details)
        return FaultText(read.error_code, read.message, found)
    text = body.decode("utf-8", "replace").strip()
    return FaultText("", text or f"the sidecar answered with status {status} and no text")
