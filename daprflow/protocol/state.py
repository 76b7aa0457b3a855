"""What an app asks of a state store: the bodies of its calls and the requests that carry them."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from daprflow.protocol.http import JSON, Headers, HttpRequest
from daprflow.protocol.operations import NO_METADATA, segment

_JSON: Headers = (("content-type", JSON),)


class StateOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a write is done: ``first-write`` or ``last-write``, ``strong`` or ``eventual``."""

    concurrency: str = ""
    consistency: str = ""


NO_OPTIONS = StateOptions()


class StateItem(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One write; ``value`` is JSON as it came, absent means null."""

    key: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")
    etag: str | None = None
    metadata: dict[str, str] | None = None
    options: StateOptions | None = None


class StateOperation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a transaction: ``upsert`` or ``delete``."""

    operation: str = ""
    request: StateItem = StateItem()


class StateTransaction(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The body of a state transaction."""

    operations: tuple[StateOperation, ...] = ()
    metadata: dict[str, str] | None = None


class BulkGet(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The body of a bulk get."""

    keys: tuple[str, ...] = ()
    parallelism: int = 0
    metadata: dict[str, str] | None = None


class BulkGetItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a bulk get's answer; a missing key has nothing but its key."""

    key: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    etag: str | None = None
    metadata: dict[str, str] | None = None
    error: str = ""


class QueryItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a query's answer."""

    key: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    etag: str | None = None
    error: str = ""


class QueryAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A query's answer; ``token`` asks for what follows."""

    results: tuple[QueryItem, ...] = ()
    token: str = ""
    metadata: dict[str, str] | None = None


def get(
    store: str, key: str, consistency: str = "", metadata: Mapping[str, str] = NO_METADATA
) -> HttpRequest:
    """Return the request that reads one key."""
    target = f"/v1.0/state/{segment(store)}/{segment(key)}"
    if consistency or metadata:
        target += _query(metadata, StateOptions("", consistency))
    return HttpRequest("GET", target)


def get_many(store: str, asked: BulkGet) -> HttpRequest:
    """Return the request that reads several keys; its metadata go in the query."""
    body = msgspec.json.encode(msgspec.structs.replace(asked, metadata=None))
    target = f"/v1.0/state/{segment(store)}/bulk{_query(asked.metadata or NO_METADATA)}"
    return HttpRequest("POST", target, _JSON, body)


def save(store: str, items: tuple[StateItem, ...]) -> HttpRequest:
    """Return the request that writes ``items``."""
    return HttpRequest("POST", f"/v1.0/state/{segment(store)}", _JSON, msgspec.json.encode(items))


def delete(store: str, item: StateItem) -> HttpRequest:
    """Return the request that deletes one key; ``item`` has no value."""
    headers: Headers = (("if-match", item.etag),) if item.etag else ()
    target = f"/v1.0/state/{segment(store)}/{segment(item.key)}"
    if item.metadata or item.options:
        target += _query(item.metadata or NO_METADATA, item.options or NO_OPTIONS)
    return HttpRequest("DELETE", target, headers)


def transact(store: str, transaction: StateTransaction) -> HttpRequest:
    """Return the request that does every operation or none."""
    target = f"/v1.0/state/{segment(store)}/transaction"
    return HttpRequest("POST", target, _JSON, msgspec.json.encode(transaction))


def query(store: str, body: bytes, metadata: Mapping[str, str] = NO_METADATA) -> HttpRequest:
    """Return the request that searches a store; ``body`` is the query as JSON."""
    target = f"/v1.0-alpha1/state/{segment(store)}/query{_query(metadata)}"
    return HttpRequest("POST", target, _JSON, body)


def _query(metadata: Mapping[str, str], options: StateOptions = NO_OPTIONS) -> str:
    """Return metadata and options as a query string with its ``?``; empty where there is none."""
    pairs = [(f"metadata.{name}", value) for name, value in metadata.items()]
    if options.concurrency:
        pairs.append(("concurrency", options.concurrency))
    if options.consistency:
        pairs.append(("consistency", options.consistency))
    if not pairs:
        return ""
    return "?" + "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs
    )
