"""``daprflow list``: the apps that run here."""

import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from daprflow.cli.calls import DEFAULT_DATA_DIR
from daprflow.cli.poke import pretty, told
from daprflow.cli.running import AsJson, DataDir, Running, age, everything
from daprflow.cli.voice import complain, printable, put

HEADS = ("APP", "HTTP", "GRPC", "PORT", "SIDECAR", "PID", "UP", "REPLICAS", "DATA")


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """One app, or one replica of it, as ``--json`` prints it.

    Attributes:
        app_port: null where it listens nowhere.
        sidecar: ``embedded`` or ``daprd``.
        pid: the process of its run.
        app_pid: the app's own; 0 while it starts, and for a sidecar alone.
        started: when, in RFC 3339; null where the system does not say.
        uptime: seconds since then.
        replicas: how many of its id run in that folder.
        logs: files with its output; none where it has the terminal.
    """

    app_id: str
    http_port: int
    grpc_port: int | None
    app_port: int | None
    sidecar: str
    pid: int
    app_pid: int
    started: str | None
    uptime: float | None
    replicas: int
    data_dir: str
    logs: tuple[str, ...]


def listing(
    *,
    everywhere: Annotated[
        bool, typer.Option("--all", "-a", help="Those of all data folders of this user.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List the apps that run with this folder's data, or with --all all of yours.

    \b
    daprflow list
    daprflow list --all --json | jq -r '.[].appId'
    """  # noqa: D301 - the backspace is for the help's layout
    with told(as_json=as_json):
        found = everything(data_dir, everywhere=everywhere)
        counts = Counter((each.folder, each.app.app_id) for each in found)
        if as_json:
            rows = [row(each, counts[each.folder, each.app.app_id]) for each in found]
            put(sys.stdout, pretty(rows) + "\n")
        elif found:
            lines = [_cells(each, counts[each.folder, each.app.app_id]) for each in found]
            put(sys.stdout, table((HEADS, *lines)))
        else:
            where = "no data folder" if everywhere else f"'{data_dir}'"
            complain(f"no app runs with {where}")


command = listing


def row(running: Running, replicas: int) -> Row:
    """Describe an app for programs."""
    app, started = running.app, running.started
    return Row(
        app.app_id,
        app.http_port,
        app.grpc_port,
        app.app_port,
        app.sidecar,
        running.pid,
        app.app_pid,
        datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds") if started else None,
        round(time.time() - started, 1) if started else None,
        replicas,
        str(running.folder.absolute()),
        app.logs,
    )


def _cells(running: Running, replicas: int) -> tuple[str, ...]:
    app = running.app
    ports = (app.http_port, app.grpc_port or "-", app.app_port or "-")
    rest = (app.sidecar, running.pid, age(running.started), replicas, running.folder)
    return tuple(str(each) for each in (app.app_id, *ports, *rest))


def table(rows: tuple[tuple[str, ...], ...]) -> str:
    """Write rows in columns that are as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "".join(printable(line) + "\n" for line in lines)
