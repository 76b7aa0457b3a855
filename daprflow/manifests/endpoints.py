"""Where components connect to, as far as their metadata tell."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from daprflow.protocol.hosts import is_loopback
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.resources import ComponentResource

_PORTS: Mapping[str, int] = {
    "http": 80, "https": 443, "amqp": 5672, "amqps": 5671, "mongodb": 27017, "mongodb+srv": 27017,
    "postgres": 5432, "postgresql": 5432, "mysql": 3306, "nats": 4222, "redis": 6379,
    "rediss": 6379, "kafka": 9092, "rabbitmq": 5672, "mqtt": 1883, "mqtts": 8883, "pulsar": 6650,
    "memcached": 11211, "cassandra": 9042, "hashicorp": 8200, "etcd": 2379, "zookeeper": 2181,
    "consul": 8500,
}  # fmt: skip
"""The usual port by scheme of a URL, or by what a component's type names."""
_HOSTS = frozenset(
    {
        "redishost", "brokers", "host", "hosts", "hostname", "server", "servers", "url", "endpoint",
        "endpoints", "address", "addresses", "connectionstring", "vaultaddr", "baseurl", "natsurl",
        "actualendpoint", "endpointaddress", "brokeraddress",
    }
)  # fmt: skip
"""Metadata that hold addresses, in small letters."""
_DSN_HOST = re.compile(r"(?i)(?:^|\s)host\s*=\s*(\S+)")
_DSN_PORT = re.compile(r"(?i)(?:^|\s)port\s*=\s*(\d+)")
_LOCAL = (
    "bindings.cron", "bindings.localstorage", "in-memory", "inmemory", "sqlite", "local.",
    "secretstores.kubernetes", ".daprflow", "middleware.http.", "crypto.dapr.", "conversation.echo",
    "nameresolution.",
)  # fmt: skip
"""Parts of the types that connect to nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """A host and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a component connects to; ``known`` is false where its metadata do not say."""

    found: tuple[Endpoint, ...]
    known: bool


def endpoints_of(component: ComponentResource) -> Endpoints:
    """Return where a component connects to."""
    if any(part in component.type for part in _LOCAL):
        return Endpoints((), known=True)
    usual = next((p for name, p in _PORTS.items() if name in component.type.split(".")), 0)
    found = {
        each
        for item in component.metadata
        if item.name.lower() in _HOSTS and item.value
        for each in _read(item.value, _port_beside(component) or usual)
    }
    return Endpoints(tuple(sorted(found)), known=bool(found))


def endpoint_of(endpoint: HttpEndpointResource) -> Endpoint | None:
    """Return where an HTTPEndpoint lies."""
    return parse(endpoint.base_url, _PORTS["https"])


def parse(text: str, usual: int) -> Endpoint | None:
    """Read ``host:port`` or a URL; None where there is no host, or no port is known.

    Args:
        text: what is to be read.
        usual: the port where neither it nor its scheme says one; 0 for unknown.
    """
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    port = port or _PORTS.get(parts.scheme, usual)
    return Endpoint(host, port) if host and port and not is_loopback(host) else None


def _port_beside(component: ComponentResource) -> int:
    """Return the port that an entry of its own has, which some types of components have."""
    found = (
        item.value for item in component.metadata if item.name.lower() in {"port", "redisport"}
    )
    return next((int(value) for value in found if value and value.isdecimal()), 0)


def _read(text: str, usual: int) -> Iterator[Endpoint]:
    if dsn := _DSN_HOST.search(text):
        port = _DSN_PORT.search(text)
        text, usual = dsn[1], int(port[1]) if port else usual
    scheme, separator, rest = text.partition("://")
    for part in (rest if separator else text).split(","):
        whole = f"{scheme}://{part.strip()}" if separator else part.strip()
        found = parse(whole, usual)
        if found is not None:
            yield found
