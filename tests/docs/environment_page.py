"""Writes the page about environment variables: ``python -m tests.docs.environment_page``."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from daprflow.cli.commands import COMMANDS
from daprflow.cli.main import build

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGE = REFERENCE / "environment.md"
HEAD = """# Environment variables

Made from the code by `python -m tests.docs.environment_page`. An empty variable counts as unset.

What an *app* reads is on the page about [settings](settings.md), with defaults: in the first
table there are only the names. A *command* takes an option from the command line first, then from
its variable, then from `daprflow.toml`.
"""
SHAPE = re.compile(r"_?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
FIRST = ("DAPR_", "DAPRFLOW_", "_DAPRFLOW_", "APP_", "OTEL_", "XDG_", "PROMETHEUS_")
OF_ITS_OWN = {"GRPC_VERBOSITY", "NO_COLOR", "POD_NAME", "WEB_CONCURRENCY", "COMP_WORDS"}
OF_ITS_OWN |= {"PYDEVD_DISABLE_FILE_VALIDATION", "_TYPER_COMPLETE_ARGS"}
ERRORS = ("DAPR_STATE_", "DAPR_PUBSUB_", "DAPR_SCHEDULER_")
"""How Dapr's error codes begin, which look like variables."""

GIVEN: Mapping[str, str] = {
    "APP_ID": "the app's id",
    "APP_PORT": "port on which the app is to listen",
    "APP_PROTOCOL": "what the sidecar expects the app to speak",
    "APP_CHANNEL_ADDRESS": "address at which the sidecar calls the app",
    "DAPR_HTTP_PORT": "port of the sidecar's HTTP API",
    "DAPR_GRPC_PORT": "port of its gRPC API",
    "DAPR_METRICS_PORT": "port of its metrics, where they are on",
    "DAPR_API_TOKEN": "token for calls of the sidecar, where there is one",
    "APP_API_TOKEN": "token that the sidecar shows the app, where there is one",
    "DAPRFLOW_ENV": "the environment whose components in code count",
    "WEB_CONCURRENCY": "how many workers `daprflow serve --workers` starts",
    "PROMETHEUS_MULTIPROC_DIR": "folder where those workers keep their counts, unless it is set",
    "GRPC_VERBOSITY": "`ERROR`, unless it is set: gRPC's own lines say nothing to a user",
    "PYDEVD_DISABLE_FILE_VALIDATION": "`1` under `--debug`, unless it is set",
}
"""What an app finds that daprflow starts."""

READ: Mapping[str, str] = {
    "DAPR_RUNTIME_PATH": "where a real runtime is installed, as `--runtime-path`",
    "DAPR_HOST_IP": "address at which others find a real runtime; 127.0.0.1 unless it is set",
    "POD_NAME": "replaces `{podName}` in component files",
    "NO_COLOR": "no colours in what commands print and in logs for people",
    "XDG_RUNTIME_DIR": "where the list of a user's runs is kept; else a folder of the user's in "
    "the one for temporary files",
    "WEB_CONCURRENCY": "more than one is refused for an app with actors",
    "OTEL_EXPORTER_OTLP_HEADERS": "headers for the collector of the embedded sidecar's spans",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "milliseconds that one export may take",
    "OTEL_EXPORTER_OTLP_INSECURE": "`true`: no TLS to the collector of the sidecar's spans",
    "OTEL_PROPAGATORS": "which headers carry traces; also read by an app that makes spans",
    "_DAPRFLOW_COMPLETE": "set by a shell that completes a command line",
    "_TYPER_COMPLETE_ARGS": "that command line, of zsh and fish",
    "COMP_WORDS": "that command line, of bash",
}
"""What commands and the embedded sidecar read beside their options."""

BUILT = {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TIMEOUT"}
"""Names that the code puts together; the others stand in it as they are."""


@dataclass(frozen=True, slots=True)
class Offered:
    """An option with a variable.

    Attributes:
        flag: as it is typed.
        command: the command, such as ``state get``.
        variables: by which it is set.
        text: what ``--help`` says of it.
    """

    flag: str
    command: str
    variables: tuple[str, ...]
    text: str


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its full name, those of groups included."""
    for name in COMMANDS:
        program: Any = typer.main.get_command(build((name,)))
        yield from _below(name, program.commands[name])


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield name, command
    for word, each in inner.items():
        yield from _below(f"{name} {word}", each)


def offered() -> Iterator[Offered]:
    """Every option that a variable sets."""
    for name, command in commands():
        for each in command.params:
            named = each.envvar or ()
            if named:
                variables = (named,) if isinstance(named, str) else tuple(named)
                yield Offered(each.opts[0], name, variables, each.help or "")


def literals() -> set[str]:
    """Names of variables that stand in the code."""
    found: set[str] = set()
    for path in sorted((ROOT / "daprflow").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        exports = {id(each) for node in ast.walk(tree) for each in _exported(node)}
        found |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in exports
        }
    return {each for each in found if SHAPE.fullmatch(each) and _is_variable(each)}


def _exported(node: ast.AST) -> Iterator[ast.AST]:
    """The names in ``__all__``."""
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        yield from ast.walk(node.value)


def _is_variable(name: str) -> bool:
    return name in OF_ITS_OWN or (name.startswith(FIRST) and not name.startswith(ERRORS))


def of_an_app() -> Sequence[str]:
    """The names in the tables of the page about settings, which a test of its own holds."""
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)


def page() -> str:
    """The text of the page."""
    by_variable: dict[str, list[Offered]] = {}
    for each in offered():
        for variable in each.variables:
            by_variable.setdefault(variable, []).append(each)
    parts = [HEAD, "## What an app reads\n", "| variable |\n|---|"]
    parts += [f"| `{name}` |" for name in sorted(of_an_app())]
    parts += ["\n## What an app is given\n", "By `daprflow run` and `daprflow serve`.\n"]
    parts += ["| variable | what it says |\n|---|---|"]
    parts += [f"| `{name}` | {text} |" for name, text in sorted(GIVEN.items())]
    parts += ["\n## Options of commands\n", "See [commands](cli.md).\n"]
    parts += ["| variable | option | of | what it says |\n|---|---|---|---|"]
    parts += [_row(name, by_variable[name]) for name in sorted(by_variable)]
    parts += ["\n## What commands and the embedded sidecar read besides\n"]
    parts += ["| variable | what for |\n|---|---|"]
    parts += [f"| `{name}` | {text} |" for name, text in sorted(READ.items())]
    text = "The sidecar reads `OTEL_EXPORTER_OTLP_…` with `TRACES_` first, as an app does."
    return "\n".join([*parts, "", text, ""])


def _row(name: str, options: Sequence[Offered]) -> str:
    flags = ", ".join(dict.fromkeys(f"`{each.flag}`" for each in options))
    of = ", ".join(dict.fromkeys(f"`{each.command}`" for each in options))
    if len(options) > len(dict.fromkeys(each.command.split()[0] for each in options)):
        of = ", ".join(dict.fromkeys(f"`{each.command.split()[0]}`" for each in options))
    return f"| `{name}` | {flags} | {of} | {options[0].text.replace('|', chr(92) + '|')} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
