"""The target ``dev``: a dev container, a debugger's settings, and a ``daprflow.toml``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daprflow.launcher.debugging import DEFAULT_PORT
from daprflow.launcher.options import DEFAULT_HTTP_PORT
from daprflow.launcher.settings_file import FILE
from daprflow.manifests.defaults_toml import defaults_toml
from daprflow.manifests.images import own_requirement
from daprflow.manifests.model import AppModel, Comment, File, Model
from daprflow.manifests.projects import project_of
from daprflow.manifests.write import origin_of

_IMAGE = "mcr.microsoft.com/devcontainers/python:1-{python}-bookworm"
_EXTENSIONS = ("ms-python.python", "ms-python.debugpy", "redhat.vscode-yaml")


def files(model: Model) -> tuple[File, ...]:
    """Return what a project needs to be worked on; it is written to the project's folder.

    What a project has of its own stays: such a file is left out, and `notes` names it.
    """
    return tuple(file for file in _every(model) if not _is_yours(model.output / file.path))


def notes(model: Model) -> tuple[str, ...]:
    """Return a sentence for each file that is there and was not made by us."""
    return tuple(
        f"'{file.path}' is your own and stays as it is"
        for file in _every(model)
        if _is_yours(model.output / file.path)
    )


def _every(model: Model) -> tuple[File, ...]:
    return (
        File(".devcontainer/devcontainer.json", _json(_container(model)), comment=Comment.JSON),
        File(".vscode/launch.json", _json(_launch(model)), comment=Comment.JSON),
        File(FILE, defaults_toml()),
    )


def _is_yours(file: Path) -> bool:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return origin_of(text) is None


def _container(model: Model) -> Mapping[str, Any]:
    first = project_of(model.apps[0].facts)
    wanted = dict.fromkeys(_install(app) for app in model.apps)
    return {
        "name": ", ".join(app.app_id for app in model.apps),
        "image": _IMAGE.format(python=first.python),
        "postCreateCommand": " && ".join(f"pip install {words}" for words in wanted),
        "forwardPorts": [
            *dict.fromkeys(app.settings.port for app in model.apps),
            DEFAULT_HTTP_PORT,
        ],
        "customizations": {"vscode": {"extensions": list(_EXTENSIONS)}},
        "remoteUser": "vscode",
    }


def _install(app: AppModel) -> str:
    project = project_of(app.facts)
    if project.installs_itself:
        return "-e ."
    return " ".join(project.requirements) or f"'{own_requirement('debug')}'"


def _launch(model: Model) -> Mapping[str, Any]:
    return {
        "version": "0.2.0",
        "configurations": [
            *(_attach(app) for app in model.apps),
            {
                "name": "Tests",
                "type": "debugpy",
                "request": "launch",
                "module": "pytest",
                "args": ["-x"],
                "console": "integratedTerminal",
                "justMyCode": True,
            },
        ],
    }


def _attach(app: AppModel) -> Mapping[str, Any]:
    return {
        "name": f"Attach to {app.app_id} (daprflow run {app.facts.target} --debug)",
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": DEFAULT_PORT},
        "justMyCode": True,
    }


def _json(tree: Mapping[str, Any]) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
