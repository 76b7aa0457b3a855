"""``daprflow job``: the jobs of an app."""

from typing import Annotated

import msgspec
import typer

from daprflow.cli.calls import Refused
from daprflow.cli.grpc_lists import GrpcPort, list_jobs
from daprflow.cli.poke import Poke, command_of, group
from daprflow.cli.typed import DATA, UNSET, data_of, json_of
from daprflow.cli.voice import printable
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol import jobs as wire
from daprflow.protocol.jobs import JobRequest

NOT_FOUND = "not found"

job = group("Schedule, show, delete and list the jobs of the service that runs here.")

Name = Annotated[str, typer.Argument(help="Name of the job.")]


class Named(msgspec.Struct, frozen=True):
    """The job that was scheduled or deleted, as ``--json`` prints it."""

    name: str


@command_of(job)
def schedule(
    name: Name,
    data: Annotated[str | None, typer.Argument(help=f"What the app is given: {DATA}")] = None,
    *,
    every: Annotated[
        str | None,
        typer.Option("--schedule", help="Such as '@every 1h' or '0 30 8 * * *'; else once."),
    ] = None,
    due: Annotated[
        str | None, typer.Option(help="When it runs first: 15m or 2027-01-31T08:00:00Z.")
    ] = None,
    repeats: Annotated[int | None, typer.Option(help="How often at most.", min=1)] = None,
    ttl: Annotated[str | None, typer.Option(help="When it ends, such as 24h.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a job of that name.")
    ] = False,
    to: Poke,
) -> None:
    """Schedule a job; the app handles it where it has one of that name.

    \b
    daprflow job schedule report '{"daily": 5}' --schedule '@every 1h'
    daprflow job schedule remind --due 15m --overwrite
    """  # noqa: D301 - the backspace is for the help's layout
    if every is None and due is None:
        raise typer.BadParameter("say when: --schedule, --due, or both")
    body = UNSET if data is None else json_of(data_of(data), "DATA")
    asked = JobRequest(
        schedule=every, due_time=due, repeats=repeats, ttl=ttl, overwrite=overwrite, data=body
    )
    to.ask(to.place(alone=True), wire.schedule_job(_checked(name), asked))
    to.tell(f"scheduled job '{name}'", Named(name))


@command_of(job)
def get(name: Name, *, to: Poke) -> None:
    """Show a job, as the sidecar tells it: JSON. A missing one is the exit code 3.

    \b
    daprflow job get report
    """  # noqa: D301 - the backspace is for the help's layout
    request = wire.get_job(_checked(name))
    try:
        answer = to.ask(to.place(alone=True), request)
    except Refused as error:
        # A runtime answers 500 whatever the reason is; only its text tells.
        if error.error_code == wire.GET_FAULT and NOT_FOUND in error.message:
            raise LaunchError(f"there is no job '{name}'", Exit.MISSING) from None
        raise
    to.show(msgspec.Raw(answer.body))


@command_of(job)
def delete(name: Name, *, to: Poke) -> None:
    """Delete a job; one that is not there is no error.

    \b
    daprflow job delete report
    """  # noqa: D301 - the backspace is for the help's layout
    to.ask(to.place(alone=True), wire.delete_job(_checked(name)))
    to.tell(f"deleted job '{name}'", Named(name))


@command_of(job, "list")
def listing(*, dapr_grpc_port: GrpcPort = None, to: Poke) -> None:
    """List the jobs of the app, over the sidecar's gRPC API: HTTP has no call for it.

    \b
    daprflow job list --json
    """  # noqa: D301 - the backspace is for the help's layout
    found = list_jobs(to, dapr_grpc_port)
    lines = (f"{each.name} {each.schedule or each.due or '-'}" for each in found)
    to.tell("\n".join(map(printable, lines)), found)


def _checked(name: str) -> str:
    if problem := wire.name_problem(name):
        raise typer.BadParameter(f"'{printable(name)}' cannot be a job's name: {problem}")
    return name
