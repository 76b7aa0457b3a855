"""Writes to a state store over gRPC, which keeps bytes as they are.

Import it as `daprflow.transports.grpc` is imported: it needs the library and Dapr's messages.
"""

from dataclasses import dataclass
from typing import Any

from daprflow.handlers import trace
from daprflow.protocol import messages
from daprflow.protocol.http import Headers
from daprflow.protocol.state import StateItem, StateTransaction
from daprflow.transports.grpc import AioRpcError, Channel
from daprflow.transports.grpc_errors import refused

_SERVICE = "/dapr.proto.runtime.v1.Dapr/"
_CONCURRENCY = {
    "first-write": messages.StateOptions.CONCURRENCY_FIRST_WRITE,
    "last-write": messages.StateOptions.CONCURRENCY_LAST_WRITE,
}
_CONSISTENCY = {
    "eventual": messages.StateOptions.CONSISTENCY_EVENTUAL,
    "strong": messages.StateOptions.CONSISTENCY_STRONG,
}


@dataclass(frozen=True, slots=True)
class Way:
    """How a call goes: on which channel, with which token (empty for none), how long (seconds)."""

    channel: Channel
    token: str
    seconds: float | None
    headers: Headers = ()


async def save(way: Way, store: str, items: tuple[StateItem, ...]) -> None:
    """Write items, each for itself.

    Raises:
        CallRefused: the sidecar or the store refused, or did not answer in time.
    """
    states = [_item(each) for each in items]
    request = messages.SaveStateRequest(store_name=store, states=states)
    await _call(way, "SaveState", request)


async def transact(way: Way, store: str, transaction: StateTransaction) -> None:
    """Do every operation or none.

    Raises:
        CallRefused: as for `save`.
    """
    operations = [
        messages.TransactionalStateOperation(
            operationType=each.operation, request=_item(each.request)
        )
        for each in transaction.operations
    ]
    request = messages.ExecuteStateTransactionRequest(
        storeName=store, operations=operations, metadata=transaction.metadata or {}
    )
    await _call(way, "ExecuteStateTransaction", request)


async def _call(way: Way, method: str, request: messages.Message) -> None:
    metadata = [("dapr-api-token", way.token)] if way.token else []
    metadata += way.headers
    metadata += trace.missing(way.headers)
    send: Any = way.channel.unary_unary(
        _SERVICE + method,
        request_serializer=type(request).SerializeToString,
        response_deserializer=messages.Empty.FromString,
    )
    try:
        await send(request, timeout=way.seconds, metadata=metadata)
    except AioRpcError as error:
        raise refused(error) from None


def _item(item: StateItem) -> messages.StateItem:
    made = messages.StateItem(key=item.key, value=bytes(item.value), metadata=item.metadata or {})
    if item.etag is not None:
        made.etag.value = item.etag
    if item.options is not None:
        made.options.concurrency = _CONCURRENCY.get(
            item.options.concurrency, messages.StateOptions.CONCURRENCY_UNSPECIFIED
        )
        made.options.consistency = _CONSISTENCY.get(
            item.options.consistency, messages.StateOptions.CONSISTENCY_UNSPECIFIED
        )
    return made
