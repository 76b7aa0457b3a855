from pathlib import Path
from urllib.parse import urlsplit

import pytest

from daprflow.testing import TestSidecar
from examples.servers.app import Order, app, find, orders
from tests.helpers.servers import postgres_server, redis_server

FILE = Path(__file__).parent / "resources" / "servers.yaml"


async def test_an_order_goes_through_both_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order published on a real Redis ends up in a real PostgreSQL."""
    async with redis_server() as redis, postgres_server() as postgres:
        url = urlsplit(postgres.metadata["connectionString"])
        monkeypatch.setenv("POSTGRES_PASSWORD", url.password or "")
        text = FILE.read_text(encoding="utf-8")
        for ours, theirs in (
            ("localhost:6379", redis.metadata["redisHost"]),
            ('redisDB, value: "0"', f'redisDB, value: "{redis.metadata["redisDB"]}"'),
            ("host=localhost", f"host={url.hostname} port={url.port}"),
            ("database=shop", f"database={url.path.removeprefix('/')}"),
            ("shop_", postgres.prefix),
        ):
            assert ours in text
            text = text.replace(ours, theirs)
        (tmp_path / "servers.yaml").write_text(text, encoding="utf-8")
        async with TestSidecar(app, resources_path=tmp_path) as dapr:
            await dapr.publish(orders, Order("o1", 250))
            assert await dapr.invoke(find, "o1") == Order("o1", 250)
            assert await dapr.invoke(find, "o2") is None
        await postgres.connection.execute(
            "DELETE FROM dapr_metadata WHERE key LIKE $1", f"%{postgres.prefix}"
        )
