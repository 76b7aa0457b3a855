"""``daprflow check``: every mistake that can be found without running the app."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from daprflow.cli.voice import complain, counted, printable
from daprflow.errors import AppDefinitionError, MissingExtra
from daprflow.launcher.child import freeze
from daprflow.launcher.exits import Exit
from daprflow.launcher.target import load, resolve
from daprflow.settings import SettingsError

SOME_TOKEN = "token-of-daprflow-check"  # noqa: S105 - any value will do


def check(
    target: Annotated[str, typer.Argument(help="module:app, a file, or a folder.")],
) -> None:
    """Freeze an app and send it every request a sidecar would; exit with 1 on any problem."""
    from daprflow.launcher.checking import blocked, probes  # noqa: PLC0415 - imports the channel

    loaded = load(resolve(target, Path.cwd()))
    try:
        frozen = freeze(loaded)
        loaded.app.check()
    except AppDefinitionError as error:
        _report(error.problems)
    except (MissingExtra, SettingsError) as error:
        _report((str(error),))
    token = os.environ.get("APP_API_TOKEN") or SOME_TOKEN
    problems = asyncio.run(blocked(loaded, frozen, token))
    if problems:
        _report(tuple(problems))
    for warning in loaded.app.warnings():
        complain(f"warning: {warning}")
    typer.echo(
        f"app '{printable(frozen.app_id)}' is sound: {counted(len(frozen.handlers), 'handler')}; "
        f"a sidecar's {counted(len(probes(frozen)), 'probe')} got through"
    )


def _report(problems: tuple[str, ...]) -> NoReturn:
    for problem in problems:
        complain(problem)
    raise typer.Exit(Exit.FAILED)
