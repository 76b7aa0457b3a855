"""The parts that documents of every kind have, read with each mistake named where it stands."""

from typing import Any

import msgspec

from daprflow.protocol.resources import MetadataItem, SecretKeyRef
from daprflow.protocol.schedules import ScheduleError, parse_duration
from daprflow.sidecar.resource_yaml import YamlMapping


class DocumentError(Exception):
    """A document is not what its kind asks for; the text has file, line and what to do."""


def as_text(value: object) -> str:
    """Return a value as the real runtime hands it to a component: text as it is, else JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return msgspec.json.encode(value).decode()


def read_name(head: YamlMapping, kind: str) -> str:
    """Return the document's name.

    Raises:
        DocumentError: it is missing or no path segment.
    """
    name = read_text(head, "name", required=True)
    if name in {".", ".."} or "/" in name or "%" in name:
        raise DocumentError(f"{head.place('name')}: {kind} name '{name}' must be a path segment")
    return name


def read_scopes(document: YamlMapping) -> tuple[str, ...]:
    """Return the app ids a document is for."""
    scopes = document.get("scopes")
    if scopes is None:
        return ()
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise DocumentError(f"{document.place('scopes')}: scopes must be a list of app ids")
    return tuple(scopes)


def read_secret_store(document: YamlMapping) -> str:
    """Return the store that a document's secret references are looked up in."""
    auth = document.get("auth")
    return read_text(auth, "secretStore") if isinstance(auth, YamlMapping) else ""


def read_mapping(parent: YamlMapping, key: str, wanted: str) -> YamlMapping:
    """Return a mapping that must be there; ``wanted`` says who needs what."""
    value = parent.get(key)
    if not isinstance(value, YamlMapping):
        raise DocumentError(f"{parent.place(key)}: {wanted}")
    return value


def read_section(parent: YamlMapping, key: str) -> YamlMapping | None:
    """Return a mapping that may be missing."""
    value = parent.get(key)
    if value is None or isinstance(value, YamlMapping):
        return value
    raise DocumentError(f"{parent.place(key)}: '{key}' must be a mapping")


def read_entries(parent: YamlMapping, key: str) -> list[YamlMapping]:
    """Return a list of mappings; nothing where it is missing."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, YamlMapping) for item in value):
        raise DocumentError(f"{parent.place(key)}: '{key}' must be a list of mappings")
    return value


def read_texts(parent: YamlMapping, key: str) -> tuple[str, ...]:
    """Return a list of texts; nothing where it is missing."""
    value = parent.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or any(isinstance(v, YamlMapping | list) for v in value):
        raise DocumentError(f"{parent.place(key)}: '{key}' must be a list of texts")
    return tuple(as_text(item) for item in value)


def read_pairs(parent: YamlMapping, key: str) -> dict[str, str]:
    """Return a mapping of names to texts."""
    section = read_section(parent, key)
    if section is None:
        return {}
    return {name: read_text(section, name) for name in section}


def read_text(parent: YamlMapping, key: str, *, required: bool = False) -> str:
    """Return a text; empty where it is missing."""
    value: Any = parent.get(key)
    if value is None or value == "":
        if required:
            raise DocumentError(f"{parent.place(key)}: '{key}' is missing; add it")
        return ""
    if isinstance(value, YamlMapping | list):
        raise DocumentError(f"{parent.place(key)}: '{key}' must be a text")
    return as_text(value)


def read_flag(parent: YamlMapping, key: str, *, default: bool = False) -> bool:
    """Return a truth value."""
    value = parent.get(key, default)
    if not isinstance(value, bool):
        raise DocumentError(f"{parent.place(key)}: '{key}' must be true or false")
    return value


def read_count(parent: YamlMapping, key: str) -> int | None:
    """Return a whole number; None where it is missing."""
    value = parent.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise DocumentError(f"{parent.place(key)}: '{key}' must be a whole number")
    return value


def read_seconds(parent: YamlMapping, key: str, default: float) -> float:
    """Return a duration as component files have it: in Go's form, a bare number is seconds."""
    text = read_text(parent, key)
    if not text:
        return default
    try:
        seconds = float(text) if text.isdecimal() else parse_duration(text).total_seconds()
    except ScheduleError as error:
        raise DocumentError(f"{parent.place(key)}: '{key}': {error}") from error
    return seconds if seconds > 0 else default


def read_value(entry: YamlMapping, name: str) -> MetadataItem:
    """Return a value that stands there, comes from a secret, or from the environment."""
    reference = entry.get("secretKeyRef")
    value = None if entry.get("value") is None else as_text(entry["value"])
    if isinstance(reference, YamlMapping) and reference.get("name"):
        secret = SecretKeyRef(read_text(reference, "name"), read_text(reference, "key"))
        return MetadataItem(name, secret_key_ref=secret)
    if value is None and entry.get("envRef"):
        return MetadataItem(name, env_ref=read_text(entry, "envRef"))
    return MetadataItem(name, value or "")
