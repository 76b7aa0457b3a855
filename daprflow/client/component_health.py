"""How a sidecar and its components are, asked without side effects.

A state store is asked for a key that nobody has, a configuration store for such an item, and a lock
store to give back a lock that nobody holds. Nothing else can be asked without doing something:
there it counts that the sidecar has loaded it.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from daprflow.client import failures
from daprflow.errors import SidecarUnavailable
from daprflow.health.report import HealthStatus, PartHealth
from daprflow.protocol import operations
from daprflow.protocol.configuration import get_configuration
from daprflow.protocol.fault import decode
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.protocol.locks import Unlock, unlock
from daprflow.protocol.metadata import LoadedComponent, Metadata
from daprflow.protocol.state import get
from daprflow.transports.base import Transport

KEY: Final = "daprflow-health"
"""What probes ask for; nobody else uses it."""
SIDECAR: Final = "sidecar"
COMPONENT: Final = "component"
_NOT_ALLOWED: Final = frozenset({401, 403, 404, 405, 501})
"""Answers of a sidecar that does not let the app ask, or is too old for it."""
_ERROR: Final = 500
_metadata = msgspec.json.Decoder(Metadata)


async def sidecar_health(
    transport: Transport, seconds: float, wanted: Iterable[str] = ()
) -> tuple[PartHealth, ...]:
    """Return how the sidecar is, and each of its components.

    Args:
        transport: the way to it.
        seconds: how long one answer may take.
        wanted: names of components that it must have.
    """
    address = transport.address
    found = await _sent(transport, operations.OUTBOUND_HEALTH, seconds)
    if isinstance(found, str):
        return (PartHealth(SIDECAR, address, HealthStatus.DOWN, found),)
    if not failures.healthy(found):
        reason = f"it answered its health check with status {found.status}"
        return (PartHealth(SIDECAR, address, HealthStatus.DOWN, reason),)
    sidecar = PartHealth(SIDECAR, address, HealthStatus.READY)
    loaded = await _loaded(transport, seconds)
    if isinstance(loaded, str):
        return (msgspec.structs.replace(sidecar, status=HealthStatus.DEGRADED, reason=loaded),)
    names = {each.name for each in loaded}
    missing = tuple(
        PartHealth(
            COMPONENT,
            name,
            HealthStatus.DEGRADED,
            "the sidecar has not loaded it; its log says why, or its file is missing",
        )
        for name in sorted(set(wanted) - names)
    )
    probes = (component_health(transport, each, seconds) for each in loaded)
    return (sidecar, *await asyncio.gather(*probes), *missing)


async def component_health(
    transport: Transport, component: LoadedComponent, seconds: float
) -> PartHealth:
    """Return how one component is."""
    request = probe_of(component)
    loaded = PartHealth(
        COMPONENT, component.name, HealthStatus.READY, type=component.type, probed=False
    )
    if request is None:
        return loaded
    found = await _sent(transport, request, seconds)
    if isinstance(found, HttpResponse) and found.status in _NOT_ALLOWED:
        return loaded
    reason = found if isinstance(found, str) else _problem(found)
    status = HealthStatus.DEGRADED if reason else HealthStatus.READY
    return msgspec.structs.replace(loaded, status=status, reason=reason, probed=True)


def probe_of(component: LoadedComponent) -> HttpRequest | None:
    """Return what a component is asked; None where nothing can be asked without side effects."""
    match component.type.partition(".")[0]:
        case "state":
            return get(component.name, KEY)
        case "configuration":
            return get_configuration(component.name, (KEY,))
        case "lock":
            return unlock(component.name, Unlock(KEY, KEY))
    return None


def _problem(response: HttpResponse) -> str:
    """Say what is wrong, by its code alone: what a component says may hold secrets."""
    if response.status < _ERROR:
        return ""
    code = decode(response.status, response.body).code or "no error code"
    return f"it answered with status {response.status} ({code}); the sidecar's log says why"


async def _loaded(transport: Transport, seconds: float) -> tuple[LoadedComponent, ...] | str:
    found = await _sent(transport, operations.METADATA, seconds)
    if isinstance(found, str):
        return found
    if not failures.succeeded(found):
        # The API may be switched off: then nothing is known of components, and nothing wrong.
        return () if found.status in _NOT_ALLOWED else f"its metadata have status {found.status}"
    try:
        return _metadata.decode(found.body or b"{}").components
    except msgspec.MsgspecError:
        return "its metadata are not a sidecar's"


async def _sent(transport: Transport, request: HttpRequest, seconds: float) -> HttpResponse | str:
    """Return the answer, or why there is none."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await transport.send(request)
    except TimeoutError:
        if not limit.expired():
            raise
        return f"nothing was answered within {seconds:g} s"
    except SidecarUnavailable as error:
        return str(error).partition(";")[0]
