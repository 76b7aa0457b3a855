"""What an app keeps in a state store, for a test to look at."""

from typing import Any, cast

import msgspec

from daprflow.addresses import type_name
from daprflow.handlers.codecs import Codecs
from daprflow.sidecar.blocks.state import SEPARATOR, key_prefix
from daprflow.sidecar.components.base import ListingStore, StateStore
from daprflow.sidecar.resiliency.guard import unguarded
from daprflow.sidecar.runtime import Runtime


async def saved(runtime: Runtime, store: str, kind: Any, codecs: Codecs) -> dict[str, Any]:
    """Return every value of an app in a store, by key.

    Raises:
        LookupError: there is no such store, or it cannot tell its keys.
        AssertionError: a value is none of ``kind``.
    """
    loaded = [each for each in runtime.components if each.kind == "state"]
    found = next((each for each in loaded if each.resource.name == store), None)
    if found is None:
        known = ", ".join(f"'{each.resource.name}'" for each in loaded) or "none"
        raise LookupError(f"there is no state store '{store}'; there is {known}")
    component = unguarded(found.instance)
    if not isinstance(component, ListingStore):
        text = f"state store '{store}' ({found.resource.type}) cannot tell its keys"
        raise LookupError(text)  # noqa: TRY004 - the name names one that cannot do it
    reading = cast("StateStore", component)
    prefix = key_prefix(found.context, runtime.app_id, runtime.options.namespace)
    values = {}
    for full in await component.keys(prefix, ""):
        key = full.removeprefix(prefix)
        item = None if SEPARATOR in key else await reading.get(full)
        if item is not None:
            values[key] = value_of(item.data, kind, codecs, f"'{key}' of state store '{store}'")
    return values


def value_of(data: bytes, kind: Any, codecs: Codecs, what: str) -> Any:
    """Return stored data as a test asked for them.

    Raises:
        AssertionError: they are none of ``kind``.
    """
    if kind is bytes:
        return data
    if kind is Any:
        return _plain(data)
    try:
        return codecs.decoder(kind).decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise AssertionError(f"{what} is no '{type_name(kind)}'") from None


def _plain(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
