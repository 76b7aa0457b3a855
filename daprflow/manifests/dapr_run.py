"""The target ``dapr-run``: a template for ``dapr run -f`` and ``daprflow run -f``."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from daprflow.manifests import components
from daprflow.manifests.machine_ports import machine_ports
from daprflow.manifests.model import AppModel, File, Model
from daprflow.manifests.network import REDIS_PORT, Place, adapted, notes_of
from daprflow.manifests.runtime_words import settings_of
from daprflow.manifests.settings import SecretVariable
from daprflow.manifests.yaml_text import document
from daprflow.protocol.run_file import FILE, RunFile, RunFileApp, RunFileCommon

RESOURCES = "resources"
_MACHINE = Place(f"localhost:{REDIS_PORT}", contained=False)
"""With the Redis that ``dapr init`` starts."""
_FIRST = ("appID", "appDirPath", "appPort", "command")
"""What a reader looks for first in an app."""


def files(model: Model) -> tuple[File, ...]:
    """Return the template, with the resources that it names in a folder beside it."""
    machine = adapted(model, _MACHINE)
    here = replace(model, components=machine.components, http_endpoints=machine.http_endpoints)
    return (
        File(FILE, _template(here, machine.notes)),
        *(replace(file, path=_placed(file.path)) for file in components.files(here)),
    )


def notes(model: Model) -> tuple[str, ...]:
    """Return what a real runtime has otherwise than the embedded sidecar, a sentence each."""
    return notes_of(model, _MACHINE)


def run_file(model: Model) -> RunFile:
    """Return the template as values; every path in it is relative to the folder it is written to.

    But for paths of an app: those are relative to the app's own folder.
    """
    ports = machine_ports(model.apps)
    return RunFile(
        version=1,
        common=RunFileCommon(resources_paths=(f"./{RESOURCES}",)),
        apps=tuple(_app(app, port, model) for app, port in zip(model.apps, ports, strict=True)),
    )


def _placed(path: str) -> str:
    return path if path.startswith("configuration/") else f"{RESOURCES}/{path}"


def _template(model: Model, notes: Iterable[str]) -> str:
    said = "".join(f"# Note: {' '.join(note.split())}.\n" for note in notes)
    tree = msgspec.to_builtins(run_file(model))
    tree["apps"] = [{**{n: app[n] for n in _FIRST if n in app}, **app} for app in tree["apps"]]
    return said + document(tree)


def _app(app: AppModel, port: int, model: Model) -> RunFileApp:
    settings, health = app.settings, app.settings.sidecar.health
    output, folder = model.output.resolve(), Path(app.facts.root)
    path = f"configuration/{app.app_id}.yaml" if app.configuration else ""
    return RunFileApp(
        app_id=app.app_id,
        app_dir_path=_relative(folder, output),
        app_port=port,
        command=_command(app, port),
        config_file_path=_relative(output / path, folder) if path else "",
        log_level=settings.sidecar.log_level,
        app_max_concurrency=settings.sidecar.max_concurrency or 0,
        max_body_size=settings_of(app).get("max-body-size", ""),
        enable_app_health_check=health.enabled,
        app_health_check_path=health.path if health.enabled else "",
        app_health_probe_interval=health.interval if health.enabled else 0,
        app_health_probe_timeout=health.timeout if health.enabled else 0,
        app_health_threshold=health.threshold if health.enabled else 0,
        enable_api_logging=settings.sidecar.api_logging or False,
        env=_variables(app),
    )


def _command(app: AppModel, port: int) -> tuple[str, ...]:
    """Return the command of a machine where the app is developed: one process, loopback alone."""
    level = app.settings.log_level
    return ("daprflow", "serve", app.facts.module, "--port", str(port), "--log-level", level)


def _variables(app: AppModel) -> Mapping[str, str]:
    """Return the variables that are no secrets: those come from whoever starts it."""
    variables = app.settings.variables.items()
    return {name: v for name, v in sorted(variables) if not isinstance(v, SecretVariable)}


def _relative(path: Path, base: Path) -> str:
    relative = Path(os.path.relpath(path, base)).as_posix()
    return relative if relative.startswith(".") else f"./{relative}"
