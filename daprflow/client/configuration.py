"""Typed items of configuration stores: read once, followed, or kept at hand."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from daprflow.client.caller import Caller
from daprflow.client.watching import REMOVED, Watch, read_items
from daprflow.errors import NotFound, SidecarError
from daprflow.handlers.config_values import ItemReader
from daprflow.handlers.envelopes import ConfigItem
from daprflow.protocol.configuration import ConfigurationItem

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL: Final = timedelta(seconds=5)
REREAD: Final = timedelta(seconds=60)
PATIENCE = 5.0
"""Seconds that the first reading may take before defaults are used."""


class _Missing:
    """Stands where no default was given."""


_MISSING: Final = _Missing()
Keys = str | Sequence[str]


class Configuration:
    """One configuration store or several, the earlier ones first.

    Make it with ``client.configuration("settings")``, or with
    ``client.configuration("overrides", "settings")``: an item is taken from the first store that
    has it. A store that cannot be read is passed over when there are others, and a warning says so.

    A value is text in the store: ``str`` and ``bytes`` are that text, any other type is read as
    JSON, or, where it is none, as what the text alone can mean (an enum's value, a date).

    Raises:
        ValueError: a name is empty, or there is none.

    Example:
        ```python
        limits = await client.configuration("settings").get("limits", Limits, default=Limits(1))
        ```
    """

    def __init__(self, caller: Caller, stores: tuple[str, ...]) -> None:
        if not stores or not all(stores):
            raise ValueError("a configuration store's name is missing; give its component's name")
        self._caller = caller
        self._stores = stores
        self._reader = ItemReader(caller.codecs)

    @overload
    async def get(self, key: str, payload: type[T], /) -> ConfigItem[T] | None: ...
    @overload
    async def get(self, key: str, payload: type[T], /, *, default: T) -> ConfigItem[T]: ...
    async def get(
        self, key: str, payload: type[T], /, *, default: T | _Missing = _MISSING
    ) -> ConfigItem[T] | None:
        """Return one item with its value decoded to ``payload``, None where there is none.

        Args:
            key: the item's.
            payload: the value's type.
            default: what it is where no store has the item, and while no store can be read.

        Raises:
            ValueError: the value is not a ``payload``.
            SidecarError: a store cannot be read, none of the others has the item, and there is no
                default.

        Example:
            ```python
            item = await client.configuration("settings").get("limits", Limits)
            if item is not None:
                print(item.value.daily, item.version)
            ```
        """
        try:
            found = await self._read((key,))
        except SidecarError as error:
            if isinstance(default, _Missing):
                raise
            logger.warning("the default of configuration item '%s' is used: %s", key, error)
            found = {}
        if key in found:
            return self._reader.read(key, found[key], payload)
        return None if isinstance(default, _Missing) else ConfigItem(key, default)

    async def get_many(self, keys: Keys, payload: type[T], /) -> dict[str, ConfigItem[T]]:
        """Return the items that exist of ``keys``, by key; no keys asks for every item.

        Raises:
            ValueError: a value is not a ``payload``.
            SidecarError: a store cannot be read and the others do not have all of ``keys``.

        Example:
            ```python
            items = await client.configuration("settings").get_many(["limits", "bonus"], Limits)
            ```
        """
        found = await self._read(_tuple(keys))
        return {key: self._reader.read(key, item, payload) for key, item in found.items()}

    @overload
    def subscribe(
        self, keys: Keys, payload: type[T], /, *, every: timedelta = ...
    ) -> AsyncGenerator[ConfigItem[T | None], None]: ...
    @overload
    def subscribe(
        self, keys: Keys, payload: type[T], /, *, default: T, every: timedelta = ...
    ) -> AsyncGenerator[ConfigItem[T], None]: ...
    async def subscribe(
        self,
        keys: Keys,
        payload: type[T],
        /,
        *,
        default: T | _Missing = _MISSING,
        every: timedelta = POLL,
    ) -> AsyncGenerator[ConfigItem[Any], None]:
        """Go through the items there are, then through every change, without end.

        Of an item that changes faster than it is taken, only the newest value comes. A removed item
        comes with the default or, without one, with None; so does a missing one at first where a
        default is given. A value that is not a ``payload`` is left out, with an error in the log.
        Use `contextlib.aclosing` to end the subscription the moment the loop is left.

        Inside an app that is served the sidecar posts changes to it. A client that stands alone
        has nobody that a sidecar could call over HTTP, so it reads again every now and then.

        Args:
            keys: one key, or several; none asks for every item.
            payload: the type of the values.
            default: the value of an item that is not there, also while no store can be read.
            every: how often a client without an app reads.

        Yields:
            each item with its value decoded.

        Raises:
            ValueError: ``every`` is not above 0.

        Example:
            ```python
            async for item in client.configuration("settings").subscribe("limits", Limits):
                print(item.key, "is now", item.value)
            ```
        """
        text = None if isinstance(default, _Missing) else default
        known: set[str] = set()
        async with self.live(*_tuple(keys), every=every) as live:
            async for key, item in live.changes():
                if item is not None:
                    try:
                        yield self._reader.read(key, item, payload)
                    except ValueError as error:
                        logger.error("%s", error)  # noqa: TRY400 - the text says all
                        continue
                elif text is not None or key in known:
                    yield ConfigItem(key, text)
                known.add(key)

    def live(self, *keys: str, every: timedelta = POLL) -> "LiveConfiguration":
        """Return a local copy of some items, of all without keys, that follows their changes.

        ``async with settings.live("limits") as live:`` reads once, for at most five seconds; when
        the store is away it begins empty, and the defaults count until the store is back.

        Args:
            keys: what to keep.
            every: how often a client without an app reads; see `subscribe`.

        Example:
            ```python
            async with client.configuration("settings").live("limits") as live:
                limits = live.get("limits", Limits, default=Limits(1))
            ```
        """
        return LiveConfiguration(self._caller, self._stores, keys, every)

    async def _read(self, keys: tuple[str, ...]) -> dict[str, ConfigurationItem]:
        """Return the items of the first store that has each."""
        found: dict[str, ConfigurationItem] = {}
        failed: SidecarError | None = None
        for store in self._stores:
            left = tuple(key for key in keys if key not in found)
            if keys and not left:
                break
            try:
                items = await read_items(self._caller, store, left)
            except SidecarError as error:
                failed = failed or error
                if len(self._stores) > 1:
                    logger.warning("configuration store '%s' is passed over: %s", store, error)
                continue
            found = {**items, **found}
        if failed is not None and (not keys or len(found) < len(keys)):
            raise failed
        return found


class LiveConfiguration:
    """A local copy of configuration items that follows their changes.

    Reading it costs no call. Make it with ``client.configuration(...).live(...)`` and use it with
    ``async with``.

    Raises:
        ValueError: ``every`` is not above 0.

    Example:
        ```python
        async with client.configuration("settings").live("limits") as live:
            print(live.get("limits", Limits, default=Limits(1)).daily)
        ```
    """

    def __init__(
        self,
        caller: Caller,
        stores: tuple[str, ...],
        keys: tuple[str, ...],
        every: timedelta,
    ) -> None:
        if every <= timedelta(0):
            raise ValueError(f"'every' is {every}; it must be longer than 0")
        self._reader = ItemReader(caller.codecs)
        self._keys = keys
        self._changes: list[_Changed] = []
        pushes = caller.way.pushes
        seconds = (every if pushes is None else REREAD).total_seconds()
        self._watches = [
            Watch(caller, store, keys, self._note, pushes=pushes, every=seconds) for store in stores
        ]
        self._shown: dict[str, ConfigurationItem] = {}

    async def __aenter__(self) -> Self:
        """Read for the first time, then follow."""
        await asyncio.gather(*(watch.first(PATIENCE) for watch in self._watches))
        for watch in self._watches:
            watch.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the subscription."""
        await asyncio.gather(*(watch.close() for watch in self._watches))

    @property
    def stale(self) -> bool:
        """Whether some store could not be read the last time; what it had then is still shown."""
        return any(watch.error is not None for watch in self._watches)

    @overload
    def get(self, key: str, payload: type[T], /) -> T: ...
    @overload
    def get(self, key: str, payload: type[T], /, *, default: T) -> T: ...
    def get(self, key: str, payload: type[T], /, *, default: T | _Missing = _MISSING) -> T:
        """Return the value of an item as it is now.

        Args:
            key: one of those that are kept.
            payload: the value's type.
            default: what to return where the item is not there.

        Raises:
            NotFound: the item is not there, and no default is given.
            ValueError: the value is not a ``payload``.
            KeyError: this copy was not asked to keep that key.

        Example:
            ```python
            async with client.configuration("settings").live() as live:
                limits = live.get("limits", Limits, default=Limits(1))
            ```
        """
        found = self.item(key, payload)
        if found is not None:
            return found.value
        if isinstance(default, _Missing):
            names = ", ".join(f"'{watch.store}'" for watch in self._watches)
            raise NotFound(f"configuration item '{key}' is not in {names}; give a default")
        return default

    def item(self, key: str, payload: type[T], /) -> ConfigItem[T] | None:
        """Return an item as it is now, None where it is not there.

        Args:
            key: one of those that are kept.
            payload: the value's type.

        Raises:
            KeyError: this copy was not asked to keep that key.
            ValueError: the value is not a ``payload``.

        Example:
            ```python
            async with client.configuration("settings").live() as live:
                item = live.item("limits", Limits)
                version = item.version if item else ""
            ```
        """
        if self._keys and key not in self._keys:
            raise KeyError(f"key '{key}' is not kept here; name it in 'live(...)'")
        found = self._now(key)
        return None if found.removed else self._reader.read(key, found, payload)

    async def changes(self) -> AsyncGenerator[tuple[str, ConfigurationItem | None], None]:
        """Go through every item there is, then through each that changes; None is a missing one.

        Yields:
            the item's key, and the item with its text, None where it is missing.

        Example:
            ```python
            async with client.configuration("settings").live() as live:
                async for key, item in live.changes():
                    print(key, "is gone" if item is None else item.value)
            ```
        """
        changed = _Changed(self._keys or self._shown)
        told: dict[str, ConfigurationItem | None] = {}
        self._changes.append(changed)
        try:
            while True:
                key = await changed.next()
                now = self._now(key)
                item = None if now.removed else now
                if key not in told or told[key] != item:
                    told[key] = item
                    yield key, item
        finally:
            self._changes.remove(changed)

    def _now(self, key: str) -> ConfigurationItem:
        """Return an item from the first store that has it."""
        for watch in self._watches:
            item = watch.items.get(key, REMOVED)
            if not item.removed:
                return item
        return REMOVED

    async def _note(self, key: str, item: ConfigurationItem) -> None:
        """Take note of a change; the watch shows it right after."""
        self._shown[key] = item
        for changed in self._changes:
            changed.add(key)


class _Changed:
    """The keys that changed and were not looked at yet, each once."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = dict.fromkeys(keys)
        self._some = asyncio.Event()

    def add(self, key: str) -> None:
        self._keys[key] = None
        self._some.set()

    async def next(self) -> str:
        while not self._keys:
            self._some.clear()
            await self._some.wait()
        key = next(iter(self._keys))
        del self._keys[key]
        return key


def _tuple(keys: Keys) -> tuple[str, ...]:
    return (keys,) if isinstance(keys, str) else tuple(keys)
