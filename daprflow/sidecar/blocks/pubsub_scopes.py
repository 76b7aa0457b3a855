"""Which topics of a pub/sub component an app may publish to and subscribe to."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes of one component, as they concern one app.

    Attributes:
        allowed: when not empty, the only topics there are.
        protected: topics that need an explicit scope.
        publishing: the app's topics to publish to; empty means all that are not protected.
        subscribing: likewise for subscriptions.
    """

    allowed: frozenset[str]
    protected: frozenset[str]
    publishing: frozenset[str]
    subscribing: frozenset[str]

    def may_publish(self, topic: str) -> bool:
        """Tell whether the app may publish to ``topic``."""
        return self._permits(topic, self.publishing)

    def may_subscribe(self, topic: str) -> bool:
        """Tell whether the app may subscribe to ``topic``."""
        return self._permits(topic, self.subscribing)

    def _permits(self, topic: str, scoped: frozenset[str]) -> bool:
        if self.allowed and topic not in self.allowed:
            return False
        if not scoped and topic not in self.protected:
            return True
        return topic in scoped


def read_scopes(metadata: Mapping[str, str], app_id: str) -> Scopes:
    """Read the scopes for ``app_id`` from a component's metadata (names in lower case)."""
    return Scopes(
        allowed=_topics(metadata.get("allowedtopics", "")),
        protected=_topics(metadata.get("protectedtopics", "")),
        publishing=_scoped(metadata.get("publishingscopes", ""), app_id),
        subscribing=_scoped(metadata.get("subscriptionscopes", ""), app_id),
    )


def _topics(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.replace(" ", "").split(",")))


def _scoped(text: str, app_id: str) -> frozenset[str]:
    """Read ``app1=a,b;app2=``; an app with an empty list may do nothing, one not listed all."""
    topics: set[str] = set()
    for part in text.replace(" ", "").split(";"):
        app, equals, names = part.partition("=")
        if equals and app == app_id:
            topics.update(names.partition("=")[0].split(","))
    return frozenset(topics)
