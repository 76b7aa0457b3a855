"""What apps subscribe to by code, as documents."""

import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

from daprflow.manifests.model import AppModel, Model
from daprflow.protocol.documents import Subscription
from daprflow.protocol.subscription_resource import SubscriptionResource

_LONGEST = 200
_odd = re.compile(r"[^a-z0-9]+")


def declarative(model: Model) -> Model:
    """Add a document for each topic of the apps whose settings ask for them.

    A sidecar that finds a topic in a document and in what its app says takes what the app says, so
    nothing is delivered twice.
    """
    made = [
        each
        for app in model.apps
        if app.settings.subscriptions == "declarative"
        for each in documents_of(app)
    ]
    every = sorted((*model.subscriptions, *made), key=lambda each: each.name)
    return replace(model, subscriptions=tuple(every))


def documents_of(app: AppModel) -> Iterator[SubscriptionResource]:
    """Yield a Subscription for each topic that an app subscribes to by code."""
    for each in app.facts.subscriptions:
        yield SubscriptionResource(_name(app, each), each, (app.app_id,), source=app.facts.target)


def _name(app: AppModel, subscription: Subscription) -> str:
    """Return a name that a cluster takes, another one for each topic."""
    said = f"{app.app_id}-{subscription.pubsubname}-{subscription.topic}"
    plain = _odd.sub("-", said.lower()).strip("-")[:_LONGEST]
    if plain == said:
        return plain
    return f"{plain}-{sha256(said.encode()).hexdigest()[:8]}"
