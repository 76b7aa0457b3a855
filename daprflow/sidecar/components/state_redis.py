"""``state.redis``: a hash per key on a Redis server, shared with real runtimes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from daprflow.protocol.queries import Query
from daprflow.sidecar.components.base import (
    ComponentContext,
    ComponentError,
    EtagConflict,
    EtagInvalid,
    FoundState,
    StateWrite,
    StoredValue,
)
from daprflow.sidecar.components.redis_link import (
    Argument,
    CommandRefused,
    RedisLink,
    text_of,
)
from daprflow.sidecar.components.redis_settings import whole_number
from daprflow.sidecar.components.ttl import parse_int

# A hash has 'data', 'version', which is the ETag, and 'first-write' once written that way.
# ARGV: the expected version, 0 for none; the value; 0 where the write must be the first.
_SET = """
local function place_is_free(stored, wanted)
  if not stored or stored == '' or stored == wanted then
    return true
  end
  return wanted == '0' and not redis.call('HGET', KEYS[1], 'first-write')
end
local version = redis.pcall('HGET', KEYS[1], 'version')
if type(version) == 'table' then redis.call('DEL', KEYS[1]) version = false end
if not place_is_free(version, ARGV[1]) then
  error('failed to set key ' .. KEYS[1])
end
redis.call('HSET', KEYS[1], 'data', ARGV[2])
if ARGV[3] == '0' then redis.call('HSET', KEYS[1], 'first-write', 0) end
return redis.call('HINCRBY', KEYS[1], 'version', 1)
"""
_DELETE = """
local version = redis.pcall('HGET', KEYS[1], 'version')
local guarded = version and type(version) ~= 'table' and version ~= ''
local allowed = ARGV[1] == '0' or ARGV[1] == version
if guarded and not allowed then
  error('failed to delete ' .. KEYS[1])
end
return redis.call('DEL', KEYS[1])
"""
_ANY_VERSION = "0"
_SPECIAL = re.compile(r"[\\*?\[\]^-]")
_AT_ONCE = 1000


class RedisState:
    """Values with ETags (numbers that count writes) and expiry, on one server.

    As with the real one, a transaction that fails at one key keeps what it did before, an expiry
    is not shown by reads, and a write without a TTL leaves the key's expiry as it is.
    """

    capabilities = ("ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "ACTOR")
    missing_last = False

    def __init__(self, context: ComponentContext) -> None:
        self._link = RedisLink(context)
        self._default_ttl = whole_number(context.metadata, "ttlInSeconds", 0) or None

    async def open(self) -> None:
        """Connect."""
        await self._link.open()

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    def parse_ttl(self, text: str, /) -> int | None:
        """Read ``ttlInSeconds``; 0 and below take an expiry away."""
        try:
            return parse_int(text, "ParseInt")
        except ComponentError as error:
            raise ComponentError(f"failed to parse ttl from metadata: {error}") from None

    async def get(self, key: str, /) -> StoredValue | None:
        """Return the stored value, None when absent or expired."""
        (found,) = await self.get_many((key,))
        if isinstance(found, ComponentError):
            raise found
        return found

    async def get_many(self, keys: Sequence[str], /) -> list[StoredValue | ComponentError | None]:
        """Return the stored values in the order of ``keys``; an error for what is of no use."""
        if not keys:
            return []
        commands = [("HGETALL", key) for key in keys]
        answers = await self._link.pipeline(commands, transaction=False)
        return [await self._read(key, answer) for key, answer in zip(keys, answers, strict=True)]

    async def _read(self, key: str, answer: Any) -> StoredValue | ComponentError | None:
        try:
            return await self._plain(key) if isinstance(answer, CommandRefused) else _stored(answer)
        except ComponentError as error:
            return error

    async def write(self, write: StateWrite, /) -> None:
        """Do one write, if its ETag allows it."""
        commands = self._commands(write, first_write=write.first_write)
        try:
            await self._link.command(*commands[0])
        except CommandRefused as error:
            raise _refusal(write, error) from error
        for command in commands[1:]:
            try:
                await self._link.command(*command)
            except CommandRefused as error:
                raise _expiry_refusal(write, error) from error

    async def transact(self, writes: Sequence[StateWrite], /) -> None:
        """Do all writes with nothing in between; a refused one does not undo the others."""
        commands = [
            command for write in writes for command in self._commands(write, first_write=False)
        ]
        for answer in await self._link.pipeline(commands, transaction=True):
            if isinstance(answer, Exception):
                raise answer

    async def keys(self, prefix: str, suffix: str, /) -> list[str]:
        """Return the keys that begin and end so; the server looks at all it has."""
        pattern, cursor = f"{_literally(prefix)}*{_literally(suffix)}", "0"
        found: set[str] = set()
        while True:
            cursor, keys = await self._link.command(
                "SCAN", cursor, "MATCH", pattern, "COUNT", _AT_ONCE
            )
            found.update(text_of(key) for key in keys)
            cursor = text_of(cursor)
            if cursor == "0":
                return sorted(found)

    async def query(self, query: Query, metadata: Mapping[str, str], /) -> FoundState:  # noqa: ARG002 - refused
        """Refuse to search: that needs a server with RedisJSON, which is not used here."""
        raise ComponentError("redis-json server support is required for query capability")

    def _commands(self, write: StateWrite, *, first_write: bool) -> list[tuple[Argument, ...]]:
        """Return the commands of one write; the first one decides whether it is allowed."""
        if write.data is None:
            return [("EVAL", _DELETE, 1, write.key, write.etag or _ANY_VERSION)]
        version, first = _version(write), "0" if first_write else "1"
        commands: list[tuple[Argument, ...]] = [
            ("EVAL", _SET, 1, write.key, version, write.data, first)
        ]
        ttl = self._default_ttl if write.ttl is None else write.ttl
        if ttl is not None:
            expiry = ("EXPIRE", write.key, ttl) if ttl > 0 else ("PERSIST", write.key)
            commands.append(expiry)
        return commands

    async def _plain(self, key: str) -> StoredValue | None:
        """Read a value that is no hash, as other programs write them."""
        data = await self._link.command("GET", key)
        return None if data is None else StoredValue(data, "")


def _literally(text: str) -> str:
    """Return a pattern that only ``text`` matches."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _version(write: StateWrite) -> int:
    if write.last_write or not write.etag:
        return 0
    try:
        return parse_int(write.etag, "Atoi")
    except ComponentError as error:
        raise EtagInvalid(str(error)) from None


def _refusal(write: StateWrite, error: CommandRefused) -> ComponentError:
    if write.etag or write.data is None:
        return EtagConflict(str(error))
    return ComponentError(f"failed to set key {write.key}: {error}")


def _expiry_refusal(write: StateWrite, error: CommandRefused) -> ComponentError:
    if write.ttl is not None and write.ttl <= 0:
        return ComponentError(f"failed to persist key {write.key}: {error}")
    return ComponentError(f"failed to set key {write.key} ttl: {error}")


def _stored(fields: Any) -> StoredValue | None:
    if not fields:
        return None
    data, version = fields.get(b"data"), fields.get(b"version")
    if data is None or version is None:
        raise ComponentError("required hash field 'data' or 'version' was not found")
    return StoredValue(data, version.decode())
