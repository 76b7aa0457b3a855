"""References to secrets: the store that is meant where none is named, and all that are missing."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from daprflow.protocol.resources import ComponentResource, SecretKeyRef
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.secret_json import JsonSecrets

CLUSTER = "kubernetes"
"""The store that a cluster has, meant wherever ``auth.secretStore`` is left out."""


def referring_to_cluster(resources: Sequence[ComponentResource]) -> list[ComponentResource]:
    """Return the components whose secrets lie in the cluster's own store, which no file defines."""
    if any(each.name == CLUSTER and each.kind == "secretstores" for each in resources):
        return []
    return [
        each
        for each in resources
        if each.secret_store in {"", CLUSTER}
        and any(item.secret_key_ref is not None for item in each.metadata)
    ]


def with_cluster_store(resources: Sequence[ComponentResource]) -> list[ComponentResource]:
    """Return ``resources`` with the store that comes of itself in a cluster, if one needs it."""
    if not referring_to_cluster(resources):
        return list(resources)
    return [ComponentResource(CLUSTER, f"secretstores.{CLUSTER}"), *resources]


async def check_references(
    resources: Sequence[ComponentResource], stores: Mapping[str, object]
) -> None:
    """Look every reference to a stood-in secret store up before anything needs it.

    Args:
        resources: the components that are about to be opened.
        stores: the opened secret stores by name; those of other kinds are passed over.

    Raises:
        ComponentError: some are missing; each is named, with the file to add it to.
    """
    missing: dict[Path, list[str]] = {}
    for resource, reference in _references(resources):
        store = stores.get(resource.secret_store or CLUSTER)
        if isinstance(store, JsonSecrets) and not await _is_there(store, reference):
            lacks = missing.setdefault(store.file, [])
            line = f"{_named(resource, reference)} for component '{resource.name}'"
            if not resource.secret_store:
                line += " (it names no 'auth.secretStore')"
            if line not in lacks:
                lacks.append(line)
    if missing:
        raise ComponentError("\n".join(_lacking(file, lines) for file, lines in missing.items()))


def _references(
    resources: Sequence[ComponentResource],
) -> Iterator[tuple[ComponentResource, SecretKeyRef]]:
    for resource in resources:
        for item in resource.metadata:
            if item.secret_key_ref is not None and not resource.ignore_errors:
                yield resource, item.secret_key_ref


async def _is_there(store: JsonSecrets, reference: SecretKeyRef) -> bool:
    try:
        pairs = await store.get(reference.name, {})
    except ComponentError:
        return False
    return (reference.key or reference.name) in pairs


def _named(resource: ComponentResource, reference: SecretKeyRef) -> str:
    place = f"'{resource.secret_store or CLUSTER}' / '{reference.name}'"
    if reference.key and reference.key != reference.name:
        place += f" / '{reference.key}'"
    return place


def _lacking(file: Path, lines: Sequence[str]) -> str:
    form = '{"store": {"secret": "value", "other": {"key": "value"}}}'
    return f"'{file}' stands in for secret stores and lacks {'; '.join(lines)}; its form is {form}"
