"""Configuration on the wire: what an app asks a store for, and what a sidecar tells of changes."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from daprflow.protocol.http import HttpRequest
from daprflow.protocol.operations import NO_METADATA, segment

PREFIX = "/configuration/"
"""Where a sidecar posts changes to an app: the names of store and item follow."""


class ConfigurationItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item; a removed one has nothing at all."""

    value: str = ""
    version: str = ""
    metadata: Mapping[str, str] | None = None

    @property
    def removed(self) -> bool:
        """Whether the item is not there any more; the wire has no other sign for that."""
        return not self.value


class ConfigurationEvent(msgspec.Struct, frozen=True):
    """The body of a call on the app: the whole event, whichever item its path names.

    Attributes:
        id: of the subscription.
    """

    id: str
    items: Mapping[str, ConfigurationItem]


class Subscribed(msgspec.Struct, frozen=True):
    """The answer to a subscription."""

    id: str


class Unsubscribed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to the end of a subscription."""

    ok: bool = False
    message: str = ""


def get_configuration(
    store: str, keys: Sequence[str], metadata: Mapping[str, str] = NO_METADATA
) -> HttpRequest:
    """Return the request that reads ``keys`` of a store, every item where there are none."""
    return HttpRequest("GET", f"/v1.0/configuration/{segment(store)}{_query(keys, metadata)}")


def subscribe_configuration(
    store: str, keys: Sequence[str], metadata: Mapping[str, str] = NO_METADATA
) -> HttpRequest:
    """Return the request that has changes posted to the app."""
    query = _query(keys, metadata)
    return HttpRequest("GET", f"/v1.0/configuration/{segment(store)}/subscribe{query}")


def unsubscribe_configuration(store: str, subscription: str) -> HttpRequest:
    """Return the request that ends a subscription."""
    path = f"/v1.0/configuration/{segment(store)}/{segment(subscription)}/unsubscribe"
    return HttpRequest("GET", path)


def _query(keys: Sequence[str], metadata: Mapping[str, str]) -> str:
    pairs = [("key", key) for key in keys]
    pairs += [(f"metadata.{name}", value) for name, value in metadata.items()]
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"?{text}" if text else ""
