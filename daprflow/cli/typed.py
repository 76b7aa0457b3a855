"""What is typed after a poke: data or where they are, metadata, times to live."""

import sys
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer

from daprflow.cli.workflow_words import period
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol.operations import segment

UNSET = msgspec.UNSET

Metadata = Annotated[
    list[str] | None,
    typer.Option("--metadata", help="name=value, for the component; may repeat."),
]
DATA = "JSON, else text; @FILE is a file's content, - is standard input, @@ begins with an @."


class Carried(NamedTuple):
    """A value as ``--json`` shows it: one of the three is set.

    Attributes:
        data: JSON, exactly as it came.
        text: what is no JSON.
        base64: what is no text.
    """

    data: msgspec.Raw | msgspec.UnsetType = UNSET
    text: str | msgspec.UnsetType = UNSET
    base64: str | msgspec.UnsetType = UNSET


def carried(body: bytes) -> Carried:
    """Return a value in the form that ``--json`` shows; all is unset where there is none."""
    if not body:
        return Carried()
    if is_json(body):
        return Carried(data=msgspec.Raw(body))
    try:
        return Carried(text=body.decode())
    except UnicodeDecodeError:
        return Carried(base64=b64encode(body).decode())


def is_json(body: bytes) -> bool:
    """Tell whether a value is one JSON document."""
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def data_of(text: str) -> bytes:
    """Return the data that were typed, or those of the file or the pipe that was named.

    Raises:
        LaunchError: the file cannot be read.
    """
    if text in {"-", "@-"}:
        return sys.stdin.buffer.read()
    if text.startswith("@@") or not text.startswith("@"):
        return text.removeprefix("@").encode("utf-8", "surrogateescape")
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise LaunchError(f"cannot read '{text[1:]}': {error.strerror}", Exit.USAGE) from None


def json_of(body: bytes, what: str) -> msgspec.Raw:
    """Return data as JSON: as they are where they are that, else as a JSON string.

    Raises:
        BadParameter: they are neither JSON nor text.
    """
    if is_json(body):
        return msgspec.Raw(body)
    try:
        return msgspec.Raw(msgspec.json.encode(body.decode()))
    except UnicodeDecodeError:
        raise typer.BadParameter(
            f"{what} is neither JSON nor UTF-8; write it as JSON, such as base64 in a string"
        ) from None


def pairs(items: Sequence[str] | None, ttl: str | None = None) -> dict[str, str]:
    """Return metadata by name.

    Args:
        items: each ``name=value``.
        ttl: a time to live, which is metadata, too.

    Raises:
        BadParameter: an item or the time is wrong.
    """
    found = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"--metadata '{item}' is not name=value")
        found[name] = value
    if ttl is not None:
        found["ttlInSeconds"] = str(seconds(ttl, "--ttl"))
    return found


def seconds(text: str, option: str) -> int:
    """Return whole seconds from a number of them, or from a length of time such as ``2h30m``.

    Raises:
        BadParameter: it is neither, or less than a second.
    """
    if text.isdecimal() and int(text) > 0:
        return int(text)
    length = period(text, option).total_seconds()
    if length < 1:
        raise typer.BadParameter(f"{option} '{text}' is less than a second")
    return round(length)


def named(text: str, what: str) -> str:
    """Return a name that can stand in a path.

    Raises:
        BadParameter: it is empty or no UTF-8.
    """
    try:
        segment(text)
    except (ValueError, UnicodeEncodeError):
        raise typer.BadParameter(f"{what} is empty or no UTF-8") from None
    return text
