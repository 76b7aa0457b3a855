"""A ``daprflow.toml`` that holds every default, so that one is changed where it stands."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from daprflow.launcher.options import SidecarOptions
from daprflow.manifests.settings import TABLE, AppSettings

_SECTION = """\
# {text}
[{name}]
"""
_RUN = "Options of 'daprflow run', as 'daprflow run --help' explains them."
_MANIFESTS = (
    "What 'daprflow manifests' puts into the files of a cluster. [manifests.apps.ID] is of one "
    "app,\n# [manifests.env.NAME] of one environment."
)
_RENAMED: Mapping[str, str] = {"grace": "dapr_graceful_shutdown_seconds"}
_SIZES = frozenset({"max_body_size", "read_buffer_size"})
_OPTIONS = (
    *("app_protocol", "app_max_concurrency", "enable_app_health_check", "app_health_check_path"),
    *("app_health_probe_interval", "app_health_probe_timeout", "app_health_threshold"),
    *("max_body_size", "read_buffer_size", "log_level", "enable_metrics", "grace"),
    *("data_dir", "ephemeral", "strict_components"),
)
"""What is the same on every machine; ports and ids are found out."""
_KIBIBYTE = 1024
Plain = str | int | float | bool
Table = Mapping[str, Any]


def defaults_toml() -> str:
    """Return the text of the file: the options of a run, and the settings of manifests."""
    sections = ((_RUN, "run", dict(_run())), (_MANIFESTS, TABLE, _settings(AppSettings())))
    return "\n".join(
        _SECTION.format(text=text, name=name) + "".join(_lines(table, name))
        for text, name, table in sections
    )


def _run() -> Iterator[tuple[str, Plain]]:
    options = SidecarOptions()
    for field in _OPTIONS:
        value = getattr(options, field)
        name = _RENAMED.get(field, field)
        if field in _SIZES:
            yield name, _quantity(value)
        else:
            yield name, str(value) if isinstance(value, Path) else value


def _quantity(size: int) -> str:
    for unit in ("", "Ki"):
        if size % _KIBIBYTE:
            return f"{size}{unit}"
        size //= _KIBIBYTE
    return f"{size}Mi"


def _settings(table: msgspec.Struct) -> dict[str, Any]:
    """Return the settings of a table that have a default; those without are left out."""
    found: dict[str, Any] = {}
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if isinstance(value, msgspec.Struct):
            found[name] = _settings(value)
        elif value is not None and value not in ("", (), {}):
            found[name] = value
    return found


def _lines(table: Table, path: str) -> Iterator[str]:
    """Yield a table's own lines, then the tables in it: TOML ends a table where another begins."""
    inner = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    yield from (f"{name} = {_toml(v)}\n" for name, v in table.items() if name not in inner)
    for name, value in inner.items():
        if value:
            yield "" if _nests(value) else f"\n[{path}.{name}]\n"
            yield from _lines(value, f"{path}.{name}")


def _nests(table: Table) -> bool:
    """Whether a table holds nothing but tables, which name it anyway."""
    return all(isinstance(value, Mapping) for value in table.values())


def _toml(value: Plain) -> str:
    """Return a value; a JSON text is one of TOML."""
    return json.dumps(value)
