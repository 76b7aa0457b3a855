"""``/daprflow/…``: what the embedded sidecar answers beside Dapr's API, for its own commands.

It is guarded as the rest is: loopback, no web pages, the API token.
"""

import msgspec

from daprflow.protocol import faults
from daprflow.protocol.configuration import ConfigurationItem
from daprflow.protocol.fault import Fault
from daprflow.protocol.own import KeysPage
from daprflow.sidecar.components.base import ComponentError, EditableConfiguration
from daprflow.sidecar.http_api.call import DONE, Answer, Call, json_answer
from daprflow.sidecar.runtime import Runtime

_STORES, _STORE, _ITEM = 2, 3, 4
_item = msgspec.json.Decoder(ConfigurationItem)


async def handle(call: Call) -> Answer | None:
    """Serve one call, None where no route fits."""
    if call.segments[1:2] == [b"state"] and len(call.segments) == _STORE and call.method == "GET":
        return await _keys(call)
    if call.segments[1:2] != [b"configuration"]:
        return None
    if call.method == "GET" and len(call.segments) == _STORES:
        return json_answer(msgspec.json.encode(sorted(_stores(call))))
    if len(call.segments) >= _ITEM and call.method in {"PUT", "DELETE"}:
        return await _change(call)
    return None


async def _keys(call: Call) -> Answer | None:
    """List the keys of a state store; ``prefix`` and ``limit`` are in the query."""
    access = call.runtime.api_access
    if access is not None and not access.permits("v1.0", "state"):
        return None
    query = call.query()
    limit = query.get("limit", "")
    keys = await call.runtime.state.keys(call.segment(2), query.get("prefix", ""))
    most = int(limit) if limit.isdecimal() else len(keys)
    page = KeysPage(tuple(keys[:most]), len(keys) > most)
    return json_answer(msgspec.json.encode(page))


async def _change(call: Call) -> Answer:
    """Set or remove one item; its key is the rest of the path."""
    store, key = call.segment(2), call.rest(3)
    editable = _editable(call, store)
    try:
        if call.method == "PUT":
            item = _item.decode(await call.body())
            await editable.put(key, item.value, item.version)
        elif not await editable.remove(key):
            text = f"there is no item '{key}' in configuration store '{store}'"
            raise Fault(404, "ERR_CONFIGURATION_ITEM_NOT_FOUND", text)
    except msgspec.MsgspecError as error:
        raise faults.malformed(str(error)) from None
    except ComponentError as error:
        raise Fault(400, "ERR_CONFIGURATION_SET", str(error)) from error
    return DONE


def _runtimes(call: Call) -> list[Runtime]:
    """Return the sidecars of this run, the called one first."""
    others = call.runtime.engine.runtimes
    found = [call.runtime, *(each for each in others if each is not call.runtime)]
    return [each for each in found if each.health.outbound_ready]


def _stores(call: Call) -> dict[str, EditableConfiguration]:
    """Return the stores that can be changed here, by name."""
    return {
        name: editable
        for runtime in reversed(_runtimes(call))
        for name in runtime.configuration.names
        if (editable := runtime.configuration.editable(name)) is not None
    }


def _editable(call: Call, store: str) -> EditableConfiguration:
    stores = _stores(call)
    if store in stores:
        return stores[store]
    if any(store in runtime.configuration.names for runtime in _runtimes(call)):
        text = f"configuration store '{store}' is kept by a server of its own; change it there"
        raise Fault(400, "ERR_CONFIGURATION_SET", text)
    known = ", ".join(f"'{name}'" for name in sorted(stores)) or "none"
    text = f"there is no configuration store '{store}'; there is {known}"
    raise Fault(404, "ERR_CONFIGURATION_STORE_NOT_FOUND", text)
