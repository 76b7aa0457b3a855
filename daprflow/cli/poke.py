"""What every poke has: the options that find a sidecar, its answer as text or JSON, its errors."""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from daprflow.cli.calls import (
    CALL_SECONDS,
    DEFAULT_DATA_DIR,
    DataDir,
    HttpPort,
    Place,
    Refused,
    exchange,
    find,
    refusal,
)
from daprflow.cli.completion import app_ids
from daprflow.cli.voice import printable, put
from daprflow.errors import DaprFlowError
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol.http import HttpRequest, HttpResponse

ERRORS = 400

AppId = Annotated[
    str | None,
    typer.Option(
        "--app-id",
        help="The app whose sidecar is called, where several run here.",
        autocompletion=app_ids,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, and errors as JSON to standard error.")
]
Seconds = Annotated[
    float, typer.Option("--timeout", help="Seconds to wait for the sidecar.", min=0.001)
]
OPTIONS = (
    ("as_json", AsJson, False),
    ("app_id", AppId, None),
    ("timeout", Seconds, CALL_SECONDS),
    ("dapr_http_port", HttpPort, None),
    ("data_dir", DataDir, DEFAULT_DATA_DIR),
)


class Problem(msgspec.Struct, frozen=True):
    """An error as ``--json`` shows it.

    Attributes:
        code: the sidecar's, such as ``ERR_STATE_GET``, or one of ours.
        status: the HTTP status of its answer; 0 where there was none.
    """

    code: str
    message: str
    status: int = 0


@dataclass(frozen=True, slots=True)
class Poke:
    """How a command was asked to reach a sidecar, and to speak."""

    as_json: bool = False
    app_id: str | None = None
    timeout: float = CALL_SECONDS
    dapr_http_port: int | None = None
    data_dir: Path = DEFAULT_DATA_DIR

    def place(self, *, alone: bool = False, prefer: str | None = None) -> Place:
        """Return the sidecar to call.

        Args:
            alone: refuse to choose where several apps run and none is named.
            prefer: the app whose sidecar is taken if none is named.

        Raises:
            LaunchError: nothing runs there, or not that app, or it takes a choice.
        """
        app_id = self.app_id or prefer
        only = self.app_id is not None
        return find(self.dapr_http_port, self.data_dir, app_id, only=only, alone=alone)

    def ask(self, place: Place, request: HttpRequest) -> HttpResponse:
        """Call the sidecar.

        Raises:
            Refused: nobody answers, or the answer is an error.
        """
        response = self.hear(place, request)
        if response.status >= ERRORS:
            raise refusal(response)
        return response

    def hear(self, place: Place, request: HttpRequest) -> HttpResponse:
        """Call the sidecar, and return even an answer that is an error.

        Raises:
            Refused: nobody answers.
        """
        return exchange(place, request, self.timeout)

    def tell(self, text: str, shown: object) -> None:
        """Print a line for people, or the same as JSON."""
        if self.as_json:
            self.show(shown)
        elif text:
            put(sys.stdout, printable(text) + "\n")

    def give(self, body: bytes, shown: object) -> None:
        """Print what was answered byte by byte, and end the line; or the same as JSON."""
        if self.as_json:
            self.show(shown)
            return
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        if body and not body.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    def show(self, shown: object) -> None:
        """Print JSON."""
        put(sys.stdout, pretty(shown) + "\n")


def pretty(shown: object) -> str:
    """Return JSON for people and programs; numbers stand as a sidecar wrote them."""
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()


def poke(command: Callable[..., None]) -> Callable[..., None]:
    r"""Give a command the options of all pokes, handed over as keyword ``to``; tell its errors.

    The text of ``--help`` is the command's docstring; lines below a ``\b`` stand as they are.
    """
    own = inspect.signature(command).parameters
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, kind, default in OPTIONS
    ]

    @functools.wraps(command)
    def with_options(*arguments: Any, **given: Any) -> None:
        values = {name: given.pop(name, default) for name, _, default in OPTIONS}
        to = Poke(**values)
        with told(as_json=to.as_json):
            command(*arguments, to=to, **given)

    parameters = [*(each for name, each in own.items() if name != "to"), *added]
    with_options.__dict__.pop("__wrapped__")
    with_options.__dict__["__signature__"] = inspect.Signature(parameters)
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


@contextlib.contextmanager
def told(*, as_json: bool) -> Iterator[None]:
    """Print what goes wrong as JSON, where that was asked for; else leave it to `main`."""
    try:
        yield
    except DaprFlowError as error:
        if not as_json:
            raise
        raise typer.Exit(_complained(error)) from None


def _complained(error: DaprFlowError) -> int:
    """Print an error as JSON; return the exit code."""
    exit_code = error.code if isinstance(error, LaunchError) else Exit.FAILED
    problem = Problem(exit_code.name, str(error))
    if isinstance(error, Refused):
        problem = Problem(error.error_code or exit_code.name, error.message, error.status)
    put(sys.stderr, msgspec.json.encode(problem).decode() + "\n")
    return exit_code


def group(summary: str) -> typer.Typer:
    """Return an empty group of pokes."""
    return typer.Typer(
        help=summary, short_help=summary, no_args_is_help=True, rich_markup_mode=None
    )


def command_of(
    commands: typer.Typer, name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a poke of a group; its summary is given as it is, or it would be cut."""

    def made(function: Callable[..., None]) -> Callable[..., None]:
        summary = str(function.__doc__).partition("\n")[0]
        return commands.command(name, short_help=summary)(poke(function))

    return made
