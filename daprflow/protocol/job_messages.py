"""A job's data between protobuf and what is kept of it."""

import json

import msgspec

from daprflow.protocol import messages
from daprflow.protocol.gojson import canonical
from daprflow.protocol.jobs import VALUE_TYPE, JobRequest, PackedData


def with_data(job: JobRequest, data: messages.AnyMessage) -> JobRequest:
    """Return ``job`` with the data of a call over gRPC: JSON where it is a ``Value``."""
    if data.type_url == VALUE_TYPE and (value := _json_of_value(data)) is not None:
        return msgspec.structs.replace(job, data=msgspec.Raw(value))
    return msgspec.structs.replace(job, packed=PackedData(data.type_url, data.value))


def data_of(job: JobRequest) -> messages.AnyMessage | None:
    """Return a job's data as gRPC has it, None where it has none."""
    if job.packed is not None:
        return messages.AnyMessage(type_url=job.packed.type, value=job.packed.value)
    if job.data is msgspec.UNSET:
        return None
    data = messages.AnyMessage()
    data.Pack(messages.ParseDict(json.loads(bytes(job.data)), messages.Value()))
    return data


def json_of(packed: PackedData) -> bytes:
    """Return data that is no ``Value`` in protobuf's JSON, with its type.

    Raises:
        ValueError: its type is not known here, or it is not of its type.
    """
    data = messages.AnyMessage(type_url=packed.type, value=packed.value)
    try:
        return json.dumps(messages.MessageToDict(data)).encode()
    except (TypeError, messages.DecodeError, messages.JsonFormatError) as error:
        kind = packed.type.rpartition("/")[2] or packed.type
        text = f'google.protobuf.Any: unable to resolve "{kind}": not found'
        raise ValueError(text) from error


def _json_of_value(data: messages.AnyMessage) -> bytes | None:
    value = messages.Value()
    try:
        data.Unpack(value)
        if value.WhichOneof("kind") is None:
            return None
        return canonical(json.dumps(messages.MessageToDict(value)).encode())
    except (ValueError, messages.DecodeError, messages.JsonFormatError):
        return None
