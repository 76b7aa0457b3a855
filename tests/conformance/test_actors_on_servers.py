"""The state of actors in Redis and PostgreSQL: read there by plain clients, as others would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from daprflow.protocol.configuration_file import ConfigurationResource
from tests.conformance.test_actors import Bench, bench, upsert
from tests.helpers.servers import PostgresServer, RedisServer, postgres_server, redis_server
from tests.helpers.sidecar import Components, resources

KEY = "app1||T||a||b||k"
"""Under app, type, id and key, whatever the component's prefix is."""
EXPIRING = ConfigurationResource(features=(("ActorStateTTL", True),))


@asynccontextmanager
async def on(server: RedisServer | PostgresServer, kind: str, root: Path) -> AsyncIterator[Bench]:
    """Start a sidecar whose actors keep their state there; the actor ``a||b`` is active."""
    metadata = {**server.metadata, "actorStateStore": "true", "keyPrefix": "none"}
    components: Components = {"store": (kind, metadata)}
    files = replace(resources(components), configuration=EXPIRING)
    async with bench(root, components, files=files) as it:
        await it.ask("POST", "T/a||b/method/m")
        yield it


async def test_redis(tmp_path: Path) -> None:
    """A part is a hash of data and version, which expires with its time to live."""
    async with redis_server() as server, on(server, "state.redis", tmp_path) as it:
        ttl = {"ttlInSeconds": "60"}
        steps = [upsert("k", {"b": 1, "a": 1.0}), upsert("old", 1), upsert("t", 2, metadata=ttl)]
        assert (await it.ask("POST", "T/a||b/state", steps)).status == 204
        steps = [upsert("k", 3), {"operation": "delete", "request": {"key": "old"}}]
        assert (await it.ask("POST", "T/a||b/state", steps)).status == 204
        found = {key: await server.client.hgetall(key) async for key in server.client.scan_iter()}
        assert found == {
            KEY: {"data": "3", "version": "2"},
            f"{KEY[:-1]}t": {"data": "2", "version": "1"},
        }
        assert await server.client.ttl(KEY) == -1
        assert 50 < await server.client.ttl(f"{KEY[:-1]}t") <= 60
        assert (await it.ask("GET", "T/a||b/state/k")).body == b"3"


async def test_postgresql(tmp_path: Path) -> None:
    """A part is a row of bytes; what expires has its time there."""
    async with postgres_server() as server, on(server, "state.postgresql/v2", tmp_path) as it:
        ttl = {"ttlInSeconds": "60"}
        steps = [upsert("k", {"b": 1, "a": 1.5}), upsert("old", 1), upsert("t", 2, metadata=ttl)]
        assert (await it.ask("POST", "T/a||b/state", steps)).status == 204
        steps = [{"operation": "delete", "request": {"key": "old"}}]
        assert (await it.ask("POST", "T/a||b/state", steps)).status == 204
        rows = await server.connection.fetch(
            f"SELECT key, value, expires_at FROM {server.prefix}state ORDER BY key"  # noqa: S608 - our own prefix
        )
        found = [(row["key"], row["value"]) for row in rows]
        assert found == [(KEY, b'{"a":1.5,"b":1}'), (f"{KEY[:-1]}t", b"2")]
        assert [row["expires_at"] is None for row in rows] == [True, False]
        assert (await it.ask("GET", "T/a||b/state/k")).body == b'{"a":1.5,"b":1}'
