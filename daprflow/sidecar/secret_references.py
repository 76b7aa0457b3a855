"""References to secrets that a stand-in's file lacks, all of them at once."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from daprflow.protocol.resources import ComponentResource, SecretKeyRef
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.secret_json import JsonSecrets


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
        store = stores.get(resource.secret_store)
        if isinstance(store, JsonSecrets) and not await _is_there(store, reference):
            lacks = missing.setdefault(store.file, [])
            line = f"{_named(resource, reference)} for component '{resource.name}'"
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
    place = f"'{resource.secret_store}' / '{reference.name}'"
    if reference.key and reference.key != reference.name:
        place += f" / '{reference.key}'"
    return place


def _lacking(file: Path, lines: Sequence[str]) -> str:
    form = '{"store": {"secret": "value", "other": {"key": "value"}}}'
    return f"'{file}' stands in for secret stores and lacks {'; '.join(lines)}; its form is {form}"
