"""The ``daprflow`` command: finds the command, reads its settings, turns errors into one line."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from daprflow.cli.commands import COMMANDS, words_of
from daprflow.cli.context import Invocation
from daprflow.cli.settings import Option, Settings, by_parameter, defaults
from daprflow.cli.voice import complain, keep_standard_streams
from daprflow.errors import DaprFlowError
from daprflow.launcher.exits import Exit, LaunchError

WITH_COMMAND = frozenset({"run", "sidecar"})
"""What takes the command of an app after ``--``."""


def _version(value: bool) -> None:  # noqa: FBT001 - the shape of a callback
    if value:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and rarely asked for

        typer.echo(f"daprflow {version('daprflow')}")
        raise typer.Exit


def _everything(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Write and run Dapr services in Python."""


def build(words: Sequence[str]) -> typer.Typer:
    """Return the program with the one command that ``words`` ask for, or with all for help."""
    app = typer.Typer(
        name="daprflow",
        help="Write and run Dapr services in Python.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_everything)
    wanted = next((word for word in words if not word.startswith("-")), "")
    if wanted not in COMMANDS:  # help, or the completion of a name: summaries are enough
        for name, summary in COMMANDS.items():
            app.command(name, help=summary, short_help=summary)(_unloaded)
        return app
    module = __import__(f"daprflow.cli.{wanted}", fromlist=[wanted])
    command = getattr(module, wanted, None) or module.command
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=wanted)
    else:
        app.command(wanted, short_help=COMMANDS[wanted])(command)
    return app


def _unloaded() -> None:
    """Stand for a command that was not asked for."""


def options_of(command: str) -> dict[str, Option]:
    """Return the options of a command by their names; of a group, those of all its commands."""
    group: Any = typer.main.get_command(build((command,)))
    found = group.commands[command]
    return {
        text.removeprefix("--").replace("-", "_"): Option(parameter.name, parameter.multiple)
        for each in getattr(found, "commands", {"": found}).values()
        for parameter in each.params
        if parameter.param_type_name == "option"
        for text in parameter.opts
        if text.startswith("--")
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; does not return."""
    started = time.monotonic()
    words, command = _split(list(sys.argv[1:] if arguments is None else arguments))
    try:
        keep_standard_streams()
        completed = words_of(os.environ)
        program = build(words if completed is None else completed)
        program(
            args=words,
            obj=Invocation(command, started),
            prog_name="daprflow",
            default_map={} if completed is not None else _defaults(program),
        )
    except LaunchError as error:
        complain(str(error))
        sys.exit(error.code)
    except DaprFlowError as error:
        complain(str(error))
        sys.exit(Exit.FAILED)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


def _defaults(program: typer.Typer) -> Settings:
    """Return what the working folder's file sets, by commands and parameters."""
    return _below_groups(program, by_parameter(defaults(Path.cwd(), COMMANDS), options_of))


def _below_groups(program: typer.Typer, settings: Settings) -> Settings:
    """Give the settings of a group of commands to each of its commands."""
    for each in program.registered_groups:
        name, group = str(each.name), each.typer_instance
        if group is not None and settings.get(name):
            below = [
                str(one.name or one.callback.__name__)
                for one in group.registered_commands
                if one.callback
            ]
            settings[name] = dict.fromkeys(below, settings[name])
    return settings


def _split(words: list[str]) -> tuple[list[str], tuple[str, ...] | None]:
    """Take the command after the first ``--`` out; for other commands words that are no options."""
    if "--" not in words or words[0] not in WITH_COMMAND:
        return words, None
    at = words.index("--")
    return words[:at], tuple(words[at + 1 :])
