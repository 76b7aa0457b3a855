"""A Component document: from its YAML to its value, with every mistake named where it stands."""

from typing import Any

import msgspec

from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef
from daprflow.protocol.schedules import ScheduleError, parse_duration
from daprflow.sidecar.resource_yaml import YamlMapping

_INIT_TIMEOUT = 5.0


class DocumentError(Exception):
    """A document is not what its kind asks for; the text has file, line and what to do."""


def read_component(document: YamlMapping) -> ComponentResource:
    """Return the component that ``document`` defines.

    Raises:
        DocumentError: something is missing or of a wrong type.
    """
    head = _mapping(document, "metadata", "'metadata' with a 'name'")
    name = _text(head, "name", required=True)
    if name in {".", ".."} or "/" in name or "%" in name:
        raise DocumentError(f"{head.place('name')}: component name '{name}' must be a path segment")
    spec = _mapping(document, "spec", "'spec' with a 'type'")
    auth = document.get("auth")
    return ComponentResource(
        name=name,
        type=_text(spec, "type", required=True).lower(),
        version=_text(spec, "version") or "v1",
        metadata=_items(spec, name),
        scopes=_scopes(document),
        ignore_errors=_flag(spec, "ignoreErrors"),
        init_timeout=_duration(spec, "initTimeout"),
        secret_store=_text(auth, "secretStore") if isinstance(auth, YamlMapping) else "",
        namespace=_text(head, "namespace"),
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
    seen: dict[str, str] = {}
    items = []
    for entry in entries:
        item = _item(entry)
        if item.name.lower() in seen:
            raise DocumentError(
                f"{entry.place('name')}: metadata '{item.name}' of component '{component}' is set "
                f"already at {seen[item.name.lower()]}; keep one"
            )
        seen[item.name.lower()] = entry.place("name")
        items.append(item)
    return tuple(items)


def _item(entry: YamlMapping) -> MetadataItem:
    name = _text(entry, "name", required=True)
    reference = entry.get("secretKeyRef")
    value = None if entry.get("value") is None else _as_text(entry["value"])
    if isinstance(reference, YamlMapping) and reference.get("name"):
        secret = SecretKeyRef(_text(reference, "name"), _text(reference, "key"))
        return MetadataItem(name, secret_key_ref=secret)
    if value is None and entry.get("envRef"):
        return MetadataItem(name, env_ref=_text(entry, "envRef"))
    return MetadataItem(name, value or "")


def _as_text(value: object) -> str:
    """Return a value as the real runtime hands it to a component: text as it is, else JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return msgspec.json.encode(value).decode()


def _scopes(document: YamlMapping) -> tuple[str, ...]:
    scopes = document.get("scopes")
    if scopes is None:
        return ()
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise DocumentError(f"{document.place('scopes')}: scopes must be a list of app ids")
    return tuple(scopes)


def _mapping(parent: YamlMapping, key: str, wanted: str) -> YamlMapping:
    value = parent.get(key)
    if not isinstance(value, YamlMapping):
        raise DocumentError(f"{parent.place(key)}: the component needs {wanted}")
    return value


def _text(parent: YamlMapping, key: str, *, required: bool = False) -> str:
    value: Any = parent.get(key)
    if value is None or value == "":
        if required:
            raise DocumentError(f"{parent.place(key)}: '{key}' is missing; add it")
        return ""
    if isinstance(value, YamlMapping | list):
        raise DocumentError(f"{parent.place(key)}: '{key}' must be a text")
    return _as_text(value)


def _flag(spec: YamlMapping, key: str) -> bool:
    value = spec.get(key, False)
    if not isinstance(value, bool):
        raise DocumentError(f"{spec.place(key)}: '{key}' must be true or false")
    return value


def _duration(spec: YamlMapping, key: str) -> float:
    text = _text(spec, key)
    if not text:
        return _INIT_TIMEOUT
    try:
        seconds = float(text) if text.isdecimal() else parse_duration(text).total_seconds()
    except ScheduleError as error:
        raise DocumentError(f"{spec.place(key)}: '{key}': {error}") from error
    return seconds if seconds > 0 else _INIT_TIMEOUT
