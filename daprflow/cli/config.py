"""``daprflow config``: the items of the built-in configuration stores."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import msgspec
import typer

from daprflow.cli.calls import (
    DEFAULT_DATA_DIR,
    JSON,
    DataDir,
    HttpPort,
    Place,
    call,
    find,
)
from daprflow.cli.voice import printable
from daprflow.launcher import kept_configuration as kept
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder
from daprflow.protocol.configuration import ConfigurationItem

Items = dict[str, ConfigurationItem]
_items = msgspec.json.Decoder(Items)
_names = msgspec.json.Decoder(list[str])


class Action(StrEnum):
    """What is done with an item."""

    SET = "set"
    GET = "get"
    DELETE = "delete"
    LIST = "list"


def config(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    store: Annotated[str | None, typer.Argument(help="Name of the configuration store.")] = None,
    key: Annotated[str | None, typer.Argument(help="The item's key.")] = None,
    value: Annotated[str | None, typer.Argument(help="The item's value, for set.")] = None,
    *,
    version: Annotated[str, typer.Option(help="The item's version, for set.")] = "",
    dapr_http_port: HttpPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Set, get, delete or list items of the configuration stores that run here.

    config set STORE KEY VALUE, config get STORE KEY, config delete STORE KEY, config list [STORE].
    Whoever follows an item is told at once. Where nothing runs, what the next run will find is
    read and written.
    """
    _check(action, store, key, value)
    running = dapr_http_port is not None or _runs(data_dir)
    items: _Stores = _Running(find(dapr_http_port, data_dir)) if running else _Kept(data_dir)
    name, item = store or "", key or ""
    match action:
        case Action.SET:
            items.put(name, item, ConfigurationItem(value or "", version))
            typer.echo(f"set '{item}' in '{name}'{'' if running else '; nothing runs here now'}")
        case Action.DELETE:
            items.remove(name, item)
            typer.echo(f"deleted '{item}' from '{name}'")
        case Action.GET:
            found = items.read(name, item)
            if item not in found:
                raise LaunchError(f"there is no item '{item}' in '{name}'", Exit.FAILED)
            typer.echo(printable(found[item].value))
        case Action.LIST:
            for each in [name] if name else items.names():
                for found_key, found_item in items.read(each, "").items():
                    shown = f"{each} {found_key} {found_item.version or '-'} {found_item.value}"
                    typer.echo(printable(shown))


def _check(action: Action, store: str | None, key: str | None, value: str | None) -> None:
    """Refuse what is missing or too much.

    Raises:
        LaunchError: something is.
    """
    wanted = {Action.SET: 3, Action.GET: 2, Action.DELETE: 2, Action.LIST: int(bool(store))}
    given = [each for each in (store, key, value) if each is not None]
    if len(given) != wanted[action] or not all(given):
        usage = {Action.SET: "STORE KEY VALUE", Action.LIST: "[STORE]"}.get(action, "STORE KEY")
        raise LaunchError(f"write 'daprflow config {action} {usage}'", Exit.USAGE)


def _runs(data_dir: Path) -> bool:
    running = DataFolder(data_dir).running()
    return running is not None and bool(running.apps)


class _Stores:
    """The stores, wherever they are."""

    def names(self) -> list[str]:
        """Return the stores that can be changed."""
        raise NotImplementedError

    def read(self, store: str, key: str) -> Items:
        """Return one item, or all where ``key`` is empty."""
        raise NotImplementedError

    def put(self, store: str, key: str, item: ConfigurationItem) -> None:
        """Set one item."""
        raise NotImplementedError

    def remove(self, store: str, key: str) -> None:
        """Remove one item."""
        raise NotImplementedError


class _Running(_Stores):
    """Those of a sidecar that runs."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def names(self) -> list[str]:
        """Ask which stores there are."""
        return _names.decode(self._own("GET", "", None))

    def read(self, store: str, key: str) -> Items:
        """Read through Dapr's API, so that stores with a server of their own are read, too."""
        query = f"?{urlencode({'key': key})}" if key else ""
        path = f"/v1.0/configuration/{quote(store, safe='')}{query}"
        return _items.decode(call(self._place, "GET", path, None, JSON) or b"{}")

    def put(self, store: str, key: str, item: ConfigurationItem) -> None:
        """Set one item and have its followers told."""
        self._own("PUT", _path(store, key), msgspec.json.encode(item))

    def remove(self, store: str, key: str) -> None:
        """Remove one item and have its followers told."""
        self._own("DELETE", _path(store, key), None)

    def _own(self, verb: str, path: str, body: bytes | None) -> bytes:
        try:
            return call(self._place, verb, f"/daprflow/configuration{path}", body, JSON)
        except LaunchError as error:
            if "ERR_DIRECT_INVOKE" in str(error):
                raise LaunchError(
                    "the sidecar here is a real runtime, which only reads configuration; change "
                    "the store's server instead",
                    Exit.FAILED,
                ) from None
            raise


class _Kept(_Stores):
    """Those of the next run, in the data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = DataFolder(data_dir)

    def names(self) -> list[str]:
        """Return the stores that have items."""
        return kept.names(self._folder)

    def read(self, store: str, key: str) -> Items:
        """Read the file."""
        return kept.read(self._folder, store, key)

    def put(self, store: str, key: str, item: ConfigurationItem) -> None:
        """Write the file."""
        kept.put(self._folder, store, key, item)

    def remove(self, store: str, key: str) -> None:
        """Write the file."""
        if not kept.remove(self._folder, store, key):
            raise LaunchError(f"there is no item '{key}' in '{store}'", Exit.FAILED)


def _path(store: str, key: str) -> str:
    return f"/{quote(store, safe='')}/{quote(key, safe='')}"
