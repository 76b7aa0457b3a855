"""``daprflow routes``: what a sidecar would call."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.voice import counted, printable
from daprflow.launcher.child import freeze
from daprflow.launcher.target import load, resolve

WIDE = 1000


def routes(
    target: Annotated[str, typer.Argument(help="module:app, a file, or a folder.")],
) -> None:
    """Print the handlers of an app and the paths a sidecar calls them on."""
    from rich.console import Console  # noqa: PLC0415 - only where something is printed
    from rich.table import Table  # noqa: PLC0415

    frozen = freeze(load(resolve(target, Path.cwd())))
    table = Table(box=None, pad_edge=False)
    for head in ("kind", "name", "verb", "path", "handler", "payload", "source", "options"):
        table.add_column(head, overflow="fold")
    for row in frozen.handlers:
        path = (row.method or "-", row.path or "-")
        options = " ".join(f"{name}={value}" for name, value in row.options.items())
        cells = (row.kind, row.name, *path, row.handler, row.payload, row.source, options)
        table.add_row(*map(printable, cells))
    # Where nobody watches, a line is as long as it needs to be.
    width = None if sys.stdout.isatty() else WIDE
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    console.print(
        f"app '{printable(frozen.app_id)}' has {counted(len(frozen.handlers), 'handler')}"
    )
    console.print(table)
