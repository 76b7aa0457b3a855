"""What component files say about Redis and PostgreSQL servers."""

from typing import Any

import pytest

from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.postgres_settings import read_postgres_settings
from daprflow.sidecar.components.redis_settings import (
    RedisSettings,
    read_redis_settings,
    redis_seconds,
)


def lower(metadata: dict[str, str]) -> dict[str, str]:
    """Return names as components get them."""
    return {name.lower(): value for name, value in metadata.items()}


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("", "", "localhost:6379"),
        ("db", "", "db:6379"),
        ("db:7000", "", "db:7000"),
        ("db", "7001", "db:7001"),
        ("db:7001", "7001", "db:7001"),
        ("[::1]:7002", "", "::1:7002"),
    ],
)
def test_redis_address(host: str, port: str, expected: str) -> None:
    """The host may carry its port, or have it beside it; 6379 otherwise."""
    found = read_redis_settings(lower({"redisHost": host, "redisPort": port}))
    assert found.address == expected


def test_redis_settings() -> None:
    """Every name of the real component that is used here has its unit."""
    metadata = {
        "redisHost": "db:1",
        "redisUsername": "me",
        "redisPassword": "hush",
        "redisDB": "3",
        "enableTLS": "true",
        "insecureSkipTLSVerify": "1",
        "dialTimeout": "200",
        "readTimeout": "1.5s",
        "poolSize": "7",
        "redisType": "node",
        "failover": "false",
    }
    assert read_redis_settings(lower(metadata)) == RedisSettings(
        "db", 1, "me", "hush", 3, tls=True, verify=False, connect_timeout=0.2, timeout=1.5,
        pool_size=7,
    )  # fmt: skip


@pytest.mark.row("S-35")
@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"redisType": "cluster"}, "redisType 'cluster'"),
        ({"redisHost": "a:1,b:2"}, "several addresses"),
        ({"failover": "true"}, "Redis Sentinel"),
        ({"useEntraID": "true"}, "Microsoft Entra ID"),
        ({"redisHost": "a:1", "redisPort": "2"}, "keep one of them"),
        ({"redisDB": "x"}, "redisDB 'x' is no number"),
        ({"readTimeout": "soon"}, "readTimeout"),
    ],
)
def test_redis_settings_refused(metadata: dict[str, str], named: str) -> None:
    """What cannot be read or is not offered is named."""
    with pytest.raises(ComponentError) as refused:
        read_redis_settings(lower(metadata))
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1500", 1.5), ("1m30s", 90.0), ("-1", 0.0), ("", 9.0), ("0", 0.0)]
)
def test_redis_durations(text: str, seconds: float) -> None:
    """A bare number is milliseconds, and a negative one switches off."""
    assert redis_seconds({"name": text}, "name", 9.0) == seconds


@pytest.mark.parametrize(
    ("metadata", "url"),
    [
        (
            {"connectionString": "host=db user=me password='a b\\'c' port=1 database=d"},
            "postgresql://me:a%20b%27c@db:1/d",
        ),
        (
            {"connectionString": "host=db dbname=d pool_max_conns=3 connect_timeout=5 sslmode=off"},
            "postgresql://db/d?sslmode=off",
        ),
        (
            {"connectionString": "postgres://me:p%40ss@db:1/d?sslmode=require"},
            "postgresql://me:p%40ss@db:1/d?sslmode=require",
        ),
        (
            {"connectionString": "host=db user=me", "user": "you", "password": "x", "port": "5"},
            "postgresql://you:x@db:5/",
        ),
        ({"url": "postgres://db/d"}, "postgresql://db/d"),
        ({"host": "db", "hostaddr": "10.0.0.1", "database": "d"}, "postgresql://10.0.0.1/d"),
        ({"connectionString": "host=/run/pg user=me"}, "postgresql://me@/?host=%2Frun%2Fpg"),
    ],
)
def test_postgres_connection(metadata: dict[str, str], url: str) -> None:
    """Pairs, URLs and entries of their own come to one URL; the entries win."""
    assert read_postgres_settings(lower(metadata)).url == url


def test_postgres_secrets_do_not_show() -> None:
    """The password is in no repr."""
    found = read_postgres_settings(lower({"connectionString": "host=db password=hush"}))
    assert "hush" not in repr(found)
    assert found.address == "db:5432"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, ("state", "dapr_metadata", 20.0, 3600.0)),
        ({"tablePrefix": "my_"}, ("my_state", "dapr_metadata", 20.0, 3600.0)),
        ({"tablePrefix": "own."}, ("own.state", "dapr_metadata", 20.0, 3600.0)),
        ({"metadataTableName": "a.b"}, ("state", "a.b", 20.0, 3600.0)),
        ({"timeout": "42"}, ("state", "dapr_metadata", 42.0, 3600.0)),
        ({"timeoutInSeconds": "1m"}, ("state", "dapr_metadata", 60.0, 3600.0)),
        ({"cleanupInterval": "42m"}, ("state", "dapr_metadata", 20.0, 2520.0)),
        ({"cleanupIntervalInSeconds": "0"}, ("state", "dapr_metadata", 20.0, 0.0)),
        ({"cleanupInterval": "-1"}, ("state", "dapr_metadata", 20.0, 0.0)),
        ({"cleanupInterval": ""}, ("state", "dapr_metadata", 20.0, 3600.0)),
    ],
)
def test_postgres_settings(metadata: dict[str, str], expected: tuple[Any, ...]) -> None:
    """Tables and times have the real component's names, units and defaults."""
    found = read_postgres_settings(lower({"connectionString": "host=db", **metadata}))
    assert (found.table, found.metadata_table, found.timeout, found.cleanup_interval) == expected


@pytest.mark.row("S-35")
@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({}, "missing connection string"),
        ({"connectionString": "hush"}, "neither a URL"),
        ({"connectionString": "postgres://me:hush@db:port/d"}, "no URL that can be read"),
        ({"host": "db", "timeout": "0"}, "must be greater than 1s"),
        ({"host": "db", "timeout": "NaN"}, "timeout"),
        ({"host": "db", "tablePrefix": "a; DROP"}, "tablePrefix 'a; DROP'"),
        ({"host": "db", "metadataTableName": "a b"}, "metadataTableName 'a b'"),
        ({"host": "db", "useAWSIAM": "true"}, "AWS IAM"),
        ({"host": "db", "useAzureAD": "true"}, "Microsoft Entra ID"),
    ],
)
def test_postgres_settings_refused(metadata: dict[str, str], named: str) -> None:
    """What cannot be read or is not offered is named, without the connection string."""
    with pytest.raises(ComponentError) as refused:
        read_postgres_settings(lower(metadata))
    assert named in str(refused.value)
    assert "hush" not in str(refused.value)
