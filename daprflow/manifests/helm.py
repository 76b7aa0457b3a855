"""The target ``helm``: a chart that renders, with its own values, what ``kubernetes`` writes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import msgspec

from daprflow.manifests import helm_texts as texts
from daprflow.manifests import kubernetes
from daprflow.manifests.helm_apps import (
    Piece,
    is_login,
    logins,
    optional,
    piece,
    template,
    values_of,
)
from daprflow.manifests.helm_resources import KINDS, value_of
from daprflow.manifests.helm_schema import schema
from daprflow.manifests.model import AppModel, Comment, File, Model
from daprflow.manifests.naming import deployment_name
from daprflow.manifests.yaml_text import document
from daprflow.protocol.configuration_tree import Tree

VERSION = "0.1.0"
_SAID = {
    "dapr": "Whether there are sidecars and Dapr's resources.",
    "apps": "Each app by its id; an environment's file of values names what differs.",
    "components": "Each component by its name. A secret is a reference, never a text.",
}


@dataclass(frozen=True, slots=True)
class _Objects:
    """What a cluster gets.

    Attributes:
        apps: the documents of each app, with the names of their files.
        resources: those of Dapr that no file of an app has.
    """

    apps: Mapping[str, tuple[tuple[str, Tree], ...]]
    resources: tuple[Tree, ...]


def files(model: Model) -> tuple[File, ...]:
    """Return the files of a chart.

    Raises:
        LaunchError: as `daprflow.manifests.kubernetes.files`.
    """
    model = _released(model)
    objects = _objects(model)
    values = _values(model, objects)
    name = deployment_name(model)
    templates = tuple(file for app in model.apps for file in _templates(app, objects, model))
    return (
        File("Chart.yaml", document(_chart(name, model))),
        File("values.yaml", _explained(values)),
        *(_environment(each, values, templates) for each in model.variants),
        File("values.schema.json", _json(schema(values)), comment=Comment.JSON),
        File(".helmignore", texts.IGNORED),
        File("templates/_helpers.tpl", texts.HELPERS, comment=Comment.HELM),
        File("templates/NOTES.txt", texts.NOTES, comment=Comment.HELM),
        File("templates/components.yaml", texts.COMPONENTS, comment=Comment.HELM),
        File("templates/resources.yaml", texts.resources(), comment=Comment.HELM),
        *templates,
    )


def _released(model: Model) -> Model:
    """Leave the namespace to Helm, which is told where to install."""
    apps = (
        replace(app, settings=msgspec.structs.replace(app.settings, namespace=""))
        for app in model.apps
    )
    return replace(model, apps=tuple(apps))


def _objects(model: Model) -> _Objects:
    apps: dict[str, list[tuple[str, Tree]]] = {app.app_id: [] for app in model.apps}
    resources: list[Tree] = []
    for file in kubernetes.files(model):
        *_, folder, name = file.path.split("/")
        for tree in _trees(file.text):
            if tree["kind"] in KINDS:
                resources.append(tree)
            else:
                apps[folder].append((name.removesuffix(".yaml"), tree))
    return _Objects({app_id: tuple(found) for app_id, found in apps.items()}, tuple(resources))


def _trees(text: str) -> Iterator[Tree]:
    import yaml  # noqa: PLC0415 - loaded by those who read YAML

    yield from yaml.safe_load_all(text)


def _values(model: Model, objects: _Objects) -> dict[str, Any]:
    found: dict[str, Any] = {"dapr": {"enabled": True}, "apps": {}}
    for app in model.apps:
        trees = (tree for _, tree in objects.apps[app.app_id])
        found["apps"][app.app_id] = values_of(app, trees, model)
    found |= {name: {} for name in KINDS.values()}
    for tree in objects.resources:
        found[KINDS[str(tree["kind"])]][tree["metadata"]["name"]] = value_of(tree)
    return found


def _templates(app: AppModel, objects: _Objects, model: Model) -> Iterator[File]:
    own = objects.apps[app.app_id]
    there = {(tree["kind"], tree["metadata"]["name"]) for _, tree in own}
    further = (
        (name, tree)
        for name, tree in optional(app, model)
        if (tree["kind"], tree["metadata"]["name"]) not in there
    )
    by_file: dict[str, list[Piece]] = {}
    for name, tree in sorted(chain(own, further), key=lambda pair: str(pair[1]["kind"])):
        if not is_login(tree):
            by_file.setdefault(name, []).append(piece(tree))
    by_file["scaling"].append(logins(app))
    for name, pieces in by_file.items():
        text = template(app.app_id, pieces)
        yield File(f"templates/{app.app_id}/{name}.yaml", text, (app.app_id,), Comment.HELM)


def _chart(name: str, model: Model) -> Tree:
    apps = ", ".join(app.app_id for app in model.apps)
    return {
        "apiVersion": "v2",
        "name": name,
        "description": f"Dapr apps: {apps}" if len(model.apps) > 1 else f"The Dapr app {apps}",
        "type": "application",
        "version": VERSION,
    }


def _explained(values: Mapping[str, Any]) -> str:
    """Return values with a line before each part that needs one."""
    parts = (
        (f"# {_SAID[name]}\n" if name in _SAID else "") + document({name: value})
        for name, value in values.items()
    )
    return "\n".join(parts)


def _environment(variant: Model, values: Mapping[str, Any], templates: Sequence[File]) -> File:
    """Return the values that differ in an environment, and what differs that is no value."""
    variant = _released(variant)
    objects = _objects(variant)
    changed = differing(values, _values(variant, objects))
    own = {file for app in variant.apps for file in _templates(app, objects, variant)}
    said = f"# What differs in the environment '{variant.env}': helm install --values this file.\n"
    for path in sorted({file.path for file in own.symmetric_difference(templates)}):
        said += (
            f"# Note: '{path}' is another in this environment, and no value makes it so; "
            f"have a chart of its own: --env {variant.env}.\n"
        )
    return File(f"values-{variant.env}.yaml", said + (document(changed) if changed else "{}\n"))


def differing(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes ``other`` of ``base`` where Helm lays it over: nothing for what is gone."""
    changed: dict[str, Any] = {}
    for name in [*base, *(each for each in other if each not in base)]:
        old, new = base.get(name), other.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            inner = differing(old, new)
            changed |= {name: inner} if inner else {}
        elif old != new or (name in base) != (name in other):
            changed[name] = new
    return changed


def _json(tree: Mapping[str, Any]) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
