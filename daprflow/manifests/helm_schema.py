"""The schema of a chart's values: a wrong name or type is told before anything is installed."""

from collections.abc import Iterable, Mapping

from daprflow.manifests.helm_resources import KINDS, WHOLE
from daprflow.manifests.sidecar_annotations import ANNOTATIONS, Holds
from daprflow.protocol.configuration_tree import Tree

_BOOLEAN: Tree = {"type": "boolean"}
_TEXT: Tree = {"type": "string"}
_SCALAR: Tree = {"type": ["string", "integer", "number", "boolean"]}
_COUNT: Tree = {"type": "integer", "minimum": 0}
_PORT: Tree = {"type": "integer", "minimum": 1, "maximum": 65535}
_NAME: Tree = {"type": "string", "minLength": 1}
_LIST: Tree = {"type": "array"}
_FREE: Tree = {"type": "object"}
_TEXTS: Tree = {"type": "array", "items": _NAME}
_ANY_TEXTS: Tree = {"type": "object", "additionalProperties": _SCALAR}
_HOLDS: Mapping[Holds, Tree] = {
    Holds.BOOLEAN: {"enum": [True, False, "true", "false"]},
    Holds.COUNT: {"anyOf": [_COUNT, {"type": "string", "pattern": "^[0-9]+$"}]},
    Holds.NUMBER: {
        "anyOf": [
            {"type": "integer", "minimum": -1},
            {"type": "string", "pattern": "^(-1|[0-9]+)$"},
        ]
    },
    Holds.PORT: {"anyOf": [_PORT, {"type": "string", "pattern": "^[1-9][0-9]{0,4}$"}]},
    Holds.LEVEL: {"enum": ["debug", "info", "warn", "error", "fatal"]},
    Holds.PROTOCOL: {"enum": ["http", "https", "grpc", "grpcs", "h2c"]},
    Holds.TEXT: _SCALAR,
}
_REPLICAS: Tree = {"anyOf": [_COUNT, {"type": "string", "pattern": "^[0-9]+%$"}]}


def schema(values: Tree) -> Tree:
    """Return the JSON schema (draft 7) of the values of a chart; its apps are those of the code."""
    parts = {
        "dapr": _table({"enabled": _BOOLEAN}, required=["enabled"]),
        "apps": _table({name: _ref("app") for name in values["apps"]}),
        "components": _named(_ref("component")),
        **{KINDS[kind]: _named(_ref("resource")) for kind in WHOLE},
        "global": _FREE,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_table(parts, required=["dapr", "apps"]),
        "definitions": {
            "app": _app(),
            "component": _component(),
            "resource": _table(
                {"spec": _FREE, "scopes": _TEXTS, "auth": _table({"secretStore": _TEXT})},
                required=["spec"],
            ),
            "amounts": _table({"cpu": _SCALAR, "memory": _SCALAR, "ephemeral-storage": _SCALAR}),
            "annotations": _table({name: _HOLDS[holds] for name, holds in ANNOTATIONS.items()}),
            "secret": _table({"secret": _NAME, "key": _NAME}, required=["secret", "key"]),
        },
    }


def _app() -> Tree:
    probe = {"type": ["object", "null"]}
    parts = {
        "enabled": _BOOLEAN,
        "image": _table(
            {
                "repository": _NAME,
                "tag": {"type": ["string", "number"]},
                "digest": {"type": "string", "pattern": "^([a-z0-9]+:[a-f0-9]+)?$"},
                "pullPolicy": {"enum": ["", "Always", "IfNotPresent", "Never"]},
            },
            required=["repository"],
        ),
        "imagePullSecrets": _TEXTS,
        "port": _PORT,
        "replicas": _COUNT,
        "dapr": _table({"enabled": _BOOLEAN, "annotations": _ref("annotations")}),
        "podAnnotations": _ANY_TEXTS,
        "command": {"type": "array", "items": _TEXT},
        "env": _named({"anyOf": [_SCALAR, _ref("secret")]}),
        "resources": _table(
            {"requests": _ref("amounts"), "limits": _ref("amounts"), "claims": _LIST}
        ),
        "probes": _table(dict.fromkeys(("startup", "liveness", "readiness"), probe)),
        "terminationGracePeriodSeconds": _COUNT,
        "scaling": _scaling(),
        "disruptions": _table({"enabled": _BOOLEAN, "maxUnavailable": _REPLICAS}),
        "service": _table(
            {
                "enabled": _BOOLEAN,
                "type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
                "port": _PORT,
            }
        ),
        "networkPolicy": _table({"enabled": _BOOLEAN, "ingress": _LIST, "egress": _LIST}),
        "nodeSelector": _ANY_TEXTS,
        "tolerations": _LIST,
        "affinity": _FREE,
    }
    return _table(parts, required=["image", "port"])


def _scaling() -> Tree:
    parts = {
        "by": {"enum": ["none", "cpu", "lag"]},
        "min": _COUNT,
        "max": {"type": "integer", "minimum": 1},
        "cpu": {"type": "integer", "minimum": 1},
        "poll": {"type": "integer", "minimum": 1},
        "cooldown": _COUNT,
        "triggers": _LIST,
        "authentications": _named(_FREE),
    }
    return _table(parts, required=["by"])


def _component() -> Tree:
    reference = _table({"name": _NAME, "key": _TEXT}, required=["name"])
    source = {
        "anyOf": [
            _SCALAR,
            _table({"secretKeyRef": reference}, required=["secretKeyRef"]),
            _table({"envRef": _NAME}, required=["envRef"]),
        ]
    }
    parts = {
        "enabled": _BOOLEAN,
        "type": {"type": "string", "pattern": r"^[a-z]+\.[A-Za-z0-9./-]+$"},
        "version": _NAME,
        "ignoreErrors": _BOOLEAN,
        "initTimeout": _TEXT,
        "metadata": _named(source),
        "secretStore": _TEXT,
        "scopes": _TEXTS,
    }
    return _table(parts, required=["type", "version"])


def _table(parts: Mapping[str, Tree], required: Iterable[str] = ()) -> Tree:
    """Return a mapping with names of its own, and no other."""
    needed = list(required)
    return {
        "type": "object",
        "additionalProperties": False,
        **({"required": needed} if needed else {}),
        "properties": dict(parts),
    }


def _named(each: Tree) -> Tree:
    """Return a mapping whose names are the user's."""
    return {"type": "object", "additionalProperties": each}


def _ref(name: str) -> Tree:
    return {"$ref": f"#/definitions/{name}"}
