"""``daprflow config``: the items of configuration stores, read, watched, and where possible set."""

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer

from daprflow.cli.calls import AWAY, JSON, NOTHING, SILENT, Place, Refused
from daprflow.cli.completion import components
from daprflow.cli.poke import Poke, poke
from daprflow.cli.typed import named
from daprflow.cli.voice import complain, printable, put
from daprflow.launcher import kept_configuration as kept
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder
from daprflow.protocol.configuration import ConfigurationItem, get_configuration
from daprflow.protocol.http import HttpRequest

Items = dict[str, ConfigurationItem]
_items = msgspec.json.Decoder(Items)
_names = msgspec.json.Decoder(list[str])


class Action(StrEnum):
    """What is done with an item."""

    SET = "set"
    GET = "get"
    DELETE = "delete"
    LIST = "list"
    WATCH = "watch"


class Shown(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item, as ``--json`` prints it; ``removed`` is one that a watch misses from now on."""

    store: str
    key: str
    value: str | None = None
    version: str = ""
    removed: bool = False


class Written(msgspec.Struct, frozen=True):
    """The item that was set or deleted; ``running`` tells whether a sidecar was told of it."""

    store: str
    key: str
    running: bool


@poke
def config(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    store: Annotated[
        str | None,
        typer.Argument(
            help="Name of the configuration store.", autocompletion=components("configuration")
        ),
    ] = None,
    key: Annotated[str | None, typer.Argument(help="The item's key.")] = None,
    value: Annotated[str | None, typer.Argument(help="The item's value, for set.")] = None,
    *,
    version: Annotated[str, typer.Option(help="The item's version, for set.")] = "",
    every: Annotated[float, typer.Option(help="Seconds between reads, for watch.", min=0.05)] = 1.0,
    to: Poke,
) -> None:
    """Set, get, delete, list or watch items of the configuration stores that run here.

    Whoever follows an item is told at once. Where nothing runs, what the next run will find is
    read and written. A missing item is the exit code 3.

    \b
    daprflow config set settings limits '{"daily": 5}'
    daprflow config get settings limits
    daprflow config delete settings limits
    daprflow config list settings --json
    daprflow config watch settings limits
    """  # noqa: D301 - the backspace is for the help's layout
    _check(action, store, key, value)
    items = _stores(to)
    name, item = store or "", key or ""
    running = isinstance(items, _Running)
    match action:
        case Action.SET:
            items.put(name, item, ConfigurationItem(value or "", version))
            later = "" if running else "; nothing runs here now"
            to.tell(f"set '{item}' in '{name}'{later}", Written(name, item, running))
        case Action.DELETE:
            items.remove(name, item)
            to.tell(f"deleted '{item}' from '{name}'", Written(name, item, running))
        case Action.GET:
            found = items.read(name, item)
            if item not in found:
                raise LaunchError(f"there is no item '{item}' in '{name}'", Exit.MISSING)
            to.tell(found[item].value, _shown(name, item, found[item]))
        case Action.LIST:
            stores = [name] if name else items.names()
            shown = [_shown(s, k, each) for s in stores for k, each in items.read(s, "").items()]
            to.tell("\n".join(map(_line, shown)), shown)
        case Action.WATCH:
            _watch(to, items, (name, item), every)


def _stores(to: Poke) -> "_Stores":
    """Return the stores of the sidecar, or where nothing runs those of the next run."""
    try:
        return _Running(to, to.place())
    except Refused as error:
        if error.error_code != NOTHING:
            raise
        return _Kept(to.data_dir)


def _shown(store: str, key: str, item: ConfigurationItem) -> Shown:
    return Shown(store, key, item.value, item.version)


def _line(shown: Shown) -> str:
    if shown.removed:
        return f"{shown.store} {shown.key} is removed"
    return f"{shown.store} {shown.key} {shown.version or '-'} {shown.value}"


def _watch(to: Poke, items: "_Stores", wanted: tuple[str, str], every: float) -> None:
    """Print each item, then each that changes, a line each, until Ctrl-C.

    The store is read again and again: the push that Dapr has for it goes to apps alone.
    """
    store, key = wanted
    known: Items = {}
    told = False
    while True:
        try:
            found = items.read(store, key)
        except Refused as error:
            if error.error_code not in {AWAY, SILENT} or not (known or told):
                raise
            if not told:
                complain(f"{error}; waiting for it")
            told = True
        else:
            told = False
            gone = [Shown(store, each, removed=True) for each in known.keys() - found.keys()]
            changed = [_shown(store, k, each) for k, each in found.items() if known.get(k) != each]
            for each in (*changed, *gone):
                text = msgspec.json.encode(each).decode() if to.as_json else printable(_line(each))
                put(sys.stdout, text + "\n")
            known = found
        time.sleep(every)


def _check(action: Action, store: str | None, key: str | None, value: str | None) -> None:
    """Refuse what is missing or too much.

    Raises:
        LaunchError: something is.
    """
    given = [each for each in (store, key, value) if each is not None]
    wanted = {
        Action.SET: 3,
        Action.GET: 2,
        Action.DELETE: 2,
        Action.LIST: int(bool(store)),
        Action.WATCH: 1 + int(bool(key)),
    }
    if len(given) != wanted[action] or not all(given):
        usages = {
            Action.SET: "STORE KEY VALUE",
            Action.LIST: "[STORE]",
            Action.WATCH: "STORE [KEY]",
        }
        usage = usages.get(action, "STORE KEY")
        raise LaunchError(f"write 'daprflow config {action} {usage}'", Exit.USAGE)


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

    def __init__(self, to: Poke, place: Place) -> None:
        self._to = to
        self._place = place

    def names(self) -> list[str]:
        """Ask which stores there are."""
        return _names.decode(self._own("GET", "", None))

    def read(self, store: str, key: str) -> Items:
        """Read through Dapr's API, so that stores with a server of their own are read, too."""
        request = get_configuration(named(store, "STORE"), [key] if key else [])
        return _items.decode(self._to.ask(self._place, request).body or b"{}")

    def put(self, store: str, key: str, item: ConfigurationItem) -> None:
        """Set one item and have its followers told."""
        self._own("PUT", _path(store, key), msgspec.json.encode(item))

    def remove(self, store: str, key: str) -> None:
        """Remove one item and have its followers told."""
        self._own("DELETE", _path(store, key), None)

    def _own(self, verb: str, path: str, body: bytes | None) -> bytes:
        headers = (("content-type", JSON),) if body is not None else ()
        request = HttpRequest(verb, f"/daprflow/configuration{path}", headers, body or b"")
        try:
            return self._to.ask(self._place, request).body
        except Refused as error:
            if error.error_code == "ERR_DIRECT_INVOKE":
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
            raise LaunchError(f"there is no item '{key}' in '{store}'", Exit.MISSING)


def _path(store: str, key: str) -> str:
    return f"/{quote(store, safe='')}/{quote(key, safe='')}"
