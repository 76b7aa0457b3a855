"""Components outside a cluster: on one machine, or on a network of containers with a Redis."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from daprflow.manifests.model import AppModel, Model
from daprflow.manifests.secrets import LOCAL_STORES
from daprflow.protocol.http_endpoint import ClientTls, HttpEndpointResource
from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef

REDIS_PORT = 6379
HOST = "host.docker.internal"
"""What containers call the machine they run on."""
_LOOPBACK = re.compile(r"(?<![\w.-])(?:localhost|127\.0\.0\.1|\[::1\])(?![\w.-])")
_REDIS = re.compile(r"(?:state|pubsub|bindings|configuration|lock)\.redis")
_OWN_SERVER = frozenset(
    {"redishost", "redispassword", "redisusername", "enabletls", "redistype", "failover"}
)
"""Metadata that tell how a Redis is reached; ours is alone and has no password."""
_OURS = re.compile(r"(?:pubsub|state|configuration|lock)\.daprflow")
"""Types that the embedded sidecar alone has."""
_ALONE = re.compile(r"(?:pubsub|state|configuration|lock)\.(?:daprflow|in-memory|inmemory|sqlite)")
"""Those, and the ones that keep everything inside one process."""
_PORTABLE = frozenset({"actorStateStore", "keyPrefix", "outboxPublishPubsub", "outboxPublishTopic"})
"""Metadata that a state store keeps when Redis takes its place."""
_ENVIRONMENT = "secretstores.local.env"
_CLUSTERS = "secretstores.kubernetes"
_UNDEFINED = frozenset({"", "kubernetes"})
"""Secret stores that references name, and that only a cluster has."""
_REFUSED = ("DAPR_", "APP_API_TOKEN")
"""How variables begin that a runtime puts into no component."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where sidecars run.

    Attributes:
        redis: host and port of the Redis that takes the place of what is not there.
        contained: whether each sidecar is in a container, so that it neither shares files with the
            others nor finds this machine's servers under its own address.
    """

    redis: str
    contained: bool


@dataclass(frozen=True, slots=True)
class Adapted:
    """What sidecars of a place are given.

    Attributes:
        variables: those of the environment that components read; whoever starts it has the values.
        redis: whether something uses the Redis of the place.
        host: whether something is on the machine outside.
        notes: what differs from what was declared, one sentence each.
    """

    components: tuple[ComponentResource, ...]
    http_endpoints: tuple[HttpEndpointResource, ...]
    variables: tuple[str, ...]
    redis: bool
    host: bool
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Network:
    """What is found out while components are adapted.

    Attributes:
        stores: the secret stores whose secrets are variables of the environment here.
    """

    place: Place
    stores: frozenset[str]
    variables: set[str] = field(default_factory=set)
    redis: bool = False
    host: bool = False
    notes: list[str] = field(default_factory=list)


def adapted(model: Model, place: Place) -> Adapted:
    """Return the components for a place.

    What apps use and nobody defines is in Redis, as ``dapr init`` would have it.
    """
    given = model.declared or model.components
    replaced = (each.name for each in given if _is_replaced(each, place))
    network = _Network(place, _UNDEFINED.union(replaced))
    components = [_component(each, network) for each in given]
    components += _missing(model, components, network)
    endpoints = tuple(_endpoint(each, network) for each in model.http_endpoints)
    return Adapted(
        tuple(sorted(components, key=lambda each: each.name)),
        endpoints,
        tuple(sorted(network.variables)),
        network.redis,
        network.host,
        tuple(network.notes),
    )


def notes_of(model: Model, place: Place) -> tuple[str, ...]:
    """Return what code says that does not fit, and what differs at a place; a sentence each."""
    said = (text for app in model.apps for text in app.facts.declarations.warnings)
    return tuple(dict.fromkeys([*said, *adapted(model, place).notes]))


def may_differ(component: ComponentResource) -> bool:
    """Tell whether a place outside a cluster may have something else than what is declared."""
    local = component.type.startswith((*LOCAL_STORES, _CLUSTERS))
    values = [item.value for item in component.metadata]
    return local or _ALONE.fullmatch(component.type) is not None or outside(values)[1]


def outside(tree: Any) -> tuple[Any, bool]:
    """Return a document with the addresses of this machine as containers see them; if any was."""
    found = False

    def seen(text: str) -> str:
        nonlocal found
        changed = _LOOPBACK.sub(HOST, text)
        found = found or changed != text
        return changed

    return _mapped(tree, seen), found


def _mapped(tree: Any, change: Callable[[str], str]) -> Any:
    if isinstance(tree, str):
        return change(tree)
    if isinstance(tree, Mapping):
        return {name: _mapped(value, change) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_mapped(value, change) for value in tree]
    return tree


def _component(component: ComponentResource, network: _Network) -> ComponentResource:
    place = network.place
    if _is_replaced(component, place):
        return _environment_store(component, network)
    if (_ALONE if place.contained else _OURS).fullmatch(component.type):
        return _in_redis(component, network)
    items = component.metadata
    if place.contained and _REDIS.match(component.type) and _on_this_machine(items):
        items = _own_redis(items, network)
    items = tuple(_item(item, component.secret_store, network) for item in items)
    store = "" if component.secret_store in network.stores else component.secret_store
    return msgspec.structs.replace(component, metadata=items, secret_store=store)


def _is_replaced(component: ComponentResource, place: Place) -> bool:
    """Tell whether it is a secret store that is not there."""
    kinds = (*LOCAL_STORES, _CLUSTERS) if place.contained else ("secretstores.daprflow", _CLUSTERS)
    return component.type.startswith(kinds)


def _environment_store(component: ComponentResource, network: _Network) -> ComponentResource:
    if component.type == _ENVIRONMENT:
        return component
    network.notes.append(
        f"secret store '{component.name}' is '{_ENVIRONMENT}' here, not '{component.type}': its "
        "secrets are variables of the sidecar's environment"
    )
    return msgspec.structs.replace(component, type=_ENVIRONMENT, version="v1", metadata=())


def _in_redis(component: ComponentResource, network: _Network) -> ComponentResource:
    kind = f"{component.kind}.redis"
    network.notes.append(
        f"component '{component.name}' is '{kind}' here, not '{component.type}', which a sidecar "
        "has for itself alone"
    )
    kept = tuple(item for item in component.metadata if item.name in _PORTABLE)
    items = (*_own_redis((), network), *kept)
    return msgspec.structs.replace(component, type=kind, version="v1", metadata=items)


def _on_this_machine(items: Iterable[MetadataItem]) -> bool:
    return any(
        item.name.lower() == "redishost" and _LOOPBACK.search(item.value or "") for item in items
    )


def _own_redis(items: Iterable[MetadataItem], network: _Network) -> tuple[MetadataItem, ...]:
    network.redis = True
    address = MetadataItem("redisHost", network.place.redis)
    return (address, *(item for item in items if item.name.lower() not in _OWN_SERVER))


def _item(item: MetadataItem, store: str, network: _Network) -> MetadataItem:
    if item.secret_key_ref is not None and store in network.stores:
        item = MetadataItem(item.name, env_ref=_variable(item.secret_key_ref))
    if item.env_ref and item.value is None:
        network.variables.add(item.env_ref)
    if item.value is None or not network.place.contained:
        return item
    value, found = outside(item.value)
    network.host = network.host or found
    return msgspec.structs.replace(item, value=value)


def _variable(reference: SecretKeyRef) -> str:
    """Return the environment variable that stands for a secret."""
    words = [reference.name]
    if reference.key not in {"", reference.name}:
        words.append(reference.key)
    name = re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper()).strip("_")
    return f"SECRET_{name}" if name.startswith((*_REFUSED, *"0123456789")) else name


def _endpoint(endpoint: HttpEndpointResource, network: _Network) -> HttpEndpointResource:
    url, found = (
        outside(endpoint.base_url) if network.place.contained else (endpoint.base_url, False)
    )
    network.host = network.host or found
    local = endpoint.secret_store in network.stores
    headers = tuple(_item(item, endpoint.secret_store, network) for item in endpoint.headers)
    if local and _refers(endpoint.client_tls):
        network.notes.append(
            f"endpoint '{endpoint.name}' shows a certificate of a secret store that is not here; "
            "write it into a file of this environment"
        )
    return msgspec.structs.replace(
        endpoint,
        base_url=url,
        headers=headers,
        secret_store="" if local else endpoint.secret_store,
    )


def _refers(tls: ClientTls | None) -> bool:
    items = () if tls is None else (tls.root_ca, tls.certificate, tls.private_key)
    return any(item is not None and item.secret_key_ref is not None for item in items)


def _missing(
    model: Model, components: Iterable[ComponentResource], network: _Network
) -> Iterator[ComponentResource]:
    """Yield what apps use, or would find after ``dapr init``, and nobody defines."""
    have = {each.name for each in components}
    blocks = {each.kind for each in components}
    wanted = dict(pair for app in model.apps for pair in _used(app))
    for name, kind in {"pubsub": "pubsub", "statestore": "state"}.items():
        if kind not in blocks:
            wanted.setdefault(name, kind)
    for name, kind in sorted(wanted.items()):
        if name not in have:
            state = (MetadataItem("actorStateStore", "true"),) if kind == "state" else ()
            items = (*_own_redis((), network), *state)
            yield ComponentResource(name, f"{kind}.redis", metadata=items)


def _used(app: AppModel) -> Iterator[tuple[str, str]]:
    blocks = {"topic": "pubsub", "configuration": "configuration"}
    for row in app.facts.handlers:
        if row.kind in blocks:
            yield row.name.partition("/")[0], blocks[row.kind]
