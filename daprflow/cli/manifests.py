"""``daprflow manifests``: the files that put apps on a cluster, made from their code."""

from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.voice import complain, counted, printable, put
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.collect import Wanted, collect
from daprflow.manifests.facts import Source
from daprflow.manifests.settings import read_settings
from daprflow.manifests.targets import TARGETS, maker
from daprflow.manifests.write import Change, Step, diff, plan, refuse_edited, write

DEFAULT_OUTPUT = Path("deploy")


def manifests(
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET...", help="module:app, a file, or a folder.")
    ],
    *,
    target: Annotated[str, typer.Option(help=f"One of {', '.join(TARGETS)}.")] = "kubernetes",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder that the files go into.")
    ] = DEFAULT_OUTPUT,
    env: Annotated[str, typer.Option(help="The environment that components are for.")] = "prod",
    resources_path: Annotated[
        list[Path] | None, typer.Option(help="Folder of resource files; may be repeated.")
    ] = None,
    config: Annotated[
        list[Path] | None, typer.Option(help="Configuration file; may be repeated.")
    ] = None,
    diff_only: Annotated[
        bool, typer.Option("--diff", help="Show what would change; exit with 1 if anything does.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave files that were edited.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove files of apps that are not named.")
    ] = False,
) -> None:
    """Write what apps need on Kubernetes, Compose and elsewhere, from their code."""
    if target not in TARGETS:
        raise LaunchError(f"no target '{target}'; there are {', '.join(TARGETS)}", Exit.USAGE)
    base = Path.cwd()
    folders = tuple(resources_path or ())
    wanted = Wanted(
        tuple((Source(each, base), folders) for each in targets),
        env,
        tuple(config or ()),
        output.resolve(),
    )
    model = collect(wanted, read_settings(base))
    for note in model.notes:
        complain(f"note: {note}")
    steps = plan(output, maker(target)(model), target, prune=prune)
    if diff_only:
        _show(steps)
    refuse_edited(output, steps, keep=keep)
    write(output, steps)
    _tell(output, steps)


def _show(steps: list[Step]) -> None:
    import sys  # noqa: PLC0415 - a stream of this moment

    lines = list(diff(steps))
    put(sys.stdout, "".join(f"{printable(line)}\n" for line in lines))
    raise typer.Exit(Exit.FAILED if lines else Exit.OK)


def _tell(output: Path, steps: list[Step]) -> None:
    said = {Change.CREATE: "created", Change.UPDATE: "updated", Change.REMOVE: "removed"}
    for step in steps:
        if step.change in said:
            typer.echo(printable(f"{said[step.change]} {output / step.path}"))
        elif step.change is Change.EDITED:
            typer.echo(printable(f"kept {output / step.path}, which was edited"))
    same = sum(step.change is Change.SAME for step in steps)
    typer.echo(f"{counted(same, 'file')} as before" if same == len(steps) else "done")
