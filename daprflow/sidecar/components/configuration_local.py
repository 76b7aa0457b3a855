"""``configuration.daprflow``: the built-in store, which stands in for every other one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from daprflow.sidecar.components.base import (
    ComponentContext,
    ComponentError,
    ConfigurationChanged,
    ConfigurationValue,
)
from daprflow.sidecar.components.configuration_items import ItemTable, MemoryItems, SqliteItems
from daprflow.sidecar.engine_file import engine_file_of

REMOVED = ConfigurationValue("")


@dataclass(frozen=True, slots=True, eq=False)
class _Subscriber:
    """Who wants to know of which keys; none means all."""

    keys: frozenset[str]
    changed: ConfigurationChanged


class LocalConfiguration:
    """Items in ``engine.db`` of the data folder, or in memory without one.

    It begins empty; ``daprflow config set`` and tests fill it. Every app of the data folder sees
    the same items, by the component's name, and each subscriber is told of a change at once.
    """

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self._items: ItemTable
        if context.data_dir is None:
            self._items = MemoryItems()
        else:
            self._items = SqliteItems(engine_file_of(context, context.data_dir), context.name)
        self._subscribers: list[_Subscriber] = []

    async def open(self) -> None:
        """Open the file.

        Raises:
            ComponentError: it cannot be used.
        """
        await self._items.open()

    async def close(self) -> None:
        """Close the file."""
        await self._items.close()

    async def get(
        self, keys: Sequence[str], metadata: Mapping[str, str], /
    ) -> dict[str, ConfigurationValue]:
        """Return the items that exist of ``keys``; no keys asks for every item."""
        del metadata
        return self._items.read(keys)

    async def subscribe(
        self, keys: Sequence[str], metadata: Mapping[str, str], changed: ConfigurationChanged, /
    ) -> Callable[[], Awaitable[None]]:
        """Tell of every later change of ``keys``, of all items without any."""
        del metadata
        subscriber = _Subscriber(frozenset(keys), changed)
        self._subscribers.append(subscriber)

        async def stop() -> None:
            self._subscribers.remove(subscriber)

        return stop

    async def put(self, key: str, value: str, version: str, /) -> None:
        """Set one item and tell its subscribers.

        Raises:
            ComponentError: the key or the value is empty, which means "not there" on the wire; or
                the item cannot be written.
        """
        if not key or not value:
            raise ComponentError(
                "a configuration item needs a key and a value: an empty value means that the item "
                "is not there; remove it instead"
            )
        item = ConfigurationValue(value, version)
        await self._items.put(key, item)
        self._tell(key, item)

    async def remove(self, key: str, /) -> bool:
        """Remove one item and tell its subscribers; False when it was not there."""
        was_there = await self._items.remove(key)
        if was_there:
            self._tell(key, REMOVED)
        return was_there

    def _tell(self, key: str, item: ConfigurationValue) -> None:
        for subscriber in tuple(self._subscribers):
            if not subscriber.keys or key in subscriber.keys:
                _ = subscriber.changed({key: item})  # in their own time; their order is kept
