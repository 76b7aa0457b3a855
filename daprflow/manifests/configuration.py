"""The Configuration of an app's sidecar: what the code declares, and on top what files say."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.model import AppFacts
from daprflow.manifests.settings import AppSettings, ManifestSettings
from daprflow.protocol.configuration_tree import Tree, configuration_spec
from daprflow.sidecar.resource_yaml import YamlError, YamlMapping, read_document

_VARIABLE = re.compile(r"\$(?:\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*)")


def configuration_of(facts: AppFacts, files: Sequence[Path], namespace: str) -> Tree:
    """Return the ``spec`` of an app's Configuration; empty where nothing has to be in one.

    Args:
        facts: of the app.
        files: Configuration files, which go over what its code declares.
        namespace: the app's; empty for that of who applies the files.

    Raises:
        LaunchError: a file cannot be read, or uses the environment, which a cluster fills in
            nowhere.
    """
    spec: dict[str, Any] = {}
    declared = facts.declarations.configuration
    if declared is not None:
        _lay(spec, configuration_spec(declared, namespace or "default"))
    for file in files:
        _lay(spec, _spec(file))
    on = {entry.get("name") for entry in spec.get("features", ())}
    missing = [{"name": name, "enabled": True} for name in facts.features if name not in on]
    if missing:
        spec["features"] = [*spec.get("features", ()), *missing]
    return spec


def files_of(settings: ManifestSettings, own: AppSettings) -> tuple[Path, ...]:
    """Return the Configuration files that an app's settings name, relative to their own file."""
    return tuple(Path(settings.file).parent / name for name in own.config)


def _spec(file: Path) -> YamlMapping:
    try:
        text = file.read_text(encoding="utf-8-sig")
        document = read_document(text, file, 1)
    except OSError as error:
        raise LaunchError(f"cannot read '{file}': {error.strerror}", Exit.FAILED) from None
    except UnicodeDecodeError as error:
        raise LaunchError(f"{file} is not UTF-8 (byte {error.start})", Exit.FAILED) from None
    except YamlError as error:
        raise LaunchError(str(error), Exit.FAILED) from None
    if document is None or document.get("kind") != "Configuration":
        raise LaunchError(f"'{file}' holds no document of kind Configuration", Exit.FAILED)
    spec = document.get("spec") or YamlMapping(file, 1)
    if not isinstance(spec, YamlMapping):
        raise LaunchError(f"{document.place('spec')}: 'spec' must be a mapping", Exit.FAILED)
    _refuse_variables(spec)
    return spec


def _refuse_variables(mapping: YamlMapping) -> None:
    """Refuse ``$NAME``: a runtime fills it in where it reads a file, and a cluster has none."""
    for name, value in mapping.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, YamlMapping):
                _refuse_variables(each)
            elif isinstance(each, str) and (found := _VARIABLE.search(each)):
                raise LaunchError(
                    f"{mapping.place(name)}: '{name}' uses '{found[0]}', which nobody fills in on "
                    "a cluster; write the value, or another file for this environment",
                    Exit.FAILED,
                )


def _lay(below: dict[str, Any], above: Tree) -> None:
    """Put one over another as a runtime does: mappings entry by entry, lists whole."""
    for name, value in above.items():
        old = below.get(name)
        if isinstance(value, dict):
            below[name] = dict(old) if isinstance(old, dict) else {}
            _lay(below[name], value)
        elif value is not None:
            below[name] = value
