"""A state store as the conformance rows see it, reached in one of several ways."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from daprflow.protocol.http import Exchange, HttpRequest, HttpResponse
from daprflow.sidecar.components.base import (
    ComponentError,
    EtagConflict,
    EtagInvalid,
    StateStore,
    StateWrite,
    StoredValue,
)


class Mismatch(Exception):  # noqa: N818 - named for what happened
    """A write was refused for its ETag."""


class Refused(Exception):  # noqa: N818 - named for what happened
    """An operation was refused for another reason; ``status`` is 0 below HTTP."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Read:
    """A value as it was read; ``expires`` in seconds since the epoch."""

    data: bytes
    etag: str
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A write; ``data`` None deletes, ``ttl`` is the text of ``ttlInSeconds``."""

    key: str
    data: bytes | None = b"null"
    etag: str | None = None
    first_write: bool = False
    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class StoreTraits:
    """Where the real stores differ from each other, and so do ours.

    Attributes:
        second_first_write: what a second first-write without an ETag is refused as.
        rolls_back: whether a transaction that fails at one key undoes the others.
        keeps_missing_missing: whether a set with an ETag needs a stored value.
        shows_expiry: whether reads report the time of expiry.
        rewrite_ends_ttl: whether a write without a TTL removes an earlier one.
        query_error: what a query is answered with.
    """

    second_first_write: type[Exception] = Mismatch
    rolls_back: bool = True
    keeps_missing_missing: bool = True
    shows_expiry: bool = True
    rewrite_ends_ttl: bool = True
    query_error: bytes = b"ERR_STATE_STORE_NOT_SUPPORTED"


Pass = Callable[[int], Awaitable[float]]
"""Lets seconds pass for a store, and returns the time that it has then."""


class Store(Protocol):
    """What every row needs of a store."""

    traits: StoreTraits
    wait: Pass

    async def get(self, key: str) -> Read | None:
        """Return what is stored under ``key``."""
        ...

    async def get_many(self, keys: Sequence[str]) -> dict[str, Read | None]:
        """Return what is stored under each of ``keys``."""
        ...

    async def write(self, item: Item) -> None:
        """Do one write."""
        ...

    async def write_many(self, items: Sequence[Item]) -> list[Exception]:
        """Do several writes, each for itself, and return what was refused."""
        ...

    async def transact(self, items: Sequence[Item]) -> None:
        """Do all writes or none."""
        ...

    async def capabilities(self) -> tuple[str, ...]:
        """Return the advertised features."""
        ...


def _read(found: StoredValue | ComponentError | None) -> Read | None:
    if isinstance(found, ComponentError):
        raise found
    return None if found is None else Read(found.data, found.etag, found.expires)


class ComponentStore:
    """The component itself, without a sidecar around it."""

    def __init__(self, component: StateStore, traits: StoreTraits, wait: Pass) -> None:
        self._component = component
        self.traits = traits
        self.wait = wait

    async def get(self, key: str) -> Read | None:
        """Read one value."""
        found = await self._component.get(key)
        return _read(found)

    async def get_many(self, keys: Sequence[str]) -> dict[str, Read | None]:
        """Read several values."""
        found = await self._component.get_many(keys)
        return {key: _read(value) for key, value in zip(keys, found, strict=True)}

    async def write(self, item: Item) -> None:
        """Do one write."""
        await _translated(lambda: self._component.write(_state_write(item)))

    async def write_many(self, items: Sequence[Item]) -> list[Exception]:
        """Do several writes."""
        errors: list[Exception] = []
        for item in items:
            try:
                await self.write(item)
            except (Mismatch, Refused) as error:
                errors.append(error)
        return errors

    async def transact(self, items: Sequence[Item]) -> None:
        """Do all writes or none."""
        writes = [_state_write(item) for item in items]
        await _translated(lambda: self._component.transact(writes))

    async def capabilities(self) -> tuple[str, ...]:
        """Return the component's features."""
        return self._component.capabilities


def _state_write(item: Item) -> StateWrite:
    ttl = None if item.ttl is None else int(item.ttl)
    etag = item.etag or None
    return StateWrite(item.key, item.data, etag=etag, first_write=item.first_write, ttl=ttl)


async def _translated(operation: Callable[[], Awaitable[None]]) -> None:
    try:
        await operation()
    except EtagConflict as error:
        raise Mismatch(str(error)) from error
    except EtagInvalid as error:
        raise Mismatch(str(error)) from error
    except ComponentError as error:
        raise Refused(str(error)) from error


class SidecarStore:
    """A store behind the HTTP API of a sidecar, whichever kind of sidecar that is."""

    def __init__(self, exchange: Exchange, name: str, traits: StoreTraits, wait: Pass) -> None:
        self.exchange = exchange
        self.name = name
        self.traits = traits
        self.wait = wait

    async def call(
        self, method: str, path: str, body: Any = None, *headers: tuple[str, str]
    ) -> HttpResponse:
        """Send one request to the state API."""
        data = b"" if body is None else msgspec.json.encode(body)
        target = f"/v1.0/state/{self.name}{path}"
        pairs = (("content-type", "application/json"), *headers)
        return await self.exchange.send(HttpRequest(method, target, pairs, data))

    async def get(self, key: str) -> Read | None:
        """Read one value."""
        answer = _accepted(await self.call("GET", f"/{quote(key, safe='')}"))
        if answer.status == 204:
            assert not answer.header("etag")
            return None
        return Read(answer.body, answer.header("etag"), _moment(answer))

    async def get_many(self, keys: Sequence[str]) -> dict[str, Read | None]:
        """Read several values."""
        answer = _accepted(await self.call("POST", "/bulk", {"keys": list(keys)}))
        found: dict[str, Read | None] = {}
        for entry in msgspec.json.decode(answer.body):
            assert "error" not in entry
            expires = (entry.get("metadata") or {}).get("ttlExpireTime")
            found[entry["key"]] = (
                Read(
                    msgspec.json.encode(entry["data"]),
                    entry["etag"],
                    datetime.fromisoformat(expires).timestamp() if expires else None,
                )
                if "data" in entry
                else None
            )
            assert "data" in entry or set(entry) == {"key"}
        return found

    async def write(self, item: Item) -> None:
        """Do one write."""
        if item.data is not None:
            _accepted(await self.call("POST", "", [_document(item)]))
            return
        headers = [("if-match", item.etag)] if item.etag else []
        query = "?concurrency=first-write" if item.first_write else ""
        _accepted(await self.call("DELETE", f"/{quote(item.key, safe='')}{query}", None, *headers))

    async def write_many(self, items: Sequence[Item]) -> list[Exception]:
        """Do several writes: one request where the API has one, which is for saving."""
        if any(item.data is None for item in items):
            return [error for item in items for error in await self._refusal(item)]
        try:
            _accepted(await self.call("POST", "", [_document(item) for item in items]))
        except (Mismatch, Refused) as error:
            return [error]
        return []

    async def _refusal(self, item: Item) -> list[Exception]:
        try:
            await self.write(item)
        except (Mismatch, Refused) as error:
            return [error]
        return []

    async def transact(self, items: Sequence[Item]) -> None:
        """Do all writes or none."""
        operations = [
            {
                "operation": "delete" if item.data is None else "upsert",
                "request": _document(item),
            }
            for item in items
        ]
        _accepted(await self.call("POST", "/transaction", {"operations": operations}))

    async def capabilities(self) -> tuple[str, ...]:
        """Return the features that the metadata API shows."""
        answer = await self.exchange.send(HttpRequest("GET", "/v1.0/metadata"))
        components = msgspec.json.decode(answer.body)["components"]
        return next(tuple(c.get("capabilities", ())) for c in components if c["name"] == self.name)


def _document(item: Item) -> dict[str, Any]:
    document: dict[str, Any] = {"key": item.key}
    if item.data is not None:
        document["value"] = msgspec.Raw(item.data)
    if item.etag is not None:
        document["etag"] = item.etag
    if item.first_write:
        document["options"] = {"concurrency": "first-write"}
    if item.ttl is not None:
        document["metadata"] = {"ttlInSeconds": item.ttl}
    return document


def _moment(answer: HttpResponse) -> float | None:
    text = answer.header("metadata.ttlexpiretime")
    return datetime.fromisoformat(text).timestamp() if text else None


def _accepted(answer: HttpResponse) -> HttpResponse:
    if answer.status < 300:
        return answer
    error = msgspec.json.decode(answer.body)
    if "possible etag mismatch" in error["message"] or "invalid etag" in error["message"]:
        assert answer.status in {400, 409} or error["errorCode"] == "ERR_STATE_TRANSACTION"
        raise Mismatch(error["message"])
    raise Refused(error["message"], answer.status, error["errorCode"])
