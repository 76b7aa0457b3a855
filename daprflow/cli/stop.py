"""``daprflow stop``: a polite end for apps that run here."""

import sys
from typing import Annotated

import msgspec
import typer

from daprflow.cli.calls import DEFAULT_DATA_DIR
from daprflow.cli.completion import app_ids
from daprflow.cli.poke import pretty, told
from daprflow.cli.running import AsJson, DataDir, Running, everything, idle, named
from daprflow.cli.voice import complain, put
from daprflow.launcher.alive import ask_to_end, is_zombie, waited
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.folder import start_time

SECONDS = 30.0


class Stopped(msgspec.Struct, frozen=True, rename="camel"):
    """What became of an app, as ``--json`` prints it."""

    app_id: str
    pid: int
    stopped: bool


def stop(
    apps: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of apps.", metavar="APP...", autocompletion=app_ids),
    ] = None,
    *,
    everything_here: Annotated[
        bool, typer.Option("--all", help="Every app that runs with the data folder.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(help="Seconds that the end of each may take.", min=0.1)
    ] = SECONDS,
    as_json: AsJson = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Stop apps with their sidecars, as Ctrl-C does.

    Exits with 1 where one did not end in time.

    \b
    daprflow stop shop
    daprflow stop --all
    """  # noqa: D301 - the backspace is for the help's layout
    if bool(apps) == everything_here:
        raise typer.BadParameter("name the apps to stop, or give --all")
    with told(as_json=as_json):
        doomed = everything(data_dir) if everything_here else []
        for app_id in apps or ():
            doomed += named(app_id, data_dir)
        if not doomed:
            raise idle(data_dir)
        asked: set[int] = set()
        results = [_end(each, timeout, asked, whole=everything_here) for each in doomed]
    if as_json:
        put(sys.stdout, pretty(results) + "\n")
    stopped = dict.fromkeys(each.app_id for each in results if each.stopped)  # replicas share one
    put(sys.stdout, "".join(f"stopped '{each}'\n" for each in stopped if not as_json))
    for each in results if not as_json else ():
        if not each.stopped:
            complain(
                f"app '{each.app_id}' (process {each.pid}) did not end within {timeout:g} s; wait "
                f"longer with --timeout, or end it with 'kill -KILL {each.pid}'"
            )
    if not all(each.stopped for each in results):
        raise typer.Exit(Exit.FAILED)


def _end(running: Running, seconds: float, asked: set[int], *, whole: bool) -> Stopped:
    """Ask an app to end, and wait for it.

    Args:
        running: the app.
        seconds: how long to wait.
        asked: the processes that were asked; a second time would end them at once.
        whole: whether all that its run has shall go.

    Raises:
        LaunchError: it cannot be ended without others, or belongs to somebody else.
    """
    pid = running.pid
    if running.shares_its_run and not whole:
        pid = running.app.app_pid
        if not pid:
            raise LaunchError(
                f"app '{running.app.app_id}' is one of several that process {running.pid} runs, "
                "and its own is not known yet; wait until it is up, or stop all with --all"
            )
        if running.gone:
            raise LaunchError(
                f"app '{running.app.app_id}' has ended, and process {running.pid} waits for "
                "a change of its files; stop all that it runs with --all"
            )
    began = start_time(pid)

    def over() -> bool:
        return start_time(pid) != began or is_zombie(pid) or not running.listed()

    if pid not in asked and running.listed():
        asked.add(pid)
        try:
            ask_to_end(pid)
        except PermissionError:
            text = f"process {pid} of app '{running.app.app_id}' is another user's"
            raise LaunchError(text) from None
    return Stopped(running.app.app_id, pid, waited(over, seconds))
