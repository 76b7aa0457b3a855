"""``daprflow actor``: an actor's methods, state, reminders and timers."""

from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from daprflow.cli.calls import Refused, content_type
from daprflow.cli.completion import actor_types
from daprflow.cli.grpc_lists import GrpcPort, list_reminders
from daprflow.cli.poke import Poke, command_of, group
from daprflow.cli.typed import DATA, UNSET, carried, data_of, json_of, named
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol import actor_calls as wire
from daprflow.protocol.actor_escapes import escaped
from daprflow.protocol.actors import ERROR_HEADER, ReminderRequest, TimerRequest
from daprflow.protocol.http import HttpRequest
from daprflow.protocol.operations import segment

NO_CONTENT = 204
FAILED = "ACTOR_FAILED"
"""Our code for the error of an actor's own method."""

actor = group("Call actors, read their state, look after their reminders and timers.")

Kind = Annotated[
    str, typer.Argument(help="Type of the actor.", metavar="TYPE", autocompletion=actor_types)
]
Id = Annotated[str, typer.Argument(help="Id of the actor.", metavar="ID")]
Due = Annotated[
    str, typer.Option(help="When it ticks first: 15m, PT1H or 2027-01-31T08:00:00Z; else at once.")
]
Period = Annotated[
    str, typer.Option(help="How often it ticks from then on, such as 1h or R3/PT1M; else once.")
]
Ttl = Annotated[str, typer.Option(help="When it ends, such as 24h.")]
Data = Annotated[str | None, typer.Option("--data", help=f"What each tick carries: {DATA}")]


class Action(StrEnum):
    """What is done with a reminder."""

    SET = "set"
    GET = "get"
    DELETE = "delete"
    LIST = "list"


class TimerAction(StrEnum):
    """What is done with a timer; Dapr has no call that shows one."""

    SET = "set"
    DELETE = "delete"


class Answered(msgspec.Struct, frozen=True):
    """What a method answered, or a part of the state, as ``--json`` prints it."""

    type: str
    id: str
    name: str
    data: msgspec.Raw | msgspec.UnsetType = UNSET
    text: str | msgspec.UnsetType = UNSET
    base64: str | msgspec.UnsetType = UNSET


class Touched(msgspec.Struct, frozen=True):
    """The reminder or timer that was set or deleted."""

    type: str
    id: str
    name: str


@command_of(actor)
def invoke(
    kind: Kind,
    actor_id: Id,
    method: Annotated[str, typer.Argument(help="Its method.")],
    data: Annotated[str | None, typer.Argument(help=f"The argument: {DATA}")] = None,
    *,
    to: Poke,
) -> None:
    """Call a method of an actor and print what it returns.

    \b
    daprflow actor invoke CartActor ann add '"sku-1"'
    """  # noqa: D301 - the backspace is for the help's layout
    body = b"" if data is None else data_of(data)
    headers = (("content-type", content_type(body)),) if data is not None else ()
    named(kind, "TYPE"), named(actor_id, "ID"), named(method, "METHOD")
    answer = to.ask(to.place(), wire.call(kind, actor_id, method, body, headers))
    if answer.header(ERROR_HEADER):
        text = f"method '{method}' of actor '{kind}' '{actor_id}' failed: {_said(answer.body)}"
        raise Refused(text, error_code=FAILED)
    to.give(answer.body, Answered(kind, actor_id, method, *carried(answer.body)))


@command_of(actor)
def state(
    kind: Kind,
    actor_id: Id,
    key: Annotated[str, typer.Argument(help="Key within the actor's state.")],
    *,
    to: Poke,
) -> None:
    """Print one key of an actor's state; typed actors keep theirs below 'state'.

    \b
    daprflow actor state CartActor ann state --json
    """  # noqa: D301 - the backspace is for the help's layout
    named(kind, "TYPE"), named(actor_id, "ID"), named(key, "KEY")
    answer = to.ask(to.place(alone=True), wire.get_state(kind, actor_id, key))
    if answer.status == NO_CONTENT:
        raise LaunchError(f"actor '{kind}' '{actor_id}' has no state '{key}'", Exit.MISSING)
    to.give(answer.body, Answered(kind, actor_id, key, *carried(answer.body)))


@command_of(actor)
def reminder(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    kind: Kind,
    actor_id: Annotated[
        str | None, typer.Argument(help="Id of the actor; list takes none as well.", metavar="ID")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="Name of the reminder.")] = None,
    *,
    due: Due = "",
    period: Period = "",
    ttl: Ttl = "",
    data: Data = None,
    dapr_grpc_port: GrpcPort = None,
    to: Poke,
) -> None:
    """Set, get, delete or list reminders; they are kept until they end.

    \b
    daprflow actor reminder set CartActor ann idle --due 1h --period 24h --data '"late"'
    daprflow actor reminder get CartActor ann idle
    daprflow actor reminder list CartActor ann
    """  # noqa: D301 - the backspace is for the help's layout
    named(kind, "TYPE")
    if action is Action.LIST:
        if name is not None:
            raise typer.BadParameter("write 'daprflow actor reminder list TYPE [ID]'")
        found = list_reminders(to, dapr_grpc_port, kind, actor_id or "")
        lines = (f"{each.id} {each.name} {each.due or '-'} {each.period or '-'}" for each in found)
        to.tell("\n".join(lines), found)
        return
    if not actor_id or not name:
        raise typer.BadParameter(f"write 'daprflow actor reminder {action} TYPE ID NAME'")
    place = to.place(alone=True)
    target = f"/v1.0/actors/{segment(kind)}/{segment(escaped(actor_id))}/reminders/"
    match action:
        case Action.SET:
            body = UNSET if data is None else json_of(data_of(data), "--data")
            asked = ReminderRequest(due, period, ttl, body)
            to.ask(place, wire.set_reminder(kind, actor_id, name, asked))
        case Action.DELETE:
            to.ask(place, wire.delete_reminder(kind, actor_id, name))
        case Action.GET:
            answer = to.ask(place, HttpRequest("GET", target + segment(escaped(name))))
            if not answer.body.strip() or answer.body.strip() == b"null":
                text = f"actor '{kind}' '{actor_id}' has no reminder '{name}'"
                raise LaunchError(text, Exit.MISSING)
            to.show(msgspec.Raw(answer.body))
            return
    done = "set" if action is Action.SET else "deleted"
    text = f"{done} reminder '{name}' of '{kind}' '{actor_id}'"
    to.tell(text, Touched(kind, actor_id, name))


@command_of(actor)
def timer(
    action: Annotated[TimerAction, typer.Argument(help="What to do.")],
    kind: Kind,
    actor_id: Id,
    name: Annotated[str, typer.Argument(help="Name of the timer.")],
    *,
    due: Due = "",
    period: Period = "",
    ttl: Ttl = "",
    callback: Annotated[str, typer.Option(help="The actor's method, for set.")] = "",
    data: Data = None,
    to: Poke,
) -> None:
    """Set or delete a timer, which ends with its actor's activation; none can be shown.

    \b
    daprflow actor timer set CartActor ann refresh --due 10s --period 1m --callback refresh
    """  # noqa: D301 - the backspace is for the help's layout
    named(kind, "TYPE"), named(actor_id, "ID"), named(name, "NAME")
    if action is TimerAction.SET:
        body = UNSET if data is None else json_of(data_of(data), "--data")
        request = wire.set_timer(
            kind, actor_id, name, TimerRequest(due, period, ttl, callback, body)
        )
    else:
        request = wire.delete_timer(kind, actor_id, name)
    to.ask(to.place(alone=True), request)
    done = "set" if action is TimerAction.SET else "deleted"
    text = f"{done} timer '{name}' of '{kind}' '{actor_id}'"
    to.tell(text, Touched(kind, actor_id, name))


def _said(body: bytes) -> str:
    """Return what an actor's error says: the exception and its text, where it is one of ours."""
    try:
        failure = msgspec.json.decode(body, type=wire.ActorFailure)
    except msgspec.MsgspecError:
        return body.decode(errors="replace")
    return f"{failure.type}: {failure.message}"
