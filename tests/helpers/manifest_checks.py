"""Whether documents are what a cluster takes: Dapr's own schemas, and those of Kubernetes."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

SCHEMAS = Path(__file__).parents[3] / "shared" / "schemas"
KUBERNETES = "1.32"
"""The version of the cluster; the schemas of the newest that is not newer are taken."""
_OPEN = "x-kubernetes-preserve-unknown-fields"
_ELSEWHERE = frozenset({"ScaledObject", "TriggerAuthentication"})
"""Kinds of KEDA, of whose schemas nothing is here."""


def trees(texts: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield every document of YAML texts."""
    for text in texts:
        yield from yaml.safe_load_all(text)


def check(tree: dict[str, Any]) -> None:
    """Refuse what a cluster would refuse, and any field that it would drop."""
    group = str(tree["apiVersion"])
    if group.startswith("dapr.io/"):
        check_dapr(tree)
    elif tree["kind"] not in _ELSEWHERE:
        kubernetes_validate.validate(tree, KUBERNETES, strict=True)


def check_dapr(tree: dict[str, Any]) -> None:
    """Check a resource of Dapr with the schema of its kind."""
    if not SCHEMAS.is_dir():
        pytest.skip("the schemas of Dapr's resources are not here")
    version = str(tree["apiVersion"]).partition("/")[2]
    jsonschema.validate(tree, _schema(f"{tree['kind']}.{version}"))


@cache
def _schema(name: str) -> Any:
    found = json.loads((SCHEMAS / f"{name}.json").read_text())
    closed = _closed(found)
    closed["properties"]["metadata"] = {"type": "object"}
    return closed


def _closed(schema: Any) -> Any:
    """Return an OpenAPI schema as JSON Schema, without room for fields that it does not have."""
    if not isinstance(schema, dict):
        return schema
    if schema.get(_OPEN):
        return {}
    found = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes")}
    if "properties" in found:
        found["properties"] = {k: _closed(v) for k, v in found["properties"].items()}
        found.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _closed(found[key])
    return found
