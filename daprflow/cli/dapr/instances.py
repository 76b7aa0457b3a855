"""``dapr list`` and ``dapr stop``: the apps that run with the data folder."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from daprflow.cli.calls import Place, call
from daprflow.cli.dapr.flags import Flag, FlagError, Kind, parse
from daprflow.cli.dapr.speech import tell
from daprflow.cli.voice import printable, put
from daprflow.launcher.alive import end, started_at
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import DataFolder
from daprflow.protocol.metadata import Metadata
from daprflow.protocol.run_file import FILE

STOP_SECONDS = 10.0
COMMAND_SHOWN = 20

LIST_FLAGS = (
    Flag("output", short="o", help="json, yaml or table; table"),
    Flag("kubernetes", Kind.SWITCH, "k", "not supported"),
)
STOP_FLAGS = (
    Flag("app-id", short="a", help="the app to stop; several may follow as words"),
    Flag("run-file", short="f", help="stop all apps of a template; its file or folder"),
)


class Instance(msgspec.Struct, frozen=True, rename="camel"):
    """One app as ``dapr list`` shows it, with the names of its JSON form."""

    app_id: str
    http_port: int
    grpc_port: int
    app_port: int
    metrics_enabled: bool
    command: str
    age: str
    created: str
    daprd_pid: int
    cli_pid: int
    app_pid: int
    run_template_path: str = ""


def instances(data_dir: Path) -> list[Instance]:
    """Return the apps that run with a data folder."""
    record = DataFolder(data_dir).running()
    found = []
    for app in record.apps if record is not None else ():
        token = app.api_token or os.environ.get("DAPR_API_TOKEN")
        try:
            answer = call(Place(app.http_port, token), "GET", "/v1.0/metadata", None, "")
            said = msgspec.json.decode(answer, type=Metadata).extended
        except (LaunchError, msgspec.DecodeError):
            said = {}  # it is on its way in or out
        host = record.pid if record is not None else 0
        pid = _number(said.get("cliPID")) or host
        began = started_at(pid)
        found.append(
            Instance(
                app_id=app.app_id,
                http_port=app.http_port,
                grpc_port=app.grpc_port or 0,
                app_port=app.app_port or 0,
                metrics_enabled=False,
                command=said.get("appCommand", ""),
                age=_age(time.time() - began) if began else "",
                created=time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began)) if began else "",
                daprd_pid=host,
                cli_pid=pid,
                app_pid=_number(said.get("appPID")),
                run_template_path=said.get("runTemplatePath", ""),
            )
        )
    return found


def listing(words: Sequence[str], data_dir: Path) -> int:
    """Print what runs."""
    given = parse(words, LIST_FLAGS, "list")
    if given.on("kubernetes"):
        raise FlagError("'dapr list -k' needs the official command line")
    form = given.text("output", "table")
    if form not in {"json", "yaml", "table"}:
        raise FlagError(f"--output '{form}' is none of json, yaml, table")
    found = instances(data_dir)
    if form == "json":
        put(sys.stdout, msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    elif form == "yaml":
        import yaml  # noqa: PLC0415 - seldom asked for

        put(sys.stdout, yaml.safe_dump(msgspec.to_builtins(found), sort_keys=False))
    elif found:
        _show(found)
    else:
        tell("No Dapr instances found.")
    return Exit.OK


def stop(words: Sequence[str], data_dir: Path) -> int:
    """Stop apps with their sidecars; as with the official program, a missing one is no failure."""
    given = parse(words, STOP_FLAGS, "stop")
    if given.has("run-file"):
        return _stop_template(Path(given.text("run-file")), data_dir)
    wanted = (*given.words, *(given.command or ()), *given.values.get("app-id", ()))
    if not wanted:
        raise FlagError("name the app to stop with --app-id")
    running = {instance.app_id: instance for instance in instances(data_dir)}
    for app_id in wanted:
        instance = running.get(app_id)
        if instance is None:
            line = f"failed to stop app id {app_id}: it does not run here"
            put(sys.stderr, f"{printable(line)}\n")
        elif end(instance.cli_pid, STOP_SECONDS):
            tell(f"app stopped successfully: {app_id}")
        else:
            put(sys.stderr, f"failed to stop app id {app_id}: process {instance.cli_pid} stays\n")
    return Exit.OK


def _stop_template(named: Path, data_dir: Path) -> int:
    """Stop the run of a template, and all apps with it."""
    file = (named / FILE if named.is_dir() else named).resolve()
    found = [each for each in instances(data_dir) if each.run_template_path == str(file)]
    if not found:
        put(sys.stderr, f"no apps of {printable(str(named))} run here\n")
    for pid in {each.cli_pid for each in found}:
        if not end(pid, STOP_SECONDS):
            put(sys.stderr, f"failed to stop the apps of {printable(str(named))}: {pid} stays\n")
            return Exit.FAILED
    if found:
        tell("Dapr and app processes stopped successfully")
    return Exit.OK


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _show(found: Sequence[Instance]) -> None:
    table = Table(box=None, header_style=None, pad_edge=False)
    titles = ("APP ID", "HTTP PORT", "GRPC PORT", "APP PORT", "COMMAND", "AGE", "CREATED")
    for title in (*titles, "DAPRD PID", "CLI PID", "APP PID"):
        table.add_column(title, no_wrap=True)
    for each in found:
        command = each.command[:COMMAND_SHOWN]
        ports = (each.http_port, each.grpc_port, each.app_port)
        pids = (each.daprd_pid, each.cli_pid, each.app_pid)
        cells = (each.app_id, *ports, command, each.age, each.created, *pids)
        table.add_row(*(printable(str(cell)) for cell in cells))
    Console(markup=False, highlight=False, emoji=False, width=200).print(table)
