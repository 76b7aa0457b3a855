"""``daprflow new``: a project that runs and passes its tests."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.voice import printable
from daprflow.templates.place import place, require_room
from daprflow.templates.project import Template, names_of, project

TOOLS = "pip install -U pip && pip install --group dev"
"""An old pip, as a fresh environment has it, knows no groups."""


def new(
    name: Annotated[str, typer.Argument(help="The project's folder; its last part names it.")],
    *,
    template: Annotated[Template, typer.Option(help="What it begins with.")] = Template.SERVICE,
) -> None:
    """Make a project that runs and passes its tests: an app, tests, settings for tools."""
    folder = Path(name)
    names = names_of(folder.resolve().name)
    require_room(folder)
    place(folder, project(names, template))
    typer.echo(printable(f"made '{folder}': app '{names.app_id}', package '{names.package}'"))
    if folder.resolve() != Path.cwd():
        typer.echo(printable(f"  cd {shlex.quote(str(folder))}"))
    typer.echo(f"  daprflow run {names.package}")
    typer.echo(f"  {TOOLS}")
    typer.echo("  pytest")
