"""The target ``components``: resource files for a sidecar outside a cluster."""

from daprflow.manifests.model import AppModel, File, Model
from daprflow.manifests.names import refuse_names
from daprflow.manifests.network_policy import unknown_addresses
from daprflow.manifests.subscriptions import declarative
from daprflow.manifests.yaml_text import document
from daprflow.protocol.configuration_tree import Tree
from daprflow.protocol.resource_trees import (
    component_tree,
    endpoint_tree,
    other_tree,
    resiliency_tree,
    subscription_tree,
)


def files(model: Model) -> tuple[File, ...]:
    """Return every resource in a file of its own, all in one folder, and Configurations below it.

    A runtime takes the folder with ``--resources-path`` and a Configuration with ``--config``.
    """
    model = declarative(model)
    refuse_names(model)
    return (*resources(model), *(_configuration(app) for app in model.apps if app.configuration))


def notes(model: Model) -> tuple[str, ...]:
    """Return what is said of a cluster, but for policies of its network: none are made here."""
    policies = {text for app in model.apps for text in unknown_addresses(app, model)}
    return tuple(text for text in model.notes if text not in policies)


def resources(model: Model, *, folders: bool = False) -> tuple[File, ...]:
    """Return the files of resources.

    Args:
        model: what they are made of.
        folders: puts those of each kind into a folder.
    """
    every = (
        ("component", ((e.name, component_tree(e), e.scopes) for e in model.components)),
        ("subscription", ((e.name, subscription_tree(e), e.scopes) for e in model.subscriptions)),
        ("resiliency", ((e.name, resiliency_tree(e), e.scopes) for e in model.resiliencies)),
        ("http-endpoint", ((e.name, endpoint_tree(e), e.scopes) for e in model.http_endpoints)),
        *((e.kind.lower(), ((e.name, other_tree(e), e.scopes),)) for e in model.others),
    )
    between = "/" if folders else "-"
    return tuple(
        File(f"{kind}{between}{name}.yaml", document(tree), scopes)
        for kind, found in every
        for name, tree, scopes in found
    )


def _configuration(app: AppModel) -> File:
    tree = configuration(app, "")
    return File(f"configuration/{app.app_id}.yaml", document(tree), (app.app_id,))


def configuration(app: AppModel, namespace: str) -> Tree:
    """Return the Configuration document of an app's sidecar."""
    metadata = {"name": app.app_id, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Configuration",
        "metadata": metadata,
        "spec": app.configuration,
    }
