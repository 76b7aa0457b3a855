from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daprflow.testing import TestSidecar
from examples.components_in_code.app import Order, app, orders, place, sales, show
from tests.helpers.servers import postgres_schema, redis_server


@dataclass(frozen=True)
class Place:
    """What an environment must offer: secrets and variables."""

    env: str | None
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@asynccontextmanager
async def memory() -> AsyncIterator[Place]:
    yield Place(None)


@asynccontextmanager
async def dev() -> AsyncIterator[Place]:
    yield Place("dev")


@asynccontextmanager
async def prod() -> AsyncIterator[Place]:
    async with redis_server() as redis, postgres_schema() as dsn:
        secrets = {"kubernetes": {"postgres-dsn": dsn, "redis-password": ""}}
        variables = {
            "REDIS_HOST": redis.metadata["redisHost"],
            "REDIS_DB": redis.metadata["redisDB"],
        }
        yield Place("prod", secrets, variables)


async def outcome(place_: Place) -> list[object]:
    """Return all that a caller sees of the shop."""
    async with TestSidecar(app, env=place_.env, secrets=place_.secrets) as dapr:
        seen: list[object] = [await dapr.invoke(sales), await dapr.invoke(show, id="o1")]
        seen.append(await dapr.publish(orders, Order("o1", 7)))
        await dapr.invoke(place, Order("o2", 5))
        seen += [await dapr.publish(orders, Order("o1", 8)), await dapr.invoke(show, id="o1")]
        return [*seen, await dapr.invoke(sales), dapr.published(orders)]


@pytest.mark.parametrize("enter", [memory, dev, prod])
async def test_every_environment_does_the_same(
    enter: Callable[[], AbstractAsyncContextManager[Place]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In memory, on SQLite, and on Redis with PostgreSQL, callers see the same."""
    monkeypatch.chdir(tmp_path)
    async with memory() as plain, enter() as place_:
        for name, value in place_.variables.items():
            monkeypatch.setenv(name, value)
        assert await outcome(place_) == await outcome(plain)
        assert (tmp_path / "shop.db").exists() is (place_.env == "dev")
