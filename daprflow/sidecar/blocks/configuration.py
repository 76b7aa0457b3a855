"""The configuration building block: stores by name, subscriptions of the app and of streams."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from daprflow.protocol import faults
from daprflow.protocol.configuration import ConfigurationEvent, ConfigurationItem
from daprflow.protocol.gojson import encode_go
from daprflow.sidecar.app.base import NotTaken
from daprflow.sidecar.blocks.configuration_updates import ConfigurationUpdates
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.components.base import (
    ComponentError,
    ConfigurationStore,
    ConfigurationValue,
    EditableConfiguration,
)
from daprflow.sidecar.identifiers import new_id
from daprflow.sidecar.resiliency.breaker import Refused
from daprflow.sidecar.resiliency.deadline import TimedOut
from daprflow.sidecar.resiliency.policy import StoppedRetrying

if TYPE_CHECKING:
    from daprflow.sidecar.app.base import App
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Subscription:
    """One subscription; ``turn`` keeps its calls on the app in order.

    With ``updates`` it belongs to a reader, and the app is told nothing.
    """

    id: str
    store: str
    keys: Sequence[str]
    metadata: Mapping[str, str]
    updates: ConfigurationUpdates | None = None
    stop: Callable[[], Awaitable[None]] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class ConfigurationBlock:
    """The configuration stores that one app sees, and what it subscribed to.

    The app's subscription is tied neither to the call that made it nor to the app's process: it
    ends with ``unsubscribe`` or with this sidecar. A reader's ends with `end_updates`, too.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._work = runtime.engine.work
        self._stores = _stores(runtime)
        exists = lambda name: name in self._stores  # noqa: E731 - a reload puts others there
        self._timed = runtime.telemetry.timed("configuration", exists)
        self._subscriptions: dict[str, _Subscription] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def find(self, store: str) -> ConfigurationStore | None:
        """Return the store of that name, None where there is none."""
        return self._stores.get(store)

    def editable(self, store: str) -> EditableConfiguration | None:
        """Return the store of that name if the sidecar itself keeps it."""
        found = self._stores.get(store)
        return cast("EditableConfiguration", found) if hasattr(found, "put") else None

    def admit(self, name: str, store: ConfigurationStore) -> None:
        """Take in one more store while the sidecar runs."""
        self._stores[name] = store

    async def renew(self) -> None:
        """Take the stores as they are now; what is subscribed to a changed one moves there."""
        before, self._stores = self._stores, _stores(self._runtime)
        for subscription in list(self._subscriptions.values()):
            if self._stores.get(subscription.store) is not before.get(subscription.store):
                await _end(subscription)
                await self._move(subscription)

    async def _move(self, subscription: _Subscription) -> None:
        store = self._stores.get(subscription.store)
        if store is None:
            self._forget(subscription)
            return
        try:
            subscription.stop = await store.subscribe(
                subscription.keys, subscription.metadata, self._listener(subscription)
            )
        except ComponentError as error:
            self._forget(subscription)
            logger.error(  # noqa: TRY400 - the text says all
                "the subscription to configuration store '%s' ended when its file changed: %s",
                subscription.store,
                error,
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stores."""
        return tuple(self._stores)

    async def get(
        self, store: str, keys: Sequence[str], metadata: Mapping[str, str]
    ) -> dict[str, ConfigurationItem]:
        """Return the items that exist of ``keys``, sorted; no keys asks for all."""
        with self._timed(store, "get"):
            found = self._store(store)
            try:
                items = await found.get(keys, metadata)
            except ComponentError as error:
                raise faults.configuration_get(store, keys, str(error)) from error
            return _on_the_wire(items)

    async def subscribe(self, store: str, keys: Sequence[str], metadata: Mapping[str, str]) -> str:
        """Have changes of ``keys`` posted to the app, of all items without any; return the id."""
        with self._timed(store, "subscribe"):
            found = self._store(store)
            if self._runtime.app is None:
                raise faults.configuration_without_app()
            subscription = _Subscription(new_id(), store, keys, metadata)
            await self._start(found, subscription)
            return subscription.id

    async def updates(
        self, store: str, keys: Sequence[str], metadata: Mapping[str, str]
    ) -> ConfigurationUpdates:
        """Return the changes of ``keys`` from now on, of all items without any.

        Whoever reads them calls `end_updates` when it wants no more.
        """
        found = self._store(store)
        updates = ConfigurationUpdates(new_id(), self._work)
        await self._start(found, _Subscription(updates.id, store, keys, metadata, updates))
        return updates

    async def end_updates(self, subscription: str) -> bool:
        """End what `updates` began; False where there is none of that id."""
        found = self._subscriptions.get(subscription)
        if found is None or found.updates is None:
            return False
        self._forget(found)
        await _end(found)
        return True

    async def _start(self, store: ConfigurationStore, subscription: _Subscription) -> None:
        self._subscriptions[subscription.id] = subscription
        keys = subscription.keys
        try:
            subscription.stop = await store.subscribe(
                keys, subscription.metadata, self._listener(subscription)
            )
        except BaseException as error:
            self._forget(subscription)
            if isinstance(error, ComponentError):
                text = str(error)
                raise faults.configuration_subscribe(subscription.store, keys, text) from error
            raise

    def _forget(self, subscription: _Subscription) -> None:
        self._subscriptions.pop(subscription.id, None)
        if subscription.updates is not None:
            subscription.updates.close()

    async def unsubscribe(self, store: str, subscription: str) -> None:
        """End a subscription.

        Raises:
            ComponentError: the store has no such subscription.
        """
        with self._timed(store, "unsubscribe"):
            self._store(store)
            found = self._subscriptions.get(subscription)
            if found is None or found.store != store:
                raise ComponentError(f"subscription with id {subscription} does not exist")
            self._forget(found)
            await _end(found)

    async def close(self) -> None:
        """End every subscription."""
        for subscription in list(self._subscriptions.values()):
            self._forget(subscription)
            await _end(subscription)
        telling = set(self._telling)
        for task in telling:
            task.cancel()
        if telling:
            await asyncio.wait(telling)

    def _store(self, name: str) -> ConfigurationStore:
        store = self._stores.get(name)
        if store is None:
            if not self._stores:
                raise faults.configuration_not_configured()
            raise faults.configuration_not_found(name)
        return store

    def _listener(
        self, subscription: _Subscription
    ) -> Callable[[Mapping[str, ConfigurationValue]], Awaitable[None]]:
        updates = subscription.updates
        if updates is None:
            return self._teller(subscription)

        def changed(items: Mapping[str, ConfigurationValue]) -> Awaitable[None]:
            updates.put(_on_the_wire(items))
            taken = asyncio.get_running_loop().create_future()
            taken.set_result(None)
            return taken

        return changed

    # ---- the app --------------------------------------------------------------------------------

    def _teller(
        self, subscription: _Subscription
    ) -> Callable[[Mapping[str, ConfigurationValue]], Awaitable[None]]:
        app = self._runtime.app
        if app is None:  # pragma: no cover - subscribe() refuses before
            raise faults.configuration_without_app()

        def changed(items: Mapping[str, ConfigurationValue]) -> Awaitable[None]:
            # Counted at once, not when the loop gets to it: a test must not see a gap.
            self._work.begin()
            event = ConfigurationEvent(subscription.id, _on_the_wire(items))
            task = asyncio.create_task(self._tell(subscription, app, event))
            self._telling.add(task)
            task.add_done_callback(self._told)
            return task

        return changed

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        self._work.end()

    async def _tell(
        self, subscription: _Subscription, app: "App", event: ConfigurationEvent
    ) -> None:
        """Tell of the whole event once for each key of it."""
        body = encode_go(event) + b"\n"
        async with subscription.turn:
            for key in event.items:
                if subscription.id in self._subscriptions:
                    await self._post(subscription.store, key, body, app)

    async def _post(self, store: str, key: str, body: bytes, app: "App") -> None:
        if not self._runtime.app_healthy:
            logger.error(
                "configuration '%s': a change of '%s' is not passed on: the app is not in a "
                "healthy state",
                store,
                key,
            )
            return

        async def attempt() -> None:
            await app.configuration_update(store, key, body)

        policy = self._runtime.resiliency.inbound(store, "configuration")
        try:
            await (attempt() if policy is None else policy.run(attempt))
        except NotTaken as error:
            logger.error("configuration '%s': %s", store, error)  # noqa: TRY400 - the text says all
        except (AppUnreachable, Refused, TimedOut, StoppedRetrying) as error:
            logger.error("configuration '%s': the app could not be told: %s", store, error)  # noqa: TRY400 - the text says all


def _stores(runtime: "Runtime") -> dict[str, ConfigurationStore]:
    stores = runtime.loaded("configuration")
    return {name: cast("ConfigurationStore", item) for name, item in stores.items()}


async def _end(subscription: _Subscription) -> None:
    if subscription.stop is not None:
        await subscription.stop()


def _on_the_wire(items: Mapping[str, ConfigurationValue]) -> dict[str, ConfigurationItem]:
    return {
        key: ConfigurationItem(item.value, item.version, item.metadata or None)
        for key, item in sorted(items.items())
    }
