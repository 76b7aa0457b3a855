"""The program ``dapr``: its commands, its versions, its help."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from daprflow.cli.dapr.flags import Flag, FlagError, parse
from daprflow.cli.dapr.speech import tell
from daprflow.cli.voice import keep_standard_streams, printable, put
from daprflow.errors import DaprFlowError
from daprflow.launcher.exits import Exit, LaunchError

DAPR_VERSION = "1.18.3"
"""The release whose command line and runtime this is like."""

WORKFLOW = "workflow"
COMMANDS = {
    "run": "run an app with a sidecar, or a sidecar alone",
    "stop": "stop apps that run here",
    "list": "list the apps that run here",
    "publish": "publish an event through the sidecar of an app",
    "invoke": "call a method of an app",
    WORKFLOW: "start, look at and manage the workflows of an app",
    "init": "succeed: there is nothing to install",
    "uninstall": "succeed: there is nothing to remove",
    "version": "print the versions",
}
VERSION_FLAGS = (Flag("output", short="o", help="json"),)
Command = Callable[[Sequence[str], Path], int]


def main(arguments: Sequence[str]) -> int:
    """Carry out one command line; return the exit code.

    Args:
        arguments: the data folder that all runs of this program share, then what the user wrote.
    """
    keep_standard_streams()
    data_dir, *words = arguments
    try:
        return _carry_out(words, Path(data_dir))
    except LaunchError as error:
        put(sys.stderr, f"dapr: {printable(str(error))}\n")
        return error.code
    except DaprFlowError as error:
        put(sys.stderr, f"dapr: {printable(str(error))}\n")
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _carry_out(words: Sequence[str], data_dir: Path) -> int:
    if words and words[0] in {"--version", "-v"}:
        return _version((), data_dir)
    if not words or words[0] in {"--help", "-h", "help"}:
        return _help()
    name, *rest = words
    asked = rest[: rest.index("--")] if "--" in rest else rest
    if name == "wf":
        name = WORKFLOW
    if name in COMMANDS and name != WORKFLOW and {"--help", "-h"} & set(asked):
        return _help_of(name)
    return _command(name)(rest, data_dir)


def _command(name: str) -> Command:
    """Find a command; each is imported for itself."""
    match name:
        case "run":
            from daprflow.cli.dapr.run import run  # noqa: PLC0415 - as the docstring says

            return run
        case "stop" | "list":
            from daprflow.cli.dapr.instances import listing, stop  # noqa: PLC0415

            return stop if name == "stop" else listing
        case "publish" | "invoke":
            from daprflow.cli.dapr.pokes import invoke, publish  # noqa: PLC0415

            return publish if name == "publish" else invoke
        case "workflow":
            from daprflow.cli.dapr.workflow import workflow  # noqa: PLC0415

            return workflow
        case "init" | "uninstall":
            return _nothing_to_do
        case "version":
            return _version
    raise FlagError(
        f"this 'dapr' has no command '{name}'; it has {', '.join(COMMANDS)}, "
        "and the official one has the others"
    )


def _nothing_to_do(words: Sequence[str], data_dir: Path) -> int:  # noqa: ARG001 - a command's shape
    tell("Success! Dapr is up and running: daprflow has its own sidecar, nothing is installed.")
    return Exit.OK


def _version(words: Sequence[str], data_dir: Path) -> int:  # noqa: ARG001 - a command's shape
    given = parse(words, VERSION_FLAGS, "version")
    if given.text("output") == "json":
        versions = {"Cli version": DAPR_VERSION, "Runtime version": DAPR_VERSION}
        put(sys.stdout, msgspec.json.encode(versions).decode() + "\n")
        return Exit.OK
    from importlib.metadata import version  # noqa: PLC0415 - slow, and rarely asked for

    put(
        sys.stdout,
        f"CLI version: {DAPR_VERSION} \nRuntime version: {DAPR_VERSION}\n"
        f"daprflow version: {version('daprflow')}\n",
    )
    return Exit.OK


def _help() -> int:
    lines = [f"  {name:<10} {text}" for name, text in COMMANDS.items()]
    put(sys.stdout, "\n".join(["dapr COMMAND, by daprflow", "", *lines, ""]))
    return Exit.OK


def _help_of(name: str) -> int:
    flags = _flags_of(name)
    shown = [flag for flag in flags if flag.help]
    lines = [
        f"  {f'-{flag.short}, ' if flag.short else '    '}--{flag.name:<28} {flag.help}"
        for flag in shown
    ]
    silent = ", ".join(f"--{flag.name}" for flag in flags if not flag.help)
    more = ["", f"Accepted without an effect: {silent}"] if silent else []
    put(sys.stdout, "\n".join([f"dapr {name}: {COMMANDS[name]}", "", *lines, *more, ""]))
    return Exit.OK


def _flags_of(name: str) -> Sequence[Flag]:
    match name:
        case "run":
            from daprflow.cli.dapr.run import FLAGS  # noqa: PLC0415 - only for help

            return FLAGS
        case "stop" | "list":
            from daprflow.cli.dapr.instances import LIST_FLAGS, STOP_FLAGS  # noqa: PLC0415

            return STOP_FLAGS if name == "stop" else LIST_FLAGS
        case "publish" | "invoke":
            from daprflow.cli.dapr.pokes import INVOKE_FLAGS, PUBLISH_FLAGS  # noqa: PLC0415

            return PUBLISH_FLAGS if name == "publish" else INVOKE_FLAGS
    return VERSION_FLAGS if name == "version" else ()
