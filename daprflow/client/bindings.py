"""Output bindings."""

from collections.abc import Mapping

import msgspec

from daprflow.client.caller import Caller
from daprflow.protocol import operations
from daprflow.protocol.operations import BindingCall


async def call(
    caller: Caller, name: str, operation: str, data: object, metadata: Mapping[str, str] | None
) -> bytes:
    """Have the binding ``name`` do ``operation`` and return what it answered."""
    body = BindingCall(
        operation=operation,
        data=msgspec.UNSET if data is None else msgspec.Raw(caller.codecs.encode(data)),
        metadata=dict(metadata) if metadata else None,
    )
    response = await caller.call(operations.call_binding(name, body))
    return response.body
