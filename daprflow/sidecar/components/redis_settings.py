"""What a component file says about a Redis server, in the real runtime's names and units."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.durations import read_seconds

_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})
_PORT = 6379
_with_port = re.compile(r"(?P<host>\[[^\]]+\]|[^:]*):(?P<port>\d+)")

_UNSUPPORTED = {
    "sentinelmastername": "Redis Sentinel",
    "useentraid": "Microsoft Entra ID",
    "useazuread": "Microsoft Entra ID",
    "failover": "Redis Sentinel",
    "clientcert": "a client certificate",
    "queryindexes": "query indexes, which need RedisJSON",
}


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where a server is and how to talk to it; times in seconds.

    Attributes:
        timeout: how long one command may take.
        pool_size: connections at one time, subscriptions not counted.
    """

    host: str = "localhost"
    port: int = _PORT
    username: str | None = None
    password: str | None = None
    db: int = 0
    tls: bool = False
    verify: bool = True
    connect_timeout: float = 5.0
    timeout: float = 3.0
    pool_size: int = 32

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"


def read_redis_settings(metadata: Mapping[str, str]) -> RedisSettings:
    """Read the metadata that all Redis components have.

    Raises:
        ComponentError: a value cannot be read, or asks for what is not offered.
    """
    for name, what in _UNSUPPORTED.items():
        text = metadata.get(name, "")
        if text and text.lower() not in {"false", "0"}:
            raise ComponentError(
                f"'{name}' asks for {what}, which the embedded sidecar does not have; "
                "take it out, or use a real runtime"
            )
    if metadata.get("redistype", "node").lower() not in {"", "node"}:
        raise ComponentError(
            f"redisType '{metadata['redistype']}' is not offered by the embedded sidecar; "
            "name one node, or use a real runtime"
        )
    host, port = _address(metadata)
    return RedisSettings(
        host=host,
        port=port,
        username=metadata.get("redisusername") or None,
        password=metadata.get("redispassword") or None,
        db=whole_number(metadata, "redisDB", 0),
        tls=truthy(metadata, "enableTLS"),
        verify=not truthy(metadata, "insecureSkipTLSVerify"),
        connect_timeout=redis_seconds(metadata, "dialTimeout", 5.0) or 5.0,
        timeout=redis_seconds(metadata, "readTimeout", 3.0) or 3.0,
        pool_size=whole_number(metadata, "poolSize", 0) or 32,
    )


def _address(metadata: Mapping[str, str]) -> tuple[str, int]:
    text = metadata.get("redishost", "").strip()
    if "," in text:
        raise ComponentError(
            "redisHost names several addresses, as a cluster has; the embedded sidecar "
            "talks to one node"
        )
    port = whole_number(metadata, "redisPort", 0)
    found = _with_port.fullmatch(text)
    if found is None:
        return text or "localhost", port or _PORT
    if port and port != int(found["port"]):
        raise ComponentError(f"redisHost '{text}' and redisPort {port} differ; keep one of them")
    return found["host"].strip("[]") or "localhost", int(found["port"])


def truthy(metadata: Mapping[str, str], name: str) -> bool:
    """Read a switch; absent means off."""
    return metadata.get(name.lower(), "").strip().lower() in _TRUE


def whole_number(metadata: Mapping[str, str], name: str, default: int) -> int:
    """Read a number that is not negative.

    Raises:
        ComponentError: it is something else.
    """
    text = metadata.get(name.lower(), "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ComponentError(f"{name} '{text}' is no number; write digits")
    return int(text)


def redis_seconds(metadata: Mapping[str, str], name: str, default: float) -> float:
    """Read a duration: Go's form, or a bare number of milliseconds; below zero means none.

    Raises:
        ComponentError: it is neither.
    """
    text = metadata.get(name.lower(), "").strip()
    if not text:
        return default
    if text.startswith("-"):
        return 0.0
    return read_seconds(text, name, per_second=1000)
