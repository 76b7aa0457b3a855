"""Models of deployments made in a line, without importing an app."""

from typing import Any

import msgspec

from daprflow.manifests.model import AppFacts, AppModel, Model
from daprflow.manifests.settings import AppSettings
from daprflow.protocol.documents import Subscription
from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef


def settings(**tables: Any) -> AppSettings:
    """Return settings as the file would give them."""
    return msgspec.convert(tables, AppSettings)


def app(app_id: str = "shop", /, *topics: str, given: AppSettings | None = None) -> AppModel:
    """Return an app that subscribes to topics, each as ``pubsub/topic``."""
    subscriptions = tuple(
        Subscription(name, topic, route=f"/{topic}")
        for name, _, topic in (each.partition("/") for each in topics)
    )
    facts = AppFacts(
        app_id=app_id, target=".", module="app", root="/", folder="/", subscriptions=subscriptions
    )
    return AppModel(facts, given or AppSettings())


def component(name: str, kind: str, /, **metadata: str | SecretKeyRef) -> ComponentResource:
    """Return a component; what refers to a secret lies in the cluster."""
    items = tuple(
        MetadataItem(key, secret_key_ref=value)
        if isinstance(value, SecretKeyRef)
        else MetadataItem(key, value)
        for key, value in metadata.items()
    )
    return ComponentResource(name, kind, metadata=items, source="here:1")


def model(*apps: AppModel, components: tuple[ComponentResource, ...] = ()) -> Model:
    """Return a deployment."""
    return Model(apps, components)
