"""The real servers that some tests need: where they are, and a clean part of each for one test.

``DAPRFLOW_TEST_REDIS`` holds ``host:port`` and ``DAPRFLOW_TEST_POSTGRES`` a URL; ``.ci/run`` starts
both. Without them these tests are skipped, and on CI they fail.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import uuid4

import pytest

REDIS = "DAPRFLOW_TEST_REDIS"
POSTGRES = "DAPRFLOW_TEST_POSTGRES"


class Server(Protocol):
    """Part of a server, as a component sees it and a test may act on it."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What a component is made from."""
        ...

    async def age(self, seconds: float) -> None:
        """Bring every expiry nearer, as if time had passed."""
        ...


def address_of(variable: str) -> str:
    """Return what ``variable`` holds; without it skip the test, and fail it on CI."""
    if address := os.environ.get(variable):
        return address
    reason = f"{variable} is not set; .ci/run starts a server and sets it"
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class RedisServer:
    """One database of a Redis server, empty at the start; ``metadata`` is a component's."""

    client: Any
    metadata: Mapping[str, str]

    async def age(self, seconds: float) -> None:
        """Bring every expiry nearer, as if time had passed."""
        async for key in self.client.scan_iter():
            if (left := await self.client.pttl(key)) >= 0:
                await self.client.pexpire(key, left - round(seconds * 1000))


@contextlib.asynccontextmanager
async def redis_server() -> AsyncIterator[RedisServer]:
    """Give a database that only this worker of pytest uses."""
    from redis.asyncio import Redis

    host, _, port = address_of(REDIS).rpartition(":")
    number = 1 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    await _claim_database(host, int(port), number)
    client = Redis(host=host, port=int(port), db=number, decode_responses=True)
    try:
        await client.flushdb()
        yield RedisServer(client, {"redisHost": f"{host}:{port}", "redisDB": str(number)})
        await client.flushdb()
    finally:
        await client.aclose()


async def _claim_database(host: str, port: int, number: int) -> None:
    """Note in database 0 that tests use database ``number``; refuse one that holds something."""
    from redis.asyncio import Redis

    mark = f"daprflow-tests-use-{number}"
    async with (
        Redis(host=host, port=port) as first,
        Redis(host=host, port=port, db=number) as own,
    ):
        if not await first.exists(mark):
            if await own.dbsize():
                pytest.fail(f"database {number} of {host}:{port} holds something; give another")
            await first.set(mark, "its content is deleted")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """Tables of its own on a PostgreSQL server; ``metadata`` is a component's."""

    connection: Any
    prefix: str
    metadata: Mapping[str, str]

    async def age(self, seconds: float) -> None:
        """Bring every expiry nearer, as if time had passed."""
        await self.connection.execute(
            f"UPDATE {self.prefix}state SET expires_at = expires_at - make_interval(secs => $1)",  # noqa: S608 - our own prefix
            seconds,
        )


@contextlib.asynccontextmanager
async def postgres_server() -> AsyncIterator[PostgresServer]:
    """Give table names that nobody else uses; what is made under them is dropped."""
    import asyncpg

    url = address_of(POSTGRES)
    prefix = f"t{uuid4().hex[:12]}_"
    metadata = {
        "connectionString": url,
        "tablePrefix": prefix,
        "metadataTableName": f"{prefix}metadata",
    }
    connection = await asyncpg.connect(url)
    try:
        yield PostgresServer(connection, prefix, metadata)
        await connection.execute(f"DROP TABLE IF EXISTS {prefix}state, {prefix}metadata")
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def postgres_schema() -> AsyncIterator[str]:
    """Give the URL of a schema that nobody else uses, for tables of any name."""
    import asyncpg

    url, name = address_of(POSTGRES), f"s{uuid4().hex[:12]}"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE SCHEMA {name}")
        own = urlencode({"search_path": name})
        yield f"{url}{'&' if '?' in url else '?'}{own}"
        await connection.execute(f"DROP SCHEMA {name} CASCADE")
    finally:
        await connection.close()
