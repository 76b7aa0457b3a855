"""``state.redis`` and ``state.postgresql``: layouts shared with real runtimes, certified cases."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from daprflow.protocol import messages as m
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.blocks.state import StateChange
from daprflow.sidecar.clock import SystemClock, VirtualClock
from daprflow.sidecar.components.base import ComponentError, EtagConflict, StateStore, StateWrite
from daprflow.sidecar.components.registry import COMPONENTS
from tests.helpers.components import context
from tests.helpers.grpc_sidecar import grpc_sidecar
from tests.helpers.servers import PostgresServer, RedisServer, postgres_server, redis_server


@contextlib.asynccontextmanager
async def opened(
    root: Path, kind: str, server: PostgresServer | RedisServer, **metadata: str
) -> AsyncIterator[StateStore]:
    """Open a store on a server."""
    made_from = context(root, VirtualClock(), kind, **server.metadata, **metadata)
    store = cast(
        "StateStore", COMPONENTS[kind](dataclasses.replace(made_from, clock=SystemClock()))
    )
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    """An empty database of Redis."""
    async with redis_server() as server:
        yield server


@pytest.fixture
async def postgres() -> AsyncIterator[PostgresServer]:
    """Table names of our own on PostgreSQL."""
    async with postgres_server() as server:
        yield server


async def test_of_several_keys_some_cannot_be_read(redis: RedisServer, tmp_path: Path) -> None:
    """A bulk get says of each key by itself why it cannot be read; both APIs tell that."""
    await redis.client.hset("app1||odd", "other", "1")
    await redis.client.lpush("app1||list", "1")
    components = {"store": ("state.redis", dict(redis.metadata))}
    async with grpc_sidecar(tmp_path, components) as sidecar:
        await sidecar.inner.runtime.state.save("store", [StateChange("good", b"1")])
        keys = ["odd", "list", "good", "none"]
        request = m.GetBulkStateRequest(store_name="store", keys=keys)
        over_grpc = (await sidecar.stub.GetBulkState(request)).items
        body = json.dumps({"keys": keys}).encode()
        asked = HttpRequest("POST", "/v1.0/state/store/bulk", (), body)
        over_http = json.loads((await sidecar.inner.exchange.send(asked)).body)
    missing = "required hash field 'data' or 'version' was not found"
    wrong = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert [(i.key, i.data, i.error) for i in over_grpc] == [
        ("odd", b"", missing),
        ("list", b"", wrong),
        ("good", b"1", ""),
        ("none", b"", ""),
    ]
    assert over_http == [
        {"key": "odd", "error": missing},
        {"key": "list", "error": wrong},
        {"key": "good", "data": 1, "etag": "1"},
        {"key": "none"},
    ]


async def test_redis_layout(redis: RedisServer, tmp_path: Path) -> None:
    """A value is a hash of data, version and a first write's mark, as a real runtime has it."""
    async with opened(tmp_path, "state.redis", redis) as store:
        await store.write(StateWrite("app||k", b'{"a":1}'))
        await store.write(StateWrite("app||k", b'{"a":2}'))
        await store.write(StateWrite("app||first", b"1", first_write=True, ttl=60))
    assert await redis.client.hgetall("app||k") == {"data": '{"a":2}', "version": "2"}
    first = await redis.client.hgetall("app||first")
    assert first == {"data": "1", "version": "1", "first-write": "0"}
    assert 0 < await redis.client.ttl("app||first") <= 60
    assert await redis.client.ttl("app||k") == -1


async def test_redis_values_of_others(redis: RedisServer, tmp_path: Path) -> None:
    """A plain string is read without an ETag, and a write makes it a value with one."""
    await redis.client.set("app||plain", "text")
    await redis.client.hset("app||odd", "field", "x")
    async with opened(tmp_path, "state.redis", redis) as store:
        found = await store.get("app||plain")
        assert found is not None
        assert (found.data, found.etag) == (b"text", "")
        await store.write(StateWrite("app||plain", b"new"))
        found = await store.get("app||plain")
        assert found is not None
        assert (found.data, found.etag) == (b"new", "1")
        with pytest.raises(ComponentError, match="'data' or 'version' was not found"):
            await store.get("app||odd")


async def test_redis_default_ttl(redis: RedisServer, tmp_path: Path) -> None:
    """The component's TTL holds where a write has none, and -1 takes it away."""
    async with opened(tmp_path, "state.redis", redis, ttlInSeconds="50") as store:
        await store.write(StateWrite("default", b"1"))
        await store.transact([StateWrite("own", b"1", ttl=500), StateWrite("never", b"1", ttl=-1)])
    assert 0 < await redis.client.ttl("default") <= 50
    assert 50 < await redis.client.ttl("own") <= 500
    assert await redis.client.ttl("never") == -1


async def test_redis_last_write_wins(redis: RedisServer, tmp_path: Path) -> None:
    """Where last-write is asked for in so many words, an ETag counts for nothing."""
    async with opened(tmp_path, "state.redis", redis) as store:
        await store.write(StateWrite("k", b"1"))
        await store.write(StateWrite("k", b"2", etag="77", last_write=True))
        with pytest.raises(EtagConflict):
            await store.write(StateWrite("k", b"3", etag="77"))


async def test_redis_expires_in_its_own_time(redis: RedisServer, tmp_path: Path) -> None:
    """C-ST-28: a value with a TTL of a second is gone by itself."""
    async with opened(tmp_path, "state.redis", redis) as store:
        await store.write(StateWrite("k", b"1", ttl=1))
        assert await store.get("k") is not None
        assert 0 < await redis.client.pttl("k") <= 1000
        await redis.client.pexpire("k", 1)
        async with asyncio.timeout(10):
            while await store.get("k") is not None:
                pass


async def columns(postgres: PostgresServer) -> dict[str, str]:
    """Return the columns of the table of values, with their types."""
    rows = await postgres.connection.fetch(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1",
        f"{postgres.prefix}state",
    )
    return {row["column_name"]: row["data_type"] for row in rows}


LAYOUT = {
    "key": "text",
    "value": "bytea",
    "etag": "uuid",
    "created_at": "timestamp with time zone",
    "updated_at": "timestamp with time zone",
    "expires_at": "timestamp with time zone",
    "row_id": "bigint",
}


async def test_postgres_layout(postgres: PostgresServer, tmp_path: Path) -> None:
    """The tables, and the mark that says which layout they have, are a real runtime's."""
    async with opened(tmp_path, "state.postgresql", postgres) as store:
        await store.write(StateWrite("app||k", b"\0\xff", ttl=60))
    assert await columns(postgres) == LAYOUT
    marks = dict(
        await postgres.connection.fetch(f"SELECT key, value FROM {postgres.prefix}metadata")  # noqa: S608 - our own prefix
    )
    assert marks == {"lock": "lock", f"migrations-state-v2-{postgres.prefix}": "2"}


async def test_postgres_older_layout(postgres: PostgresServer, tmp_path: Path) -> None:
    """A table as runtimes before 1.18 made it is extended, and keeps its rows."""
    prefix = postgres.prefix
    older = f"""
        CREATE TABLE {prefix}metadata (key text PRIMARY KEY, value text NOT NULL);
        INSERT INTO {prefix}metadata VALUES ('migrations-state-v2-{prefix}', '1');
        CREATE TABLE {prefix}state (key text NOT NULL PRIMARY KEY, value bytea NOT NULL,
            etag uuid NOT NULL DEFAULT gen_random_uuid(),
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz, expires_at timestamptz);
        INSERT INTO {prefix}state (key, value) VALUES ('old', 'v');
    """  # noqa: S608 - our own prefix
    await postgres.connection.execute(older)
    async with opened(tmp_path, "state.postgresql", postgres) as store:
        found = await store.get("old")
        assert found is not None
        assert found.data == b"v"
        await store.write(StateWrite("new", b"w"))
    assert await columns(postgres) == LAYOUT


async def test_postgres_several_start_at_once(postgres: PostgresServer, tmp_path: Path) -> None:
    """Five sidecars that start on an empty database make the tables once."""

    async def start(number: int) -> None:
        async with opened(tmp_path, "state.postgresql", postgres) as store:
            await store.write(StateWrite(f"k{number}", b"1"))

    async with asyncio.TaskGroup() as starts:
        for number in range(5):
            starts.create_task(start(number))
    async with opened(tmp_path, "state.postgresql", postgres) as store:
        assert None not in await store.get_many([f"k{number}" for number in range(5)])


async def test_postgres_cleans_up(postgres: PostgresServer, tmp_path: Path) -> None:
    """Rows that have expired are removed from time to time, others stay."""
    query = f"SELECT key FROM {postgres.prefix}state"  # noqa: S608 - our own prefix
    async with opened(tmp_path, "state.postgresql", postgres, cleanupInterval="200ms") as store:
        await store.write(StateWrite("expired", b"1", ttl=5))
        await store.write(StateWrite("kept", b"1", ttl=500))
        await postgres.age(10)
        async with asyncio.timeout(10):
            while len(rows := await postgres.connection.fetch(query)) > 1:
                pass
    assert [row["key"] for row in rows] == ["kept"]


async def test_postgres_read_only(postgres: PostgresServer, tmp_path: Path) -> None:
    """A database that takes no writes stops the start, with the server's reason."""
    async with opened(tmp_path, "state.postgresql", postgres) as store:
        await store.write(StateWrite("k", b"1"))
    url = f"{postgres.metadata['connectionString']}?default_transaction_read_only=on"
    made_from = context(
        tmp_path,
        VirtualClock(),
        "state.postgresql",
        **{**postgres.metadata, "connectionString": url},
    )
    with pytest.raises(ComponentError, match="read-only transaction"):
        await COMPONENTS["state.postgresql"](made_from).open()
