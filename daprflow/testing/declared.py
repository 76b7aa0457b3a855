"""The resources that an app under test declares in its code."""

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from daprflow.components.declarations import TEST_ENV
from daprflow.launcher.declared import with_declared
from daprflow.protocol.configuration_tree import configuration_spec
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.sidecar.configuration_document import load_configuration
from daprflow.sidecar.resources import Resources
from daprflow.testing.provisions import BROKER, CONFIGURATION, LOCKS, STATE_STORE

if TYPE_CHECKING:
    from daprflow.app import DaprFlow

_TAKEN: dict[str, str] = {
    "state": STATE_STORE,
    "pubsub": BROKER,
    "configuration": CONFIGURATION,
    "lock": LOCKS,
}
"""What takes the place of a component that would leave the process, by building block."""
_INSIDE = frozenset(
    {
        "state.in-memory", "pubsub.in-memory", "pubsub.daprflow", "configuration.daprflow",
        "lock.daprflow",
    }
)  # fmt: skip
_KEPT = frozenset(
    {
        "actorstatestore", "keyprefix", "outboxpublishpubsub", "outboxpublishtopic", "outboxpubsub",
        "outboxdiscardwhenmissingstate", "allowedtopics", "protectedtopics", "publishingscopes",
        "subscriptionscopes",
    }
)  # fmt: skip
"""Metadata that say what a component is for, wherever it keeps things."""


def declared_in(app: "DaprFlow", env: str | None) -> Resources:
    """Return what an app declares, as resources of its sidecar.

    Args:
        app: the app.
        env: the environment; None is that of tests, in which nothing leaves the process.

    Raises:
        AppDefinitionError: the app is defined wrongly.
    """
    declared = app.declared(TEST_ENV if env is None else env)
    if env is None:
        components = tuple(map(in_process, declared.components))
        declared = msgspec.structs.replace(declared, components=components)
    resources = with_declared(Resources(), declared)
    if declared.configuration is None:
        return resources
    inside = msgspec.structs.replace(declared.configuration, mtls=None)
    spec = configuration_spec(inside)
    return replace(resources, configuration=load_configuration((), {}, spec))


def in_process(component: ComponentResource) -> ComponentResource:
    """Return a component that keeps everything in memory, in the place of one that does not."""
    if component.type in _INSIDE:
        return component
    kind = _TAKEN.get(component.kind)
    if kind is not None:
        kept = tuple(each for each in component.metadata if each.name.lower() in _KEPT)
        return msgspec.structs.replace(
            component, type=kind, version="v1", metadata=kept, secret_store=""
        )
    return msgspec.structs.replace(component, metadata=tuple(map(_known, component.metadata)))


def _known(item: MetadataItem) -> MetadataItem:
    """Return an entry whose value is there: a test has neither secrets nor variables."""
    if item.secret_key_ref is None and not item.env_ref:
        return item
    return MetadataItem(item.name, "")
