"""``daprflow manifests``: the files that put apps on a cluster, made from their code."""

from pathlib import Path
from typing import Annotated

import typer

from daprflow.cli.voice import complain, counted, printable, put
from daprflow.components.declarations import MANIFESTS_ENV
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.manifests.collect import Place, Wanted, collect
from daprflow.manifests.facts import Source
from daprflow.manifests.settings import read_settings
from daprflow.manifests.targets import TARGETS, maker, notes_of
from daprflow.manifests.variants import with_variants
from daprflow.manifests.write import Change, Step, diff, plan, refuse_edited, write

DEFAULT_OUTPUT = Path("deploy")


def manifests(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET...", help="module:app, a file, or a folder."),
    ] = None,
    *,
    file: Annotated[
        str, typer.Option("--file", "-f", help="A template for several apps, or its folder.")
    ] = "",
    target: Annotated[str, typer.Option(help=f"One of {', '.join(TARGETS)}.")] = "kubernetes",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder that the files go into.")
    ] = DEFAULT_OUTPUT,
    env: Annotated[
        str,
        typer.Option(help="The environment that components are for.", envvar="DAPRFLOW_ENV"),
    ] = MANIFESTS_ENV,
    resources_path: Annotated[
        list[Path] | None, typer.Option(help="Folder of resource files; may be repeated.")
    ] = None,
    config: Annotated[
        list[Path] | None, typer.Option(help="Configuration file; may be repeated.")
    ] = None,
    subscriptions: Annotated[
        str, typer.Option(help="'declarative' writes subscriptions as documents, too.")
    ] = "",
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
    places = _places(targets or [], file, base, resources_path or [], config or [])
    settings = read_settings(base).given(subscriptions=subscriptions)
    wanted = Wanted(places, env, output.resolve())
    model = with_variants(collect(wanted, settings), target, wanted, settings)
    for note in notes_of(target, model):
        complain(f"note: {note}")
    files = maker(target)(model)
    if not files:
        complain(f"note: {_nothing(target, env)}")
    steps = plan(output, files, target, prune=prune)
    if diff_only:
        _show([each for each in steps if not (keep and each.change is Change.EDITED)])
    refuse_edited(output, steps, keep=keep)
    write(output, steps)
    _tell(output, steps)


def _places(
    targets: list[str], file: str, base: Path, folders: list[Path], config: list[Path]
) -> tuple[Place, ...]:
    """Return the apps that are named, or those of a template.

    Raises:
        LaunchError: neither is given, or both are; exit code `Exit.USAGE`.
    """
    if bool(targets) == bool(file):
        raise LaunchError("name what to deploy: TARGET..., or a template with -f", Exit.USAGE)
    if file:
        from daprflow.manifests.template import places_of  # noqa: PLC0415 - few have one

        return places_of(file, base, tuple(folders), tuple(config))
    return tuple(Place(Source(each, base), tuple(folders), tuple(config)) for each in targets)


def _show(steps: list[Step]) -> None:
    import sys  # noqa: PLC0415 - a stream of this moment

    lines = list(diff(steps))
    put(sys.stdout, "".join(f"{printable(line)}\n" for line in lines))
    raise typer.Exit(Exit.FAILED if lines else Exit.OK)


def _nothing(target: str, env: str) -> str:
    return (
        f"there is nothing to write for target '{target}': neither code nor resource files declare "
        f"a component, a policy or another resource for the environment '{env}'"
    )


def _tell(output: Path, steps: list[Step]) -> None:
    said = {Change.CREATE: "created", Change.UPDATE: "updated", Change.REMOVE: "removed"}
    for step in steps:
        if step.change in said:
            typer.echo(printable(f"{said[step.change]} {output / step.path}"))
        elif step.change is Change.EDITED:
            typer.echo(printable(f"kept {output / step.path}, which was edited"))
    same = sum(step.change is Change.SAME for step in steps)
    if steps:
        typer.echo(f"{counted(same, 'file')} as before" if same == len(steps) else "done")
