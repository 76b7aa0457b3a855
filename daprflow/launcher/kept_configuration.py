"""The items of built-in configuration stores in a data folder where nothing runs."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder, in_use
from daprflow.protocol.configuration import ConfigurationItem
from daprflow.sidecar.components.base import ComponentError, ConfigurationValue
from daprflow.sidecar.components.configuration_items import SqliteItems, stores_of
from daprflow.sidecar.engine_file import FILE, engine_file

T = TypeVar("T")


def names(folder: DataFolder) -> list[str]:
    """Return the stores that have items."""

    async def read() -> list[str]:
        file = engine_file(folder.path / FILE)
        await file.open()
        try:
            with file.reading() as connection:
                return stores_of(connection)
        finally:
            await file.close()

    return _run(folder, read) if _exists(folder) else []


def read(folder: DataFolder, store: str, key: str) -> dict[str, ConfigurationItem]:
    """Return one item of a store, or all where ``key`` is empty."""
    if not _exists(folder):
        return {}
    found = _with(folder, store, lambda items: _now(items.read([key] if key else [])))
    return {name: ConfigurationItem(item.value, item.version) for name, item in found.items()}


def put(folder: DataFolder, store: str, key: str, item: ConfigurationItem) -> None:
    """Set one item."""
    value = ConfigurationValue(item.value, item.version)
    _with(folder, store, lambda items: items.put(key, value))


def remove(folder: DataFolder, store: str, key: str) -> bool:
    """Remove one item; False where there is none."""
    return _exists(folder) and _with(folder, store, lambda items: items.remove(key))


def _exists(folder: DataFolder) -> bool:
    return (folder.path / FILE).exists()


async def _now(value: T) -> T:
    """Return what is at hand."""
    return value


def _with(folder: DataFolder, store: str, use: Callable[[SqliteItems], Awaitable[T]]) -> T:
    """Do something with the items of a store."""

    async def opened() -> T:
        items = SqliteItems(engine_file(folder.path / FILE), store)
        await items.open()
        try:
            return await use(items)
        finally:
            await items.close()

    return _run(folder, opened)


def _run(folder: DataFolder, work: Callable[[], Awaitable[T]]) -> T:
    """Do ``work`` while nobody else uses the folder.

    Raises:
        LaunchError: a run holds it, or the file cannot be used.
    """

    async def whole() -> T:
        return await work()

    with _held(folder):
        try:
            return asyncio.run(whole())
        except ComponentError as error:
            raise LaunchError(str(error), Exit.DATA_FOLDER) from None


@contextlib.contextmanager
def _held(folder: DataFolder) -> Iterator[None]:
    folder.prepare()
    if not folder.lock():
        raise in_use(folder.path)
    try:
        yield
    finally:
        folder.release()
