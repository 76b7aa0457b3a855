"""The objects of a cluster that every app has, beside its Deployment."""

from typing import Any

from daprflow.manifests.model import AppModel
from daprflow.protocol.configuration_tree import Tree

NAME = "app.kubernetes.io/name"


def selector(app: AppModel) -> dict[str, str]:
    """Return the labels that an app's pods are found by, which never change."""
    return {NAME: app.app_id}


def labels(app: AppModel) -> dict[str, str]:
    """Return the labels of an app's objects."""
    return {**selector(app), "app.kubernetes.io/managed-by": "daprflow", **app.settings.labels}


def head(version: str, kind: str, app: AppModel, name: str = "") -> dict[str, Any]:
    """Return how an object of an app begins; it has the app's name where none is given."""
    namespace = app.settings.namespace
    metadata: dict[str, Any] = {"name": name or app.app_id}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {**metadata, "labels": labels(app)},
    }


def service(app: AppModel) -> Tree:
    """Return the Service: what calls the app without Dapr; the sidecar makes one of its own."""
    return {
        **head("v1", "Service", app),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(app),
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
        },
    }


def service_account(app: AppModel) -> Tree:
    """Return the account that the app's pods act as."""
    return head("v1", "ServiceAccount", app)


def secret_reader(app: AppModel) -> tuple[Tree, ...]:
    """Return what lets an app read secrets of the cluster; nothing where it names none."""
    if not app.settings.secrets:
        return ()
    group, name = "rbac.authorization.k8s.io", f"{app.app_id}-secrets"
    account = {"kind": "ServiceAccount", "name": app.app_id}
    if app.settings.namespace:
        account["namespace"] = app.settings.namespace
    rule = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": list(app.settings.secrets),
        "verbs": ["get"],
    }
    return (
        {**head(f"{group}/v1", "Role", app, name), "rules": [rule]},
        {
            **head(f"{group}/v1", "RoleBinding", app, name),
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [account],
        },
    )


def disruption_budget(app: AppModel) -> Tree:
    """Return how many replicas may be away while nodes are looked after."""
    return {
        **head("policy/v1", "PodDisruptionBudget", app),
        "spec": {
            "maxUnavailable": app.settings.disruptions,
            "selector": {"matchLabels": selector(app)},
        },
    }
