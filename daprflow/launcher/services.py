"""The services beside a real runtime: its placement and its scheduler."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

HOST = "127.0.0.1"
WITHIN = 1.0
"""Seconds that a service on this machine may take to accept a connection."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service.

    Attributes:
        port: where ``dapr init`` has it listen.
        needed_by: the kinds of handlers that do nothing without it.
        lacks: what does not happen without it.
    """

    name: str
    port: int
    needed_by: Collection[str]
    lacks: str

    @property
    def flag(self) -> str:
        """The runtime's flag for its address."""
        return f"{self.name}-host-address"

    def missing(self, kinds: Collection[str]) -> str:
        """Return what to tell of an app with these kinds of handlers; empty for nothing."""
        if not set(self.needed_by) & set(kinds):
            return ""
        return (
            f"no {self.name} listens on {HOST}:{self.port}, so {self.lacks}; "
            f"start it with 'dapr init', name it with --{self.flag}, or use --sidecar embedded"
        )


PLACEMENT = Service(
    "placement", 50_005, ("actor", "workflow"), "no actor can be called and no workflow runs"
)
SCHEDULER = Service(
    "scheduler", 50_006, ("actor", "job", "workflow"), "jobs and reminders are not kept"
)


async def address_of(service: Service, named: str | None) -> str | None:
    """Return where a service is: as it was named, else where it listens on this machine.

    A runtime with the address of a service that is not there never becomes healthy, so it is
    given none then. An empty name is none, as under ``dapr run``.
    """
    if named is None:
        listens = await _listens(service.port)
        return f"{HOST}:{service.port}" if listens else None
    if not named.strip():
        return None
    addresses = [each.strip() for each in named.split(",")]
    return ",".join(each if ":" in each else f"{each}:{service.port}" for each in addresses)


async def _listens(port: int) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(WITHIN):
            _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True
    return False
