"""The values of a chart for Dapr's own resources; one template renders all of a kind."""

from collections.abc import Mapping
from typing import Any

from daprflow.protocol.configuration_tree import Tree

KINDS: Mapping[str, str] = {
    "Component": "components",
    "Subscription": "subscriptions",
    "Resiliency": "resiliencies",
    "HTTPEndpoint": "httpEndpoints",
    "Configuration": "configurations",
    "MCPServer": "mcpServers",
    "WorkflowAccessPolicy": "workflowAccessPolicies",
}
"""The kinds, and the values that each has."""
WHOLE: Mapping[str, str] = {
    "Subscription": "dapr.io/v2alpha1",
    "Resiliency": "dapr.io/v1alpha1",
    "HTTPEndpoint": "dapr.io/v1alpha1",
    "Configuration": "dapr.io/v1alpha1",
    "MCPServer": "dapr.io/v1alpha1",
    "WorkflowAccessPolicy": "dapr.io/v1alpha1",
}
"""Those whose documents are values as they are, and their versions."""
_SOURCES = frozenset({"secretKeyRef", "envRef"})


def value_of(tree: Tree) -> dict[str, Any]:
    """Return a resource as a value, but for its kind and its name.

    Raises:
        ValueError: the document has something that the chart's template would leave out.
    """
    if tree["kind"] in WHOLE:
        return {name: value for name, value in tree.items() if name not in _HEAD}
    spec = dict(tree["spec"])
    value = {
        "enabled": True,
        "type": spec.pop("type"),
        "version": spec.pop("version"),
        "ignoreErrors": spec.pop("ignoreErrors", False),
        "initTimeout": spec.pop("initTimeout", ""),
        "metadata": {item["name"]: _source(item) for item in spec.pop("metadata", ())},
        "secretStore": tree.get("auth", {}).get("secretStore", ""),
        "scopes": list(tree.get("scopes", ())),
    }
    if spec or tree.keys() - _HEAD - {"spec", "auth", "scopes"}:
        raise ValueError(f"a chart has no place for {', '.join([*spec, *tree])} of a component")
    return value


def _source(item: Mapping[str, Any]) -> Any:
    rest = {name: value for name, value in item.items() if name != "name"}
    if rest.keys() <= _SOURCES:
        return rest
    if rest.keys() != {"value"}:
        raise ValueError(f"a chart has no place for {', '.join(rest)} of a component's metadata")
    return rest["value"]


_HEAD = frozenset({"apiVersion", "kind", "metadata"})
