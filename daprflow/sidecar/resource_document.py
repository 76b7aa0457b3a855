"""A Component document: from its YAML to its value."""

import logging

from daprflow.protocol.other_resource import OtherResource
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.sidecar.resource_fields import (
    DocumentError,
    read_flag,
    read_mapping,
    read_name,
    read_scopes,
    read_seconds,
    read_secret_store,
    read_text,
    read_value,
)
from daprflow.sidecar.resource_yaml import YamlMapping

logger = logging.getLogger(__name__)

_INIT_TIMEOUT = 5.0


def read_component(document: YamlMapping) -> ComponentResource:
    """Return the component that ``document`` defines.

    Raises:
        DocumentError: something is missing or of a wrong type.
    """
    head = read_mapping(document, "metadata", "the component needs 'metadata' with a 'name'")
    name = read_name(head, "component")
    spec = read_mapping(document, "spec", "the component needs 'spec' with a 'type'")
    return ComponentResource(
        name=name,
        type=read_text(spec, "type", required=True).lower(),
        version=read_text(spec, "version") or "v1",
        metadata=_items(spec, name),
        scopes=read_scopes(document),
        ignore_errors=read_flag(spec, "ignoreErrors"),
        init_timeout=read_seconds(spec, "initTimeout", _INIT_TIMEOUT),
        secret_store=read_secret_store(document),
        namespace=read_text(head, "namespace"),
        source=document.place("kind"),
    )


def read_other(document: YamlMapping) -> OtherResource:
    """Return a resource that is handed on as it is.

    Raises:
        DocumentError: it has no name, or no spec.
    """
    kind = read_text(document, "kind", required=True)
    head = read_mapping(document, "metadata", f"the {kind} needs 'metadata' with a 'name'")
    return OtherResource(
        kind=kind,
        name=read_name(head, kind),
        version=read_text(document, "apiVersion"),
        spec=read_mapping(document, "spec", f"the {kind} needs a 'spec'"),
        scopes=read_scopes(document),
        namespace=read_text(head, "namespace"),
        source=document.place("kind"),
    )


def _items(spec: YamlMapping, component: str) -> tuple[MetadataItem, ...]:
    entries = spec.get("metadata")
    if entries is None:
        return ()
    if not isinstance(entries, list) or not all(isinstance(item, YamlMapping) for item in entries):
        raise DocumentError(
            f"{spec.place('metadata')}: metadata of component '{component}' must be a list of "
            "entries '- name: …' with 'value: …'"
        )
    items: dict[str, MetadataItem] = {}
    places: dict[str, str] = {}
    for entry in entries:
        item = read_value(entry, read_text(entry, "name", required=True))
        key, place = item.name.lower(), entry.place("name")
        if items.pop(key, None) is not None:
            logger.warning(
                "%s: metadata '%s' of component '%s' is set already at %s; the last one counts",
                place, item.name, component, places[key],
            )  # fmt: skip
        items[key], places[key] = item, place
    return tuple(items.values())
