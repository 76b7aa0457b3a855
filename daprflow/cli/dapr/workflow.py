"""``dapr workflow``: the instances of an app that runs here, with the official commands' names."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import typer

from daprflow.cli import workflow_acts as acts
from daprflow.cli import workflow_words as words_of
from daprflow.cli.dapr.flags import Flag, FlagError, Given, Kind, parse
from daprflow.cli.dapr.speech import tell
from daprflow.cli.voice import printable, put
from daprflow.cli.workflow_hub import Hub, HubPlace, find_hub, perform
from daprflow.cli.workflow_show import columns, length, rfc3339
from daprflow.cli.workflow_timeline import rendered
from daprflow.client.workflow_listing import ALL, Wanted, instances
from daprflow.client.workflow_runs import ENDED
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol.workflow_actions import Instance, WorkflowState

LIST_WIDTHS = (20, 36, 11, 20)
COMMON = (
    Flag("app-id", short="a", help="the app whose workflows they are"),
    Flag("namespace", short="n"),
    Flag("kubernetes", Kind.SWITCH, "k", help="not supported"),
)
_INPUT = Flag("input", short="x", help="input, JSON")
_CONNECTION = (Flag("connection-string", short="c"), Flag("table-name", short="t"))


class ListedInstance(msgspec.Struct, frozen=True):
    """One instance as ``dapr workflow list -o json`` shows it."""

    namespace: str
    app_id: str = msgspec.field(name="appID")
    name: str
    instance_id: str = msgspec.field(name="instanceID")
    created: str
    last_update: str = msgspec.field(name="lastUpdate")
    runtime_status: str = msgspec.field(name="runtimeStatus")
    custom_status: str = msgspec.field(name="customStatus")
    failure_message: str = msgspec.field(name="failureMessage")


@dataclass(frozen=True, slots=True)
class Command:
    """One command below ``dapr workflow``.

    Attributes:
        run: carries it out.
        takes: what stands after its name.
    """

    run: Callable[[Given, HubPlace], int]
    takes: str
    help: str
    flags: tuple[Flag, ...] = ()


def workflow(words: Sequence[str], data_dir: Path) -> int:
    """Carry out one of the commands for workflows."""
    if not words or words[0] in {"--help", "-h"}:
        return _help()
    name, *rest = words
    command = COMMANDS.get(ALIASES.get(name, name))
    if command is None:
        raise FlagError(f"'dapr workflow' has no command '{name}'; it has {', '.join(COMMANDS)}")
    if {"--help", "-h"} & set(rest):
        return _help_of(name, command)
    flags = (*command.flags, *COMMON)
    given = parse(rest, flags, f"workflow {name}")
    if given.on("kubernetes"):
        raise FlagError("'dapr workflow -k' needs the official command line")
    wanted = len(command.takes.split())
    if command.takes != "[ID ...]" and len(given.words) != wanted:
        raise FlagError(f"write 'dapr workflow {name} {command.takes}'".rstrip())
    try:
        return command.run(given, _place(data_dir, given.text("app-id") or None))
    except typer.BadParameter as error:
        raise FlagError(error.message) from None


def _place(data_dir: Path, app_id: str | None) -> HubPlace:
    try:
        return find_hub(None, data_dir, app_id)
    except LaunchError as error:
        if error.code == Exit.USAGE:
            raise
        raise LaunchError("no such app runs here; 'dapr list' shows what does") from None


def _run(given: Given, place: HubPlace) -> int:
    start = acts.Start(
        given.words[0],
        _json(given, "input"),
        _moment(given, "start-time", ahead=True),
        given.text("instance-id"),
    )
    found = perform(place, lambda hub: acts.start(hub, start, wait=False))
    tell(f"Workflow instance started successfully: {found.id}")
    return Exit.OK


def _list(given: Given, place: HubPlace) -> int:
    form = given.text("output", "short")
    if form not in {"short", "wide", "json", "ids"}:
        raise FlagError(f"--output '{form}' is none of short, wide, json, ids")
    wanted = Wanted(
        given.text("filter-name") or None,
        _states(given, "filter-status"),
        since=_moment(given, "filter-max-age", ahead=False),
    )
    found = perform(place, lambda hub: _found(hub, wanted))
    if form == "json":
        rows = [_listed(each, place.app_id) for each in found]
        put(sys.stdout, msgspec.json.format(msgspec.json.encode(rows)).decode() + "\n")
    elif form == "ids":
        put(sys.stdout, "".join(f"{printable(each.id)}\n" for each in found))
    elif not found:
        put(sys.stderr, f"No workflow found for app ID {place.app_id}\n")
    else:
        tell(columns(("NAME", "ID", "STATUS", "CUSTOM STATUS", "AGE"), LIST_WIDTHS))
        for each in found:
            age = length(time.time() - each.created / 1e9) if each.created else "<scheduled>"
            cells = (each.name, each.id, each.status.name, each.custom_status or "", age)
            tell(columns(cells, LIST_WIDTHS))
    return Exit.OK


def _history(given: Given, place: HubPlace) -> int:
    if given.text("output", "short") not in {"short", "wide"}:
        raise FlagError("write 'daprflow workflow history ID --json' for JSON")
    _, lines = perform(place, lambda hub: acts.timeline(hub, given.words[0], children=False))
    for line in rendered(lines, None):
        tell(line)
    return Exit.OK


def _raise(given: Given, place: HubPlace) -> int:
    instance, slash, event = given.words[0].partition("/")
    if not slash or not instance or not event or "/" in event:
        raise FlagError("write 'dapr workflow raise-event ID/EVENT'")
    data = _json(given, "input")
    perform(place, lambda hub: acts.raise_event(hub, instance, event, data))
    tell(f"Workflow '{instance}' raised event '{event}' successfully")
    return Exit.OK


def _suspend(given: Given, place: HubPlace) -> int:
    perform(place, lambda hub: acts.suspend(hub, given.words[0], given.text("reason")))
    tell(f"Workflow '{given.words[0]}' suspended successfully")
    return Exit.OK


def _resume(given: Given, place: HubPlace) -> int:
    perform(place, lambda hub: acts.resume(hub, given.words[0], given.text("reason")))
    tell(f"Workflow '{given.words[0]}' resumed successfully")
    return Exit.OK


def _terminate(given: Given, place: HubPlace) -> int:
    output = _json(given, "output")
    perform(place, lambda hub: acts.terminate(hub, given.words[0], output, recursive=True))
    tell(f"Workflow '{given.words[0]}' terminated successfully")
    return Exit.OK


def _purge(given: Given, place: HubPlace) -> int:
    force = given.on("force")
    many = given.on("all") or given.has("all-older-than")
    if many == bool(given.words):
        raise FlagError("name the instances to purge, or give --all or --all-older-than")
    if not many:
        perform(place, lambda hub: _purge_each(hub, given.words, force=force))
        return Exit.OK
    states = _states(given, "all-filter-status") if given.has("all-filter-status") else ENDED
    if not force and not states <= ENDED:
        raise FlagError("--force is needed for instances that have not ended")
    older = _moment(given, "all-older-than", ahead=False)
    wanted = Wanted(states=states, until=older)
    doomed = acts.Doomed(wanted, None, recursive=True, force=force, dry=False)
    count, problems = perform(place, lambda hub: acts.purge_many(hub, doomed))
    tell(f"Purged {count} workflow instance(s)")
    for problem in problems:
        put(sys.stderr, f"{printable(problem)}\n")
    return Exit.FAILED if problems else Exit.OK


def _rerun(given: Given, place: HubPlace) -> int:
    event, new = int(given.text("event-id", "0")), given.text("new-instance-id") or None
    data = _json(given, "input")
    made = perform(place, lambda hub: acts.rerun(hub, given.words[0], event, new, data))
    tell(f"Rerunning workflow instance: {made}")
    return Exit.OK


async def _purge_each(hub: Hub, ids: Sequence[str], *, force: bool) -> None:
    for each in ids:
        await acts.purge(hub, each, recursive=True, force=force)
        tell(f'Purged workflow instance "{each}"')


async def _found(hub: Hub, wanted: Wanted) -> list[Instance]:
    async with aclosing(instances(hub.calls, wanted)) as found:
        return [each async for each in found]


def _listed(instance: Instance, app_id: str) -> ListedInstance:
    return ListedInstance(
        namespace="default",
        app_id=app_id,
        name=instance.name,
        instance_id=instance.id,
        created=rfc3339(instance.created) or "0001-01-01T00:00:00Z",
        last_update=rfc3339(instance.updated) or "0001-01-01T00:00:00Z",
        runtime_status=instance.status.name,
        custom_status=instance.custom_status or "",
        failure_message="" if instance.failure is None else instance.failure.message,
    )


def _json(given: Given, flag: str) -> str | None:
    return words_of.json_text(given.text(flag) if given.has(flag) else None, f"--{flag}")


def _moment(given: Given, flag: str, *, ahead: bool) -> datetime | None:
    if not given.has(flag):
        return None
    text = given.text(flag)
    if text[:4].isdecimal() and "-" in text:
        return words_of.moment(text, f"--{flag}")
    return words_of.after(text, f"--{flag}") if ahead else words_of.past(text, f"--{flag}")


def _states(given: Given, flag: str) -> frozenset[WorkflowState]:
    if not given.has(flag):
        return ALL
    name = given.text(flag)
    if name not in WorkflowState.__members__:
        known = ", ".join(WorkflowState.__members__)
        raise FlagError(f"flag '--{flag}' is none of {known}")
    return frozenset({WorkflowState[name]})


def _help() -> int:
    lines = [f"  {f'{name} {each.takes}':<22} {each.help}" for name, each in COMMANDS.items()]
    put(sys.stdout, "\n".join(["dapr workflow COMMAND, by daprflow", "", *lines, ""]))
    return Exit.OK


def _help_of(name: str, command: Command) -> int:
    flags = [flag for flag in (*command.flags, *COMMON) if flag.help]
    lines = [
        f"  {f'-{flag.short}, ' if flag.short else '    '}--{flag.name:<20} {flag.help}"
        for flag in flags
    ]
    head = f"dapr workflow {name} {command.takes}".rstrip()
    put(sys.stdout, "\n".join([f"{head}: {command.help}", "", *lines, ""]))
    return Exit.OK


ALIASES = {"ls": "list"}
COMMANDS: Mapping[str, Command] = {
    "run": Command(
        _run,
        "NAME",
        "start an instance",
        (
            Flag("instance-id", short="i", help="id of the instance"),
            _INPUT,
            Flag("start-time", short="s", help="when it begins, or in how long"),
        ),
    ),
    "list": Command(
        _list,
        "",
        "list the instances",
        (
            Flag("output", short="o", help="short, wide, json or ids; short"),
            Flag("filter-name", short="w", help="only of this workflow"),
            Flag("filter-status", short="s", help="only in this state, such as RUNNING"),
            Flag("filter-max-age", short="m", help="only those started since, such as 2h"),
            *_CONNECTION,
        ),
    ),
    "history": Command(
        _history, "ID", "show what happened", (Flag("output", short="o", help="short or wide"),)
    ),
    "raise-event": Command(_raise, "ID/EVENT", "send an event", (_INPUT,)),
    "suspend": Command(
        _suspend, "ID", "have an instance hold still", (Flag("reason", short="r", help="why"),)
    ),
    "resume": Command(
        _resume, "ID", "have an instance go on", (Flag("reason", short="r", help="why"),)
    ),
    "terminate": Command(
        _terminate, "ID", "end an instance", (Flag("output", short="o", help="its output, JSON"),)
    ),
    "purge": Command(
        _purge,
        "[ID ...]",
        "forget instances that have ended",
        (
            Flag("all", Kind.SWITCH, help="all that have ended"),
            Flag("all-older-than", help="all that were started before, such as 24h"),
            Flag("all-filter-status", help="only those in this state"),
            Flag("force", Kind.SWITCH, help="also what has not ended"),
            Flag("scheduler-namespace"),
            *_CONNECTION,
        ),
    ),
    "rerun": Command(
        _rerun,
        "ID",
        "run an instance again from a step",
        (
            Flag("event-id", Kind.NUMBER, "e", help="number of the step"),
            Flag("new-instance-id", help="id of the new instance"),
            _INPUT,
        ),
    ),
}
