"""``daprflow state``: the keys of a state store."""

from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from daprflow.cli.completion import components, keys
from daprflow.cli.poke import Poke, command_of, group
from daprflow.cli.state_keys import Asked, list_keys
from daprflow.cli.typed import DATA, UNSET, Metadata, carried, data_of, json_of, named, pairs
from daprflow.cli.voice import complain
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol import state as wire
from daprflow.protocol.http import HttpResponse
from daprflow.protocol.state import StateItem, StateOptions

NO_CONTENT = 204
_EXPIRES = "metadata.ttlexpiretime"

state = group("Get, set, delete and list the keys of a state store.")


class Concurrency(StrEnum):
    """What a write does where another one came first."""

    FIRST = "first-write"
    LAST = "last-write"


class Consistency(StrEnum):
    """How sure a read or a write is."""

    STRONG = "strong"
    EVENTUAL = "eventual"


Store = Annotated[
    str, typer.Argument(help="Name of the state store.", autocompletion=components("state"))
]
Key = Annotated[str, typer.Argument(help="The key, without the app's prefix.", autocompletion=keys)]
Etag = Annotated[
    str | None, typer.Option(help="Only if the key still has this ETag, as 'get --json' shows it.")
]
Concurrent = Annotated[
    Concurrency | None, typer.Option(help="first-write takes no ETag for a key that is not there.")
]
Consistent = Annotated[Consistency | None, typer.Option(help="strong or eventual.")]


class Value(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A key with its value, as ``--json`` prints it: JSON, text or base64.

    Attributes:
        expires: when it goes, in RFC 3339, where it does and the store tells.
    """

    store: str
    key: str
    etag: str | None = None
    expires: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = UNSET
    text: str | msgspec.UnsetType = UNSET
    base64: str | msgspec.UnsetType = UNSET


class Changed(msgspec.Struct, frozen=True):
    """What ``set`` and ``delete`` print with ``--json``."""

    store: str
    key: str


@command_of(state)
def get(
    store: Store,
    key: Key,
    *,
    consistency: Consistent = None,
    metadata: Metadata = None,
    to: Poke,
) -> None:
    """Print the value of a key; with --json also its ETag. A missing one is the exit code 3.

    \b
    daprflow state get statestore cart:ann
    daprflow state get statestore cart:ann --json | jq -r .etag
    """  # noqa: D301 - the backspace is for the help's layout
    request = wire.get(named(store, "STORE"), named(key, "KEY"), consistency or "", pairs(metadata))
    answer = to.ask(to.place(alone=True), request)
    if answer.status == NO_CONTENT:
        raise LaunchError(f"there is no key '{key}' in state store '{store}'", Exit.MISSING)
    to.give(answer.body, _value(store, key, answer))


@command_of(state, "set")
def put(
    store: Store,
    key: Key,
    data: Annotated[str, typer.Argument(help=f"The value: {DATA}")],
    *,
    etag: Etag = None,
    ttl: Annotated[
        str | None, typer.Option(help="How long the key lives, such as 90s or 2h.")
    ] = None,
    concurrency: Concurrent = None,
    consistency: Consistent = None,
    metadata: Metadata = None,
    to: Poke,
) -> None:
    """Set a key; with --etag only if nobody changed it meanwhile, else the exit code is 5.

    \b
    daprflow state set statestore cart:ann '{"items": 2}' --ttl 1h
    daprflow state set statestore cart:ann @cart.json --etag 7
    """  # noqa: D301 - the backspace is for the help's layout
    options = _options(concurrency, consistency)
    value = json_of(data_of(data), "DATA")
    item = StateItem(named(key, "KEY"), value, etag, pairs(metadata, ttl) or None, options)
    to.ask(to.place(alone=True), wire.save(named(store, "STORE"), (item,)))
    to.tell(f"set '{key}' in '{store}'", Changed(store, key))


@command_of(state)
def delete(
    store: Store,
    key: Key,
    *,
    etag: Etag = None,
    concurrency: Concurrent = None,
    consistency: Consistent = None,
    metadata: Metadata = None,
    to: Poke,
) -> None:
    """Delete a key; one that is not there is no error.

    \b
    daprflow state delete statestore cart:ann
    """  # noqa: D301 - the backspace is for the help's layout
    options = _options(concurrency, consistency)
    item = StateItem(
        named(key, "KEY"), etag=etag, metadata=pairs(metadata) or None, options=options
    )
    to.ask(to.place(alone=True), wire.delete(named(store, "STORE"), item))
    to.tell(f"deleted '{key}' from '{store}'", Changed(store, key))


@command_of(state, "list")
def listing(
    store: Store,
    *,
    prefix: Annotated[str, typer.Option(help="Only keys that begin so.")] = "",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 1000,
    metadata: Metadata = None,
    to: Poke,
) -> None:
    """List the keys of the app, sorted, without values.

    The embedded sidecar lists those of every store. A real runtime has no API for it; where the
    store can be searched (state.postgresql v1, state.mongodb ...) its keys are found by a query.

    \b
    daprflow state list statestore --prefix cart:
    """  # noqa: D301 - the backspace is for the help's layout
    found = list_keys(to, Asked(named(store, "STORE"), prefix, limit, pairs(metadata)))
    to.tell("\n".join(found.keys), found)
    if found.more and not to.as_json:
        complain(f"there are more than {limit} keys; raise --limit, or narrow them with --prefix")


def _options(
    concurrency: Concurrency | None, consistency: Consistency | None
) -> StateOptions | None:
    if concurrency is None and consistency is None:
        return None
    return StateOptions(concurrency or "", consistency or "")


def _value(store: str, key: str, answer: HttpResponse) -> Value:
    etag = answer.header("etag") or None
    expires = answer.header(_EXPIRES) or None
    return Value(store, key, etag, expires, *carried(answer.body))
