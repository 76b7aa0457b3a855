"""What manifests can be made for: a name, and the function that makes the files."""

from collections.abc import Callable, Mapping
from importlib import import_module

from daprflow.manifests.model import File, Model

Maker = Callable[[Model], tuple[File, ...]]

TARGETS: Mapping[str, str] = {
    "kubernetes": "daprflow.manifests.kubernetes",
    "components": "daprflow.manifests.components",
    "helm": "daprflow.manifests.helm",
    "compose": "daprflow.manifests.compose",
    "dapr-run": "daprflow.manifests.dapr_run",
    "docker": "daprflow.manifests.docker",
    "dev": "daprflow.manifests.dev",
}
"""The module of each target, whose ``files`` makes them."""


def maker(target: str) -> Maker:
    """Return what makes the files of a target of `TARGETS`."""
    made: Maker = import_module(TARGETS[target]).files
    return made


def notes_of(target: str, model: Model) -> tuple[str, ...]:
    """Return what the user of a target should know; a target without words has the cluster's."""
    own = getattr(import_module(TARGETS[target]), "notes", None)
    found: tuple[str, ...] = model.notes if own is None else own(model)
    return found
