"""The templates of one app in a chart, and its values: both are cut out of its objects."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from daprflow.manifests.annotations import PREFIX
from daprflow.manifests.carving import Hole, carved, put, taken
from daprflow.manifests.model import AppModel, Model
from daprflow.manifests.network_policy import network_policy
from daprflow.manifests.objects import head, service
from daprflow.manifests.scaling import scaling
from daprflow.manifests.sidecar_annotations import FIXED
from daprflow.protocol.configuration_tree import Tree

_POD = ("spec", "template", "spec")
_CONTAINER = (*_POD, "containers", 0)
_ANNOTATIONS = ("spec", "template", "metadata", "annotations")
_PORT = "APP_PORT"
_LOGIN = "TriggerAuthentication"
_BY_LAG = 'eq $app.scaling.by "lag"'
_PROBES = {"startup": "startupProbe", "liveness": "livenessProbe", "readiness": "readinessProbe"}
_FEWEST, _MOST = "toJson $app.scaling.min", "toJson $app.scaling.max"


@dataclass(frozen=True, slots=True)
class Piece:
    """One document of a template.

    Attributes:
        when: a condition in Helm's words; empty for always.
    """

    text: str
    when: str = ""


def piece(tree: Tree) -> Piece:
    """Return a document of an app as a template; a kind that is not known stays as it is."""
    holes, when = _KINDS.get(str(tree["kind"]), (lambda _: {}, ""))
    for path, hole in holes(tree).items():
        tree = put(tree, path, hole)
    for path, names in _ORDER.get(str(tree["kind"]), {}).items():
        tree = put(tree, path, _in_order(taken(tree, path), names))
    return Piece(carved(tree), when)


def _in_order(tree: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return a mapping whose names stand in one order, whichever of them the object has."""
    return {**{name: tree[name] for name in names if name in tree}, **tree}


def logins(app: AppModel) -> Piece:
    """Return the template of what KEDA logs in with, as many as the values name."""
    tree = {
        **head("keda.sh/v1alpha1", _LOGIN, app),
        "spec": Hole("$login", "block", when="$login"),
    }
    text = carved(put(tree, ("metadata", "name"), Hole("$name | quote")))
    each = f"{{{{- range $name, $login := $app.scaling.authentications }}}}\n---\n{text}"
    return Piece(f"{each}{{{{- end }}}}\n", _BY_LAG)


def template(app_id: str, pieces: Iterable[Piece]) -> str:
    """Return a file of templates of one app."""
    lines = [f'{{{{- $app := index .Values.apps "{app_id}" }}}}\n', "{{- if $app.enabled }}\n"]
    for each in pieces:
        text = each.text if each.text.startswith("{{-") else f"---\n{each.text}"
        lines.append(f"{{{{- if {each.when} }}}}\n{text}{{{{- end }}}}\n" if each.when else text)
    return "".join([*lines, "{{- end }}\n"])


def is_login(tree: Tree) -> bool:
    """Whether a document is one that `logins` stands for."""
    return str(tree["kind"]) == _LOGIN


def optional(app: AppModel, model: Model) -> Iterator[tuple[str, Tree]]:
    """Yield the documents that values can switch on, with the file that each is in.

    They are the same documents that a cluster gets where the settings switch them on.
    """
    for by in ("cpu", "lag"):
        yield from (("scaling", tree) for tree in scaling(_scaled(app, by), model))
    yield "service", service(app)
    yield "network-policy", network_policy(app, model)


def values_of(app: AppModel, trees: Iterable[Tree], model: Model) -> dict[str, Any]:
    """Return the values of an app.

    Args:
        app: the app.
        trees: what a cluster gets for it.
        model: the deployment.
    """
    settings = app.settings
    by_kind = {str(tree["kind"]): tree for tree in trees}
    possible = [tree for _, tree in optional(app, model)]
    known = {str(tree["kind"]): tree for tree in possible} | by_kind
    authentications = {
        tree["metadata"]["name"]: tree["spec"] for tree in possible if is_login(tree)
    }
    deployment = by_kind["Deployment"]
    return {
        "enabled": True,
        "image": _image(taken(deployment, (*_CONTAINER, "image")), settings.pull_policy),
        "imagePullSecrets": list(settings.pull_secrets),
        "port": settings.port,
        "replicas": settings.replicas,
        "dapr": {
            "enabled": settings.sidecar.enabled,
            "annotations": dict(_annotations(deployment, of_dapr=True)),
        },
        "podAnnotations": dict(_annotations(deployment, of_dapr=False)),
        "command": list(taken(deployment, (*_CONTAINER, "command"), ())),
        "env": dict(_environment(deployment)),
        "resources": taken(deployment, (*_CONTAINER, "resources"), {}),
        "probes": {name: taken(deployment, (*_CONTAINER, key)) for name, key in _PROBES.items()},
        "terminationGracePeriodSeconds": taken(
            deployment, (*_POD, "terminationGracePeriodSeconds")
        ),
        "scaling": _scaling(app, known, authentications),
        "disruptions": {
            "enabled": "PodDisruptionBudget" in by_kind,
            "maxUnavailable": settings.disruptions,
        },
        "service": {
            "enabled": "Service" in by_kind,
            "type": taken(known["Service"], ("spec", "type")),
            "port": taken(known["Service"], ("spec", "ports", 0, "port")),
        },
        "networkPolicy": {
            "enabled": "NetworkPolicy" in by_kind,
            "ingress": taken(known["NetworkPolicy"], ("spec", "ingress")),
            "egress": taken(known["NetworkPolicy"], ("spec", "egress")),
        },
        "nodeSelector": dict(settings.node_selector),
        "tolerations": [],
        "affinity": {},
    }


def _scaled(app: AppModel, by: Literal["cpu", "lag"]) -> AppModel:
    own = msgspec.structs.replace(app.settings.scaling, by=by)
    return replace(app, settings=msgspec.structs.replace(app.settings, scaling=own))


def _scaling(
    app: AppModel, known: Mapping[str, Tree], authentications: Mapping[str, Tree]
) -> dict[str, Any]:
    settings = app.settings.scaling
    by_cpu, by_lag = known["HorizontalPodAutoscaler"], known["ScaledObject"]
    return {
        "by": settings.by,
        "min": taken(by_lag, ("spec", "minReplicaCount")),
        "max": settings.max,
        "cpu": taken(by_cpu, (*_METRIC, "target", "averageUtilization")),
        "poll": settings.poll,
        "cooldown": settings.cooldown,
        "triggers": taken(by_lag, ("spec", "triggers")),
        "authentications": dict(sorted(authentications.items())),
    }


def _image(image: str, policy: str) -> dict[str, str]:
    name, _, digest = image.partition("@")
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # the colon is of a port
        head, tag = name, ""
    return {"repository": head, "tag": tag, "digest": digest, "pullPolicy": policy}


def _annotations(deployment: Tree, *, of_dapr: bool) -> Iterator[tuple[str, str]]:
    for name, value in taken(deployment, _ANNOTATIONS, {}).items():
        if not of_dapr and not name.startswith(PREFIX):
            yield name, value
        elif of_dapr and name.startswith(PREFIX) and (short := name[len(PREFIX) :]) not in FIXED:
            yield short, value


def _environment(deployment: Tree) -> Iterator[tuple[str, Any]]:
    for entry in taken(deployment, (*_CONTAINER, "env"), ()):
        reference = taken(entry, ("valueFrom", "secretKeyRef"))
        if entry["name"] == _PORT:
            continue
        if reference:
            yield entry["name"], {"secret": reference["name"], "key": reference["key"]}
        else:
            yield entry["name"], entry["value"]


_METRIC = ("spec", "metrics", 0, "containerResource")
Path = tuple[str | int, ...]
Holes = Mapping[Path, Hole]


def _deployment(tree: Tree) -> Holes:
    app_id = tree["metadata"]["name"]
    annotations = f'include "daprflow.annotations" (list $ "{app_id}" $app)'
    return {
        ("spec", "replicas"): Hole("toJson $app.replicas", when='eq $app.scaling.by "none"'),
        _ANNOTATIONS: Hole(annotations, "lines"),
        (*_POD, "terminationGracePeriodSeconds"): Hole("toJson $app.terminationGracePeriodSeconds"),
        (*_POD, "imagePullSecrets"): Hole(
            'include "daprflow.pullSecrets" $app', "lines", when="$app.imagePullSecrets"
        ),
        (*_POD, "nodeSelector"): Hole("$app.nodeSelector", "block"),
        (*_POD, "tolerations"): Hole("$app.tolerations", "block"),
        (*_POD, "affinity"): Hole("$app.affinity", "block"),
        (*_CONTAINER, "image"): Hole('include "daprflow.image" $app.image'),
        (*_CONTAINER, "imagePullPolicy"): Hole(
            "$app.image.pullPolicy", when="$app.image.pullPolicy"
        ),
        (*_CONTAINER, "command"): Hole("$app.command", "block"),
        (*_CONTAINER, "ports", 0, "containerPort"): Hole("toJson $app.port"),
        (*_CONTAINER, "env"): Hole('include "daprflow.env" $app', "lines"),
        **{
            (*_CONTAINER, key): Hole(f"$app.probes.{name}", "block")
            for name, key in _PROBES.items()
        },
        (*_CONTAINER, "resources"): Hole("$app.resources", "block"),
    }


def _service(_: Tree) -> Holes:
    return {
        ("spec", "type"): Hole("$app.service.type"),
        ("spec", "ports", 0, "port"): Hole("toJson $app.service.port"),
    }


def _budget(_: Tree) -> Holes:
    return {("spec", "maxUnavailable"): Hole("toJson $app.disruptions.maxUnavailable")}


def _policy(_: Tree) -> Holes:
    when = "true"  # an empty list lets nothing through; without one, everything goes
    return {
        ("spec", "ingress"): Hole("$app.networkPolicy.ingress", "block", when),
        ("spec", "egress"): Hole("$app.networkPolicy.egress", "block", when),
    }


def _autoscaler(_: Tree) -> Holes:
    return {
        ("spec", "minReplicas"): Hole("max 1 (int $app.scaling.min)"),
        ("spec", "maxReplicas"): Hole(_MOST),
        (*_METRIC, "target", "averageUtilization"): Hole("toJson $app.scaling.cpu"),
    }


def _scaled_object(_: Tree) -> Holes:
    return {
        ("spec", "minReplicaCount"): Hole(_FEWEST),
        ("spec", "maxReplicaCount"): Hole(_MOST),
        ("spec", "pollingInterval"): Hole("toJson $app.scaling.poll"),
        ("spec", "cooldownPeriod"): Hole("toJson $app.scaling.cooldown"),
        ("spec", "triggers"): Hole("$app.scaling.triggers", "block"),
    }


_KINDS: Mapping[str, tuple[Callable[[Tree], Holes], str]] = {
    "Deployment": (_deployment, ""),
    "Service": (_service, "$app.service.enabled"),
    "PodDisruptionBudget": (_budget, "$app.disruptions.enabled"),
    "NetworkPolicy": (_policy, "$app.networkPolicy.enabled"),
    "HorizontalPodAutoscaler": (_autoscaler, 'eq $app.scaling.by "cpu"'),
    "ScaledObject": (_scaled_object, _BY_LAG),
}
_ORDER: Mapping[str, Mapping[Path, tuple[str, ...]]] = {
    "Deployment": {
        ("spec",): ("replicas", "selector"),
        _POD: (
            *("serviceAccountName", "terminationGracePeriodSeconds", "securityContext"),
            *("imagePullSecrets", "nodeSelector", "tolerations", "affinity"),
        ),
        _CONTAINER: ("name", "image", "imagePullPolicy", "command", "ports", "env"),
    },
}
"""In which order the members of an object stand, some of which only some settings give it."""
