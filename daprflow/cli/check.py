"""``daprflow check``: every mistake that can be found without running the app."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

from daprflow.cli.voice import complain, counted, printable, put
from daprflow.components.declarations import MANIFESTS_ENV, RUN_ENV
from daprflow.errors import AppDefinitionError, MissingExtra
from daprflow.launcher.child import freeze
from daprflow.launcher.exits import Exit
from daprflow.launcher.report import AppFrozen
from daprflow.launcher.target import Loaded, load, resolve
from daprflow.manifests.compare_problem import Problem
from daprflow.settings import SettingsError

SOME_TOKEN = "token-of-daprflow-check"  # noqa: S105 - any value will do
DEFINITION, STOPPED = "definition", "stopped"


class Checked(msgspec.Struct, frozen=True):
    """What ``--json`` prints; a problem of the code itself has no file."""

    app_id: str
    problems: Sequence[Problem] = ()
    warnings: Sequence[str] = ()


def check(
    target: Annotated[str, typer.Argument(help="module:app, a file, or a folder.")],
    *,
    manifests: Annotated[
        Path | None, typer.Option(help="Folder of what is deployed; compare it with the code.")
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            help="Environment of declared components; dev, or prod.", envvar="DAPRFLOW_ENV"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Freeze an app and send it every request a sidecar would; exit with 1 on any problem.

    With --manifests, compare the files of a folder with the code as well: Kubernetes objects,
    component files, what Helm renders, Compose files and dapr.yaml.
    """
    loaded = load(resolve(target, Path.cwd()))
    environment = env or (RUN_ENV if manifests is None else MANIFESTS_ENV)
    try:
        frozen = freeze(loaded, environment)
        loaded.app.check()
    except AppDefinitionError as error:
        _fail(loaded, [_of_code(DEFINITION, each) for each in error.problems], as_json=as_json)
    except (MissingExtra, SettingsError) as error:
        _fail(loaded, [_of_code(DEFINITION, str(error))], as_json=as_json)
    problems, said = _probed(loaded, frozen)
    if not problems and manifests is not None:
        problems, said = _compared(target, loaded, manifests, environment)
    if problems:
        _fail(loaded, problems, as_json=as_json)
    warnings = (*loaded.app.warnings(), *frozen.declared.warnings)
    if as_json:
        _print(Checked(frozen.app_id, (), warnings))
        return
    for warning in warnings:
        complain(f"warning: {warning}")
    count = counted(len(frozen.handlers), "handler")
    typer.echo(f"app '{printable(frozen.app_id)}' is sound: {count}; {said}")


def _probed(loaded: Loaded, frozen: AppFrozen) -> tuple[list[Problem], str]:
    """Send every probe; return what is stopped, and in words what was done."""
    from daprflow.launcher.checking import blocked, probes  # noqa: PLC0415 - imports the channel

    token = os.environ.get("APP_API_TOKEN") or SOME_TOKEN
    problems = asyncio.run(blocked(loaded, frozen, token))
    done = f"a sidecar's {counted(len(probes(frozen)), 'probe')} got through"
    return [_of_code(STOPPED, each) for each in problems], done


def _compared(
    target: str, loaded: Loaded, folder: Path, environment: str
) -> tuple[list[Problem], str]:
    """Compare a folder with the code; return the differences, and in words what was done."""
    from daprflow.manifests.compare import compare  # noqa: PLC0415 - few check manifests
    from daprflow.manifests.compare_code import code_of  # noqa: PLC0415 - as above
    from daprflow.manifests.compare_read import read_deployed  # noqa: PLC0415 - as above

    deployed = read_deployed(folder)
    for note in deployed.notes:
        complain(f"note: {note}")
    code = code_of(loaded, target, Path.cwd(), environment)
    done = f"{counted(len(deployed.documents), 'document')} in '{folder}' agree with it"
    return list(compare(code, deployed)), done


def _of_code(rule: str, text: str) -> Problem:
    return Problem("", 0, rule, text, "")


def _fail(loaded: Loaded, problems: Sequence[Problem], *, as_json: bool) -> NoReturn:
    if as_json:
        _print(Checked(str(loaded.app.app_id), problems))
    for each in () if as_json else problems:
        complain(str(each) if each.file else each.text)
    raise typer.Exit(Exit.FAILED)


def _print(checked: Checked) -> None:
    put(sys.stdout, msgspec.json.format(msgspec.json.encode(checked)).decode() + "\n")
