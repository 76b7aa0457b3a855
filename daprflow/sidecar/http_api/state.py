"""``/v1.0/state/…``: get, save, delete, bulk get, transactions, queries."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from daprflow.protocol import faults
from daprflow.protocol.gojson import GoJsonError, decode_go, encode_go, normalise
from daprflow.protocol.state import (
    BulkGet,
    BulkGetItem,
    QueryAnswer,
    QueryItem,
    StateItem,
    StateOperation,
    StateOptions,
    StateTransaction,
)
from daprflow.sidecar.blocks.pubsub_publish import Trace
from daprflow.sidecar.blocks.state import StateBlock, StateChange, expiry_text
from daprflow.sidecar.components.base import ComponentError, StoredValue
from daprflow.sidecar.http_api.call import DONE, JSON_TYPE, Answer, Call, json_answer
from daprflow.sidecar.http_api.trace import parent_of

Handler = Callable[[Call], Awaitable[Answer]]

_WRITES = frozenset({"POST", "PUT"})
_STORE, _KEY = 3, 4
_items = msgspec.json.Decoder(tuple[StateItem, ...] | None)
_bulk_get = msgspec.json.Decoder(BulkGet | None)
_transaction = msgspec.json.Decoder(StateTransaction | None)
_NO_OPTIONS = StateOptions()
_REQUEST = "stateTransactionRequestBodyOperation.operations.request"
_EXPIRES = b"metadata.ttlexpiretime"


async def handle(call: Call) -> Answer | None:
    """Serve one state call, None where no route fits."""
    version, size = call.segments[0], len(call.segments)
    if size == _STORE:
        return await _save(call) if version == b"v1.0" and call.method in _WRITES else None
    if size != _KEY:
        return None
    if call.method in _WRITES:
        special = _SPECIAL.get((version, call.segments[3]))
        return await special(call) if special is not None else None
    plain = _PLAIN.get(call.method)
    return await plain(call) if plain is not None and version == b"v1.0" else None


async def _get(call: Call) -> Answer:
    found = await _block(call).get(call.segment(2), call.segment(3))
    if found is None:
        return DONE
    etag = (b"etag", found.etag.encode("latin-1"))
    if found.expires is None:
        return Answer(200, found.data, (JSON_TYPE, etag))
    expires = (_EXPIRES, expiry_text(found.expires).encode("ascii"))
    return Answer(200, found.data, (JSON_TYPE, etag, expires))


async def _save(call: Call) -> Answer:
    block, store = _block(call), call.segment(2)
    block.require(store)
    try:
        body = await call.body(faults.malformed)
        items = decode_go(_items, body, "[]state.SetRequest", "SetRequest")
        if not items:
            return DONE
        metadata = call.metadata()
        changes = [_upsert(item, metadata) for item in items]
    except GoJsonError as error:
        raise faults.malformed(str(error)) from None
    await block.save(store, changes)
    return DONE


async def _delete(call: Call) -> Answer:
    query = call.query()
    options = StateOptions(query.get("concurrency", ""), query.get("consistency", ""))
    etag = call.header(b"if-match") or None
    change = StateChange(call.segment(3), None, etag, call.metadata(), options)
    await _block(call).delete(call.segment(2), change)
    return DONE


async def _get_many(call: Call) -> Answer:
    block, store = _block(call), call.segment(2)
    block.require(store)
    try:
        body = await call.body(faults.malformed_body)
        asked = decode_go(_bulk_get, body, "http.BulkGetRequest", "BulkGetRequest") or BulkGet()
    except GoJsonError as error:
        raise faults.malformed_body(str(error)) from None
    found = await block.get_many(store, asked.keys)
    try:
        items = [_entry(key, value) for key, value in found]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json_answer(b"")  # Go's encoder fails after the status has gone out
    return json_answer(encode_go(items) + b"\n")


async def _transact(call: Call) -> Answer:
    block, store = _block(call), call.segment(2)
    block.require(store)
    try:
        body = await call.body(faults.malformed_body)
        asked = decode_go(
            _transaction, body, "http.stateTransactionRequestBody", "OperationRequest"
        )
        metadata = call.metadata()
        operations = asked.operations if asked is not None else ()
        changes = [_operation(operation, metadata) for operation in operations]
    except GoJsonError as error:
        raise faults.malformed_body(str(error)) from None
    await block.transact(store, changes, Trace(*parent_of(call)))
    return DONE


async def _query(call: Call) -> Answer:
    block, store = _block(call), call.segment(2)
    block.require(store)
    found = await block.query(store, await call.body(), call.metadata())
    if not found.items:
        return DONE
    try:
        results = tuple(
            QueryItem(key, msgspec.Raw(msgspec.json.format(value.data, indent=-1)), value.etag)
            for key, value in found.items
        )
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json_answer(b"")  # as for a bulk get
    return json_answer(encode_go(QueryAnswer(results, found.token)) + b"\n")


def _block(call: Call) -> StateBlock:
    return call.runtime.state


def _upsert(item: StateItem, metadata: Mapping[str, str]) -> StateChange:
    if not item.key:
        raise faults.malformed('"key" is a required field')
    return _change(item, normalise(item.value, "SetRequest.value"), metadata)


def _operation(operation: StateOperation, metadata: Mapping[str, str]) -> StateChange:
    if operation.operation == "upsert":
        return _change(operation.request, normalise(operation.request.value, _REQUEST), metadata)
    if operation.operation == "delete":
        return _change(operation.request, None, metadata)
    raise faults.state_operation_unsupported(operation.operation)


def _change(item: StateItem, data: bytes | None, metadata: Mapping[str, str]) -> StateChange:
    merged = {**(item.metadata or {}), **metadata} if metadata else item.metadata
    return StateChange(item.key, data, item.etag, merged, item.options or _NO_OPTIONS)


def _entry(key: str, value: StoredValue | ComponentError | None) -> BulkGetItem:
    if value is None:
        return BulkGetItem(key)
    if isinstance(value, ComponentError):
        return BulkGetItem(key, error=str(value))
    data = msgspec.Raw(msgspec.json.format(value.data, indent=-1))
    if value.expires is None:
        return BulkGetItem(key, data, value.etag)
    return BulkGetItem(key, data, value.etag, {"ttlExpireTime": expiry_text(value.expires)})


_PLAIN: Mapping[str, Handler] = {"GET": _get, "DELETE": _delete}
_SPECIAL: Mapping[tuple[bytes, bytes], Handler] = {
    (b"v1.0", b"bulk"): _get_many,
    (b"v1.0", b"transaction"): _transact,
    (b"v1.0-alpha1", b"query"): _query,
}
