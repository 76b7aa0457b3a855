"""The state methods: get, save, delete, bulk, transactions, queries."""

from collections.abc import Mapping

from daprflow.protocol import faults, messages
from daprflow.protocol.gojson import GoJsonError, normalise_whole
from daprflow.protocol.state import StateOptions
from daprflow.sidecar.blocks.state import StateChange, expiry_text
from daprflow.sidecar.components.base import ComponentError, StoredValue
from daprflow.sidecar.grpc_api.call import GrpcCall, Method

_JSON = "application/json"
_CONCURRENCY = {1: "first-write", 2: "last-write"}
_CONSISTENCY = {1: "eventual", 2: "strong"}
_NO_OPTIONS = StateOptions()


async def _get(call: GrpcCall, request: messages.GetStateRequest) -> messages.GetStateResponse:
    found = await call.runtime.state.get(request.store_name, request.key)
    if found is None:
        return messages.GetStateResponse()
    answer = messages.GetStateResponse(data=found.data, etag=found.etag)
    if found.expires is not None:
        answer.metadata["ttlExpireTime"] = expiry_text(found.expires)
    return answer


async def _get_bulk(
    call: GrpcCall, request: messages.GetBulkStateRequest
) -> messages.GetBulkStateResponse:
    block, keys = call.runtime.state, list(request.keys)
    block.require(request.store_name)
    found = await block.get_many(request.store_name, keys) if keys else []
    return messages.GetBulkStateResponse(items=[_item(key, value) for key, value in found])


async def _save(call: GrpcCall, request: messages.SaveStateRequest) -> messages.Empty:
    block, store = call.runtime.state, request.store_name
    block.require(store)
    changes = []
    for item in request.states:
        if not item.key:
            raise faults.state_key_missing()
        block.check(store, item.key)
        changes.append(_upsert(item))
    if changes:
        await block.save(store, changes)
    return messages.Empty()


async def _delete(call: GrpcCall, request: messages.DeleteStateRequest) -> messages.Empty:
    etag = request.etag.value if request.HasField("etag") else None
    options = _options(request.options)
    change = StateChange(request.key, None, etag, request.metadata, options)
    await call.runtime.state.delete(request.store_name, change)
    return messages.Empty()


async def _delete_bulk(call: GrpcCall, request: messages.DeleteBulkStateRequest) -> messages.Empty:
    block, store = call.runtime.state, request.store_name
    block.require(store)
    if request.states:
        await block.delete_many(store, [_change(item, None) for item in request.states])
    return messages.Empty()


async def _transact(
    call: GrpcCall, request: messages.ExecuteStateTransactionRequest
) -> messages.Empty:
    block, store = call.runtime.state, request.storeName
    block.require(store)
    changes = []
    for operation in request.operations:
        block.check(store, operation.request.key)
        changes.append(_operation(operation))
    await block.transact(store, changes, call.trace)
    return messages.Empty()


async def _query(
    call: GrpcCall, request: messages.QueryStateRequest
) -> messages.QueryStateResponse:
    store = request.store_name
    found = await call.runtime.state.query(store, request.query.encode(), request.metadata)
    items = [
        messages.QueryStateItem(key=key, data=value.data, etag=value.etag)
        for key, value in found.items
    ]
    return messages.QueryStateResponse(results=items, token=found.token)


def _upsert(item: messages.StateItem) -> StateChange:
    value = item.value
    if item.metadata.get("contentType") == _JSON:
        try:
            value = normalise_whole(value)
        except GoJsonError as error:
            raise faults.state_not_json(str(error)) from error
    return _change(item, value)


def _operation(operation: messages.TransactionalStateOperation) -> StateChange:
    if operation.operationType == "upsert":
        return _change(operation.request, operation.request.value)
    if operation.operationType == "delete":
        return _change(operation.request, None)
    raise faults.state_operation_unsupported(operation.operationType)


def _change(item: messages.StateItem, data: bytes | None) -> StateChange:
    etag = item.etag.value if item.HasField("etag") else None
    options = _options(item.options) if item.HasField("options") else _NO_OPTIONS
    return StateChange(item.key, data, etag, item.metadata, options, raw=True)


def _options(options: messages.StateOptions) -> StateOptions:
    return StateOptions(
        _CONCURRENCY.get(options.concurrency, ""), _CONSISTENCY.get(options.consistency, "")
    )


def _item(key: str, value: StoredValue | ComponentError | None) -> messages.BulkStateItem:
    if value is None:
        return messages.BulkStateItem(key=key)
    if isinstance(value, ComponentError):
        return messages.BulkStateItem(key=key, error=str(value))
    item = messages.BulkStateItem(key=key, data=value.data, etag=value.etag)
    if value.expires is not None:
        item.metadata["ttlExpireTime"] = expiry_text(value.expires)
    return item


METHODS: Mapping[str, Method] = {
    "GetState": Method(_get, messages.GetStateRequest),
    "GetBulkState": Method(_get_bulk, messages.GetBulkStateRequest),
    "SaveState": Method(_save, messages.SaveStateRequest, whole=True),
    "DeleteState": Method(_delete, messages.DeleteStateRequest, whole=True),
    "DeleteBulkState": Method(_delete_bulk, messages.DeleteBulkStateRequest, whole=True),
    "ExecuteStateTransaction": Method(
        _transact, messages.ExecuteStateTransactionRequest, whole=True
    ),
    "QueryStateAlpha1": Method(_query, messages.QueryStateRequest),
}
