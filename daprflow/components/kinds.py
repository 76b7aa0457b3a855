"""What components of one building block have in common, whatever their type."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from daprflow.components.model import Options
from daprflow.components.values import Secret

Direction = Literal["input", "output", "input, output"]


@dataclass(frozen=True, kw_only=True)
class StateStore(Options):
    """A state store.

    Attributes:
        actor_state_store: whether actors and workflows keep their state here.
        key_prefix: what stands before keys: ``appid`` (Dapr's default), ``name``, ``namespace``,
            ``none`` or a text of one's own, which apps then share.
        primary_encryption_key: a hexadecimal key that values are encrypted with.
        secondary_encryption_key: an older one that values can still be read with.
        outbox_publish_pubsub: the pub/sub component on which changes are published (the outbox).
        outbox_publish_topic: the topic there.
        outbox_pubsub: the component that the sidecar's own events go through; by default the same.
        outbox_discard_when_missing_state: whether events of state that is not there are dropped.
    """

    actor_state_store: bool | None = None
    key_prefix: str | None = None
    primary_encryption_key: Secret | None = None
    secondary_encryption_key: Secret | None = None
    outbox_publish_pubsub: str | None = None
    outbox_publish_topic: str | None = None
    outbox_pubsub: str | None = None
    outbox_discard_when_missing_state: bool | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if self.outbox_publish_topic or self.outbox_pubsub:
            yield from self.lacking("the outbox", "outbox_publish_pubsub", "outbox_publish_topic")
        if self.secondary_encryption_key is not None:
            yield from self.lacking("'secondary_encryption_key'", "primary_encryption_key")


@dataclass(frozen=True, kw_only=True)
class PubSub(Options):
    """A broker.

    Attributes:
        allowed_topics: the topics that there are; any by default.
        protected_topics: those that only apps with a scope for them may use.
        publishing_scopes: the topics that each app may publish to; any by default.
        subscription_scopes: the topics that each app may subscribe to; any by default.
    """

    allowed_topics: tuple[str, ...] | None = None
    protected_topics: tuple[str, ...] | None = None
    publishing_scopes: Mapping[str, tuple[str, ...]] | None = None
    subscription_scopes: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, kw_only=True)
class Binding(Options):
    """A binding.

    Attributes:
        direction: whether it takes events to the app, is called, or both; Dapr tries to find out
            where it is left out.
        route: the app's path for its events; the component's name by default.
    """

    direction: Direction | None = None
    route: str | None = None
