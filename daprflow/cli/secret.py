"""``daprflow secret``: the names of secrets, and one value for who asks for it."""

import sys
from typing import Annotated

import msgspec
import typer

from daprflow.cli.calls import Refused
from daprflow.cli.completion import components
from daprflow.cli.poke import Poke, poke
from daprflow.cli.typed import Metadata, named, pairs
from daprflow.cli.voice import put
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol import operations
from daprflow.protocol.http import HttpRequest

NOT_FOUND = "not found"
_one = msgspec.json.Decoder(dict[str, str])
_all = msgspec.json.Decoder(dict[str, dict[str, str]])


class Names(msgspec.Struct, frozen=True):
    """The names of a store's secrets, or of the pairs of one, as ``--json`` prints them."""

    store: str
    names: tuple[str, ...]


class Secret(msgspec.Struct, frozen=True):
    """One secret with its values, by the names of its pairs."""

    store: str
    name: str
    values: dict[str, str]


@poke
def secret(
    store: Annotated[
        str,
        typer.Argument(help="Name of the secret store.", autocompletion=components("secretstores")),
    ],
    name: Annotated[
        str | None, typer.Argument(help="Name of a secret; else all are listed.")
    ] = None,
    *,
    names_only: Annotated[
        bool, typer.Option("--names-only", help="Print names and no value; so it is without.")
    ] = False,
    value: Annotated[
        bool, typer.Option("--value", help="Print the value of the one that is named.")
    ] = False,
    metadata: Metadata = None,
    to: Poke,
) -> None:
    """List the names of a store's secrets; print a value only when asked for one.

    A value is printed for one secret and with --value alone: what is printed stays in terminals
    and logs. A missing secret is the exit code 3.

    \b
    daprflow secret vault --names-only
    daprflow secret vault dsn
    DSN=$(daprflow secret vault dsn --value)
    """  # noqa: D301 - the backspace is for the help's layout
    if value and (names_only or name is None):
        raise typer.BadParameter("--value takes the name of one secret, and no --names-only")
    asked = pairs(metadata)
    named(store, "STORE")
    if name is None:
        answer = to.ask(to.place(), operations.get_secrets(store, asked))
        found = Names(store, tuple(sorted(_all.decode(answer.body or b"{}"))))
        to.tell("\n".join(found.names), found)
        return
    request = operations.get_secret(store, named(name, "NAME"), asked)
    values = _read(to, request, store, name)
    if not value:
        to.tell(f"secret '{name}' is in '{store}'", Names(store, tuple(sorted(values))))
    elif to.as_json:
        to.show(Secret(store, name, values))
    else:
        put(sys.stdout, _chosen(values, store, name) + "\n")


def _read(to: Poke, request: HttpRequest, store: str, name: str) -> dict[str, str]:
    missing = LaunchError(f"there is no secret '{name}' in '{store}'", Exit.MISSING)
    try:
        answer = to.ask(to.place(), request)
    except Refused as error:
        # A runtime answers 500 whatever the reason is; only its text tells.
        if error.error_code == "ERR_SECRET_GET" and NOT_FOUND in error.message:
            raise missing from None
        raise
    values = _one.decode(answer.body or b"{}")
    if not any(values.values()):
        raise missing
    return values


def _chosen(values: dict[str, str], store: str, name: str) -> str:
    """Return the value that is meant: that of the pair called as the secret, else the only one."""
    if name in values:
        return values[name]
    if len(values) == 1:
        return next(iter(values.values()))
    known = ", ".join(f"'{each}'" for each in sorted(values))
    raise LaunchError(
        f"secret '{name}' in '{store}' has several pairs: {known}; --json prints all of them"
    )
