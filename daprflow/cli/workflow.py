"""``daprflow workflow``: the workflow instances of the service that runs here."""

import functools
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from daprflow.cli import workflow_acts as acts
from daprflow.cli import workflow_words as words
from daprflow.cli.calls import DEFAULT_DATA_DIR, DataDir
from daprflow.cli.poke import told
from daprflow.cli.voice import complain, counted, printable, put
from daprflow.cli.workflow_hub import AppId, GrpcPort, Hub, find_hub, perform
from daprflow.cli.workflow_show import HEADS, InstanceView, columns, details, row, view
from daprflow.cli.workflow_timeline import rendered
from daprflow.client.workflow_listing import ALL, Wanted, instances
from daprflow.client.workflow_runs import ENDED
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol.history import encode_history
from daprflow.protocol.workflow_actions import WorkflowState

WIDTHS = (36, 10, 19, 20)
STATES = f"One of {', '.join(words.State)}."

Command = TypeVar("Command", bound=Callable[..., Any])

Id = Annotated[str, typer.Argument(help="Id of the instance.", metavar="ID")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Recursive = Annotated[bool, typer.Option(help="Whether its child workflows are meant, too.")]
States = Annotated[
    list[words.State] | None,
    typer.Option("--state", help=f"Only in this state; may repeat. {STATES}", metavar="STATE"),
]
Name = Annotated[str | None, typer.Option("--name", help="Only of this workflow.")]

SUMMARY = "Start, look at and manage the workflows of the service that runs here."
workflow = typer.Typer(
    help=SUMMARY,
    short_help=SUMMARY,
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _command(name: str | None = None) -> Callable[[Command], Command]:
    """Make a function a command whose summary is given as it is, or it would be cut."""

    def made(function: Command) -> Command:
        summary = str(function.__doc__).partition("\n")[0]

        @functools.wraps(function)
        def spoken(*arguments: Any, **given: Any) -> None:
            with told(as_json=bool(given.get("as_json"))):
                function(*arguments, **given)

        workflow.command(name, short_help=summary)(spoken)
        return function

    return made


@_command()
def start(
    name: Annotated[str, typer.Argument(help="Name of the workflow.")],
    data: Annotated[
        str | None, typer.Argument(help="Its input; JSON, else text.", metavar="INPUT")
    ] = None,
    *,
    instance: Annotated[str, typer.Option("--id", help="Id of the instance; else a new one.")] = "",
    at: Annotated[
        str | None, typer.Option("--at", help="When it begins, such as 2027-01-31T08:00.")
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--in", help="In how long it begins, such as 15m or 7d.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its end; print its result.")
    ] = False,
    as_json: Json = False,
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Start an instance and print its id.

    \b
    daprflow workflow start checkout '{"total": 50}' --id o1 --wait
    """  # noqa: D301 - the backspace is for the help's layout
    if at is not None and delay is not None:
        raise typer.BadParameter("give --at or --in, not both")
    begins = None if at is None else words.moment(at, "--at")
    if delay is not None:
        begins = words.after(delay, "--in")
    text = words.json_text(data, "INPUT")
    wanted = acts.Start(name, text, begins, instance)
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    found = perform(place, lambda hub: acts.start(hub, wanted, wait=wait))
    if as_json:
        _json(view(found))
    elif not wait:
        typer.echo(found.id)
    elif found.status is WorkflowState.COMPLETED:
        typer.echo(printable(found.output or "null"))
    else:
        complain(f"workflow instance '{found.id}' ended as {found.status.name}; see its failure")
        _lines(details(found, (), time.time()), error=True)
    if wait and found.status is not WorkflowState.COMPLETED:
        raise typer.Exit(Exit.FAILED)


@_command("list")
def listing(
    *,
    states: States = None,
    name: Name = None,
    since: Annotated[
        str | None, typer.Option(help="Only those started since: a point in time, or 2h ago.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="Only those started before: a point in time, or 2h ago.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="How many at most.", min=1)] = None,
    as_json: Json = False,
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List instances; they are read page by page and printed as they come.

    \b
    daprflow workflow list --state running --since 2h --json
    """  # noqa: D301 - the backspace is for the help's layout
    chosen = frozenset(map(words.state, states)) if states else ALL
    wanted = Wanted(name, chosen, words.past(since, "--since"), words.past(before, "--before"))
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    count = perform(place, lambda hub: _list(hub, wanted, limit, as_json=as_json))
    if not count and not as_json:
        narrow = "such " if wanted != Wanted() else ""
        complain(f"{place.where} has no {narrow}workflow instances")


@_command()
def show(
    instance: Id,
    *,
    as_json: Json = False,
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show one instance: its state, what it waits for, its values, its failure, its times.

    \b
    daprflow workflow show o1
    """  # noqa: D301 - the backspace is for the help's layout
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    found, waits = perform(place, lambda hub: acts.show(hub, instance))
    if as_json:
        _json(view(found))
    else:
        _lines(details(found, waits, time.time()))


@_command()
def history(
    instance: Id,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File that daprflow.testing.replay takes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what that file has.")] = False,
    children: Annotated[
        bool, typer.Option("--children", help="The events of child workflows as well.")
    ] = False,
    whole: Annotated[bool, typer.Option("--full", help="Shorten no value.")] = False,
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show what happened to an instance, or write it to a file that becomes a test.

    \b
    daprflow workflow history o1 -o o1.json
    """  # noqa: D301 - the backspace is for the help's layout
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    if output is not None or as_json:
        events = perform(place, lambda hub: acts.history(hub, instance))
        document = encode_history(events)
        if as_json:
            put(sys.stdout, document.decode())
        if output is not None:
            _write(output, document)
            complain(f"wrote {counted(len(events), 'event')} to '{output}'")
        return
    found, lines = perform(place, lambda hub: acts.timeline(hub, instance, children=children))
    version = f" (version {found.version})" if found.version else ""
    put(sys.stdout, printable(f"{found.name}{version} '{found.id}': {found.status.name}\n"))
    _lines(rendered(lines, None if whole else shutil.get_terminal_size((160, 24)).columns))


@_command("raise")
def raise_event(
    instance: Id,
    event: Annotated[str, typer.Argument(help="Name of the event.")],
    data: Annotated[str | None, typer.Argument(help="What it carries; JSON, else text.")] = None,
    *,
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send an event to an instance; it is kept until the workflow waits for it.

    \b
    daprflow workflow raise o1 approved true
    """  # noqa: D301 - the backspace is for the help's layout
    text = words.json_text(data, "DATA")
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    perform(place, lambda hub: acts.raise_event(hub, instance, event, text))
    typer.echo(printable(f"sent event '{event}' to '{instance}'"))


@_command()
def suspend(
    instance: Id,
    *,
    reason: Annotated[str, typer.Option(help="Why, for its history.")] = "",
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Have an instance hold still; what comes is kept until it is resumed.

    \b
    daprflow workflow suspend o1 --reason 'the bank is away'
    """  # noqa: D301 - the backspace is for the help's layout
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    perform(place, lambda hub: acts.suspend(hub, instance, reason))
    typer.echo(printable(f"suspended '{instance}'"))


@_command()
def resume(
    instance: Id,
    *,
    reason: Annotated[str, typer.Option(help="Why, for its history.")] = "",
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Have a suspended instance go on.

    \b
    daprflow workflow resume o1
    """  # noqa: D301 - the backspace is for the help's layout
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    perform(place, lambda hub: acts.resume(hub, instance, reason))
    typer.echo(printable(f"resumed '{instance}'"))


@_command()
def terminate(
    instance: Id,
    *,
    output: Annotated[
        str | None, typer.Option(help="What it shall have as its output; JSON, else text.")
    ] = None,
    recursive: Recursive = True,
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """End an instance at once; nothing is undone.

    \b
    daprflow workflow terminate o1 --output '"withdrawn"'
    """  # noqa: D301 - the backspace is for the help's layout
    text = words.json_text(output, "--output")
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    perform(place, lambda hub: acts.terminate(hub, instance, text, recursive=recursive))
    typer.echo(printable(f"terminated '{instance}'"))


@_command()
def purge(
    instance: Annotated[
        str | None, typer.Argument(help="Id of the instance; else all that fit.", metavar="ID")
    ] = None,
    *,
    states: States = None,
    name: Name = None,
    older_than: Annotated[
        str | None, typer.Option(help="Only those that ended before: a time, or 7d ago.")
    ] = None,
    recursive: Recursive = True,
    force: Annotated[
        bool, typer.Option("--force", help="Also what has not ended, without asking the app.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the ids that fit, and purge nothing.")
    ] = False,
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Forget an instance that has ended, or all that fit --state, --name and --older-than.

    \b
    daprflow workflow purge --state failed --older-than 7d --dry-run
    """  # noqa: D301 - the backspace is for the help's layout
    many = states or name is not None or older_than is not None
    if bool(many) == (instance is not None) or (dry_run and not many):
        raise typer.BadParameter("name one ID, or say which with --state, --name or --older-than")
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    if instance is not None:
        one = instance
        count = perform(place, lambda hub: acts.purge(hub, one, recursive=recursive, force=force))
        typer.echo(f"purged {counted(count, 'instance')}")
        return
    chosen = frozenset(map(words.state, states)) if states else (ALL if force else ENDED)
    if alive := sorted(each.name for each in chosen - ENDED if not force):
        raise typer.BadParameter(f"what is {', '.join(alive)} has not ended; purge it with --force")
    ended_before = words.past(older_than, "--older-than")
    doomed = acts.Doomed(Wanted(name, chosen), ended_before, recursive, force, dry_run)
    count, said = perform(place, lambda hub: acts.purge_many(hub, doomed))
    if dry_run:
        _lines(said)
        complain(f"would purge {counted(count, 'instance')}, and their child workflows")
        return
    typer.echo(f"purged {counted(count, 'instance')}")
    for problem in said:
        complain(problem)
    if said:
        raise typer.Exit(Exit.FAILED)


@_command()
def rerun(
    instance: Id,
    *,
    event: Annotated[
        int,
        typer.Option("--from", help="Number of the step that is done again, as in history.", min=0),
    ],
    data: Annotated[
        str | None, typer.Option("--input", help="Another input of that step; JSON, else text.")
    ] = None,
    new: Annotated[str | None, typer.Option("--new-id", help="Id of the new instance.")] = None,
    app_id: AppId = None,
    dapr_grpc_port: GrpcPort = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Run an ended instance again from one of its steps, as a new instance; print the new id.

    \b
    daprflow workflow rerun o1 --from 2 --new-id o1-again
    """  # noqa: D301 - the backspace is for the help's layout
    text = words.json_text(data, "--input")
    place = find_hub(dapr_grpc_port, data_dir, app_id)
    typer.echo(perform(place, lambda hub: acts.rerun(hub, instance, event, new, text)))


async def _list(hub: Hub, wanted: Wanted, limit: int | None, *, as_json: bool) -> int:
    """Print the instances that fit, and return how many those are."""
    count = 0
    async with aclosing(instances(hub.calls, wanted)) as found:
        async for each in found:
            if as_json:
                text = msgspec.json.encode(view(each)).decode()
                put(sys.stdout, f"{',' if count else '['}\n  {text}")
            else:
                head = "" if count else columns(HEADS, WIDTHS) + "\n"
                put(sys.stdout, f"{head}{row(each, WIDTHS)}\n")
            count += 1
            if count == limit:
                break
    if as_json:
        put(sys.stdout, "\n]\n" if count else "[]\n")
    return count


def _json(shown: InstanceView) -> None:
    put(sys.stdout, msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n")


def _lines(lines: Iterable[str], *, error: bool = False) -> None:
    put(sys.stderr if error else sys.stdout, "".join(f"{line}\n" for line in lines))


def _write(file: Path, document: bytes) -> None:
    try:
        file.write_bytes(document)
    except OSError as error:
        raise LaunchError(f"cannot write '{file}': {error.strerror}") from None
