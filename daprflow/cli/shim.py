"""``daprflow shim``: a program called ``dapr`` that hands over to daprflow."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import NAME

PROGRAM = "dapr"
MARK = "# Written by 'daprflow shim'."


def shim(
    folder: Annotated[Path, typer.Argument(help="Folder to write 'dapr' into.", metavar="DIR")],
    *,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Data folder of all that it runs; else .daprflow in DIR."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a 'dapr' that is another program.")
    ] = False,
) -> None:
    """Write a program called 'dapr' that hands over to daprflow, for tools that start it."""
    target = folder / PROGRAM
    home = (data_dir or folder / NAME).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not force and target.exists() and MARK not in _text(target):
            raise LaunchError(
                f"'{target}' is another program; name another folder, or replace it with --force",
                Exit.USAGE,
            )
        draft = target.with_name(f".{PROGRAM}.{os.getpid()}")
        draft.write_text(script(sys.executable, home), encoding="utf-8")
        draft.chmod(0o755)
        draft.replace(target)
    except OSError as error:
        raise LaunchError(f"cannot write '{target}': {error.strerror}") from None
    typer.echo(f"wrote {target}")
    typer.echo(f'put it first on PATH: export PATH="{folder.absolute()}:$PATH"')


def script(python: str, data_dir: Path) -> str:
    """Return the program's text; ``-P`` keeps modules of the working folder out of it."""
    words = [python, "-P", "-m", "daprflow.cli.dapr", str(data_dir)]
    command = " ".join(shlex.quote(word) for word in words)
    return f'#!/bin/sh\n{MARK}\nexec {command} "$@"\n'


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(4096).decode(errors="replace")
