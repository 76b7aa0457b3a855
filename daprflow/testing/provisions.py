"""The components an app under test gets: what it declares, what it is given, what it asks for."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote_plus

import msgspec

from daprflow.errors import DaprFlowError
from daprflow.handlers.table import CronInfo
from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest, StreamedResponse
from daprflow.protocol.resources import TEST_KIT, ComponentResource, MetadataItem
from daprflow.sidecar.resources import Resources, load_resources
from daprflow.sidecar.runtime import Runtime
from daprflow.testing.connection import Carrier

Secrets = Mapping[str, Mapping[str, str]]
Items = Mapping[str, Mapping[str, object]]
"""Configuration stores by name, each a mapping of items."""

BROKER = "pubsub.daprflow"
STATE_STORE = "state.in-memory"
CONFIGURATION = "configuration.daprflow"
LOCKS = "lock.daprflow"
MADE: Mapping[str, str] = {
    "state": STATE_STORE,
    "publish": BROKER,
    "configuration": CONFIGURATION,
    "lock": LOCKS,
    "unlock": LOCKS,
}
"""What is made for a call of a block, by the block's name in the path."""
ACTOR_STORE = "statestore"
STATE_TTL = ("ActorStateTTL", True)
"""The feature of a runtime that takes parts of actors' states with a time to live."""


def from_files(path: Path, app_id: str) -> Resources:
    """Load a folder of resource files, as far as they are for this app.

    Raises:
        DaprFlowError: one of them is wrong; all problems are listed.
    """
    loaded = load_resources([path], app_id)
    if problems := (*loaded.problems, *loaded.left_out):
        raise DaprFlowError("the resource files have problems:\n" + "\n".join(problems))
    return loaded


def crons(declared: Iterable[CronInfo]) -> list[ComponentResource]:
    """Return a cron binding for every cron handler."""
    return [
        _component(cron.name, "bindings.cron", {"schedule": cron.schedule}) for cron in declared
    ]


def secret_stores(secrets: Secrets, folder: Path) -> list[ComponentResource]:
    """Return a secret store for each name, kept in ``folder``."""
    stores = []
    for number, (name, pairs) in enumerate(secrets.items()):
        file = folder / f"{number}.json"
        file.write_bytes(msgspec.json.encode(dict(pairs)))
        stores.append(_component(name, "secretstores.local.file", {"secretsFile": str(file)}))
    return stores


def brokers(names: Iterable[str], kind: str = BROKER) -> list[ComponentResource]:
    """Return a broker for each name; a durable one, in memory, unless ``kind`` says otherwise."""
    return [_component(name, kind, {}) for name in dict.fromkeys(names)]


def actor_store() -> ComponentResource:
    """Return the store, in memory, where actors' states are kept."""
    return _component(ACTOR_STORE, STATE_STORE, {"actorStateStore": "true"})


def with_state_ttl(configuration: ConfigurationResource) -> ConfigurationResource:
    """Return a configuration of a runtime that takes parts of actors' states for a time."""
    features = (*configuration.features, STATE_TTL)
    return msgspec.structs.replace(configuration, features=features)


def configuration_stores(names: Iterable[str]) -> list[ComponentResource]:
    """Return an empty configuration store, in memory, for each name."""
    return [_component(name, CONFIGURATION, {}) for name in names]


async def configure(runtime: Runtime, store: str, key: str, text: str, version: str) -> None:
    """Set an item of a configuration store, or remove it where ``text`` is empty.

    Raises:
        LookupError: there is no such store, or it is one that only its own server can change.
    """
    block = runtime.configuration
    if block.find(store) is None:
        known = ", ".join(f"'{name}'" for name in block.names) or "none"
        raise LookupError(f"there is no configuration store '{store}'; there is {known}")
    editable = block.editable(store)
    if editable is None:
        raise LookupError(f"configuration store '{store}' is changed where it is kept, not here")
    if text:
        await editable.put(key, text, version)
    else:
        await editable.remove(key)


class ProvidingTransport:
    """A transport that makes the state store or broker a call names, where there is none yet."""

    def __init__(self, transport: Carrier, runtime: Runtime) -> None:
        self._transport = transport
        self._runtime = runtime
        self._turn = asyncio.Lock()

    @property
    def address(self) -> str:
        """What stands in messages instead of a URL."""
        return self._transport.address

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Carry ``request``, after making what it names."""
        block, name = _component_of(request.target)
        await self._provide(name, MADE.get(block, ""))
        return await self._transport.send(request)

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Carry what comes in pieces; nothing is made for it."""
        return await self._transport.stream(request)

    def grpc_address(self) -> str:
        """Return where the gRPC API is, or will be."""
        return self._transport.grpc_address()

    async def start_grpc(self, component: str, block: str, /) -> None:
        """Return when the gRPC API listens, after making the component that is named."""
        await self._provide(component, MADE.get(block, ""))
        await self._transport.start_grpc(component, block)

    async def close(self) -> None:
        """Close the transport below."""
        await self._transport.close()

    async def _provide(self, name: str, kind: str) -> None:
        if not kind or not name:
            return
        async with self._turn:
            if name not in self._runtime.loaded(kind.partition(".")[0]):
                await self._runtime.add(_component(name, kind, {}))


def _component(name: str, kind: str, metadata: Mapping[str, str]) -> ComponentResource:
    items = tuple(MetadataItem(key, value) for key, value in metadata.items())
    return ComponentResource(name, kind, metadata=items, source=TEST_KIT)


def _component_of(target: str) -> tuple[str, str]:
    """Return block and component of a path such as ``/v1.0/state/store/key``."""
    _, _, block, name, *rest = [*target.partition("?")[0].split("/"), "", "", "", ""]
    if block == "publish" and name == "bulk":
        name = rest[0]
    return block, unquote_plus(name)
