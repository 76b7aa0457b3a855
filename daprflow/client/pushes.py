"""Changes that a sidecar posts to the app of this process, on their way to who waits for them."""

from typing import Protocol

from daprflow.protocol.configuration import ConfigurationEvent, ConfigurationItem


class Listener(Protocol):
    """Somebody who keeps items of one store.

    Attributes:
        subscription: the id of its subscription; empty while it has none.
    """

    store: str
    subscription: str

    def wants(self, key: str, /) -> bool:
        """Whether it keeps that item."""
        ...

    async def push(self, key: str, item: ConfigurationItem, /) -> None:
        """Take one change of its own subscription."""
        ...

    def wake(self) -> None:
        """Read again soon: something may have changed."""
        ...

    def renew(self) -> None:
        """Subscribe again: the sidecar may be another one, which knows of no subscription."""
        ...

    async def settled(self) -> None:
        """Return when there is nothing to do but wait."""
        ...


class Pushes:
    """Passes changes on to the listeners of one app."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Let ``listener`` know of changes from now on."""
        self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        """Forget a listener."""
        self._listeners.remove(listener)

    async def arrived(self, store: str, key: str, event: ConfigurationEvent) -> bool:
        """Pass on the item that a call on the app named; False when nobody keeps that store.

        Who has no subscription yet takes what comes: it may be of the one that is being made. Who
        has one takes a call with another id, of an earlier process of this app or of another worker
        process, for a hint to read again.
        """
        item = event.items.get(key)
        if item is None and len(event.items) == 1:  # the path could not carry the key as it is
            key, item = next(iter(event.items.items()))
        interested = [each for each in self._listeners if each.store == store]
        if item is None:
            return bool(interested)
        owners = [each for each in interested if each.subscription in {"", event.id}]
        for owner in owners:
            if owner.wants(key):
                await owner.push(key, item)
        if not owners:
            for each in interested:
                if each.wants(key):
                    each.wake()
        return bool(interested)

    def sidecar_started(self) -> None:
        """Have everybody subscribe: a sidecar asks for an app's configuration when it starts."""
        for listener in self._listeners:
            listener.renew()

    async def settled(self) -> None:
        """Return when no listener has anything to do but wait."""
        for listener in tuple(self._listeners):
            await listener.settled()
