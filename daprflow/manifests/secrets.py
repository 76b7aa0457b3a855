"""Secrets in manifests: references alone, and to stores that a cluster has."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from daprflow.components.entries import names_secret
from daprflow.manifests.model import AppModel
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.other_resource import OtherResource
from daprflow.protocol.resources import ComponentResource, MetadataItem

_STORES = "secretstores."
LOCAL_STORES = ("secretstores.local.", "secretstores.daprflow")
"""How the types begin of stores that only a developer's machine has."""
_INSIDE = re.compile(
    r"://[^\s/:@]*:[^\s/@]+@"
    r"|(?i:password|pwd|accountkey|sharedaccesskey|sharedaccesssignature|secret|token)\s*=\s*[^\s;&]"
)
"""A login in a URL, or a password among the parts of a connection string."""
_CONNECTIONS = re.compile(r"(?i)connection_?string|dsn|url|host|address|server|broker")
_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


def plain_secrets(
    components: Iterable[ComponentResource],
    endpoints: Iterable[HttpEndpointResource],
    apps: Sequence[AppModel],
) -> list[str]:
    """Return a line for each secret that stands in plain text; none has its value."""
    declared = {
        (each.name, each.source) for app in apps for each in app.facts.declarations.components
    }
    files = [each for each in components if (each.name, each.source) not in declared]
    return [
        *_in_components(files),
        *(text for each in endpoints for text in _in_endpoint(each)),
        *(text for app in apps for text in _in_variables(app)),
    ]


def plain_in_documents(resources: Iterable[OtherResource]) -> list[str]:
    """Return a line for each secret in plain text in resources that are handed on as they are."""
    return [
        f"{each.source}: '{name}' of {each.kind} '{each.name}' is a secret in plain text; put it "
        "into a secret store, and 'secretKeyRef' here"
        for each in resources
        for name in _in_tree(each.spec)
    ]


def _in_tree(tree: object) -> Iterator[str]:
    if isinstance(tree, list):
        for each in tree:
            yield from _in_tree(each)
    elif isinstance(tree, Mapping):
        name, value = tree.get("name"), tree.get("value")
        if isinstance(name, str) and isinstance(value, str):
            secret = name.lower() in _HEADERS or holds_secret(name, value)
            yield from [name] if secret and value else []
        for key, each in tree.items():
            if isinstance(each, str) and _INSIDE.search(each) and key != "value":
                yield str(key)
            yield from _in_tree(each)


def holds_secret(name: str, value: str) -> bool:
    """Tell whether a metadata entry has a secret in plain text.

    A connection string is none as long as there is no login in it.
    """
    if not value:
        return False
    if _CONNECTIONS.search(name):
        return _INSIDE.search(value) is not None
    return names_secret(name) or _INSIDE.search(value) is not None


def for_cluster(
    components: Iterable[ComponentResource], store: str
) -> tuple[ComponentResource, ...]:
    """Leave out the secret stores of a developer's machine; ``store`` has their secrets."""
    every = tuple(components)
    local = {each.name for each in every if each.type.startswith(LOCAL_STORES)}
    return tuple(
        msgspec.structs.replace(each, secret_store=store)
        if _refers(each) and each.secret_store in {"", *local}
        else each
        for each in every
        if each.name not in local or not each.type.startswith(_STORES)
    )


def endpoints_for_cluster(
    endpoints: Iterable[HttpEndpointResource], components: Iterable[ComponentResource], store: str
) -> tuple[HttpEndpointResource, ...]:
    """Have endpoints look in ``store`` for what they refer to in stores that are left out."""
    local = {each.name for each in components if each.type.startswith(LOCAL_STORES)}
    return tuple(
        msgspec.structs.replace(each, secret_store=store) if each.secret_store in local else each
        for each in endpoints
    )


def _refers(component: ComponentResource) -> bool:
    return any(item.secret_key_ref is not None for item in component.metadata)


def _in_components(components: Iterable[ComponentResource]) -> Iterator[str]:
    for component in components:
        for item in component.metadata:
            if holds_secret(item.name, item.value or ""):
                yield (
                    f"{component.source}: '{item.name}' of component '{component.name}' is a "
                    "secret in plain text; put it into a secret store, and 'secretKeyRef' here"
                )


def _in_endpoint(endpoint: HttpEndpointResource) -> Iterator[str]:
    place = f"{endpoint.source}: endpoint '{endpoint.name}'"
    if _INSIDE.search(endpoint.base_url):
        yield f"{place} has a login in its URL; send it in a header with a 'secretKeyRef'"
    tls = endpoint.client_tls
    key = [] if tls is None or tls.private_key is None else [tls.private_key]
    for item in (*endpoint.headers, *key):
        if (item.value and _is_secret_header(item)) or (item in key and item.value):
            yield (
                f"{place}: '{item.name}' is a secret in plain text; put it into a secret store, "
                "and 'secretKeyRef' here"
            )


def _is_secret_header(item: MetadataItem) -> bool:
    return item.name.lower() in _HEADERS or names_secret(item.name)


def _in_variables(app: AppModel) -> Iterator[str]:
    for name, value in app.settings.variables.items():
        if isinstance(value, str) and holds_secret(name, value):
            yield (
                f"variable '{name}' of app '{app.app_id}' is a secret in plain text; write "
                f'{name} = {{ secret = "name", key = "key" }} in \'daprflow.toml\''
            )
