"""What a sidecar lists over gRPC alone: jobs and reminders."""

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from daprflow.cli.calls import AWAY, LOOPBACK, Refused
from daprflow.cli.flags import PORT
from daprflow.cli.poke import Poke
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.launcher.loop import run
from daprflow.settings import Settings
from daprflow.transports.events import CallRefused

if TYPE_CHECKING:
    from daprflow.transports.grpc_lists import Lists

T = TypeVar("T")

GrpcPort = Annotated[
    int | None,
    typer.Option(
        "--dapr-grpc-port", help="The sidecar's gRPC API, for lists; else of the one here.", **PORT
    ),
]


class Listed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job, as ``job list --json`` prints it."""

    name: str
    schedule: str = ""
    due: str = ""
    repeats: int | None = None
    ttl: str = ""


class Reminder(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reminder, as ``actor reminder list --json`` prints it."""

    type: str
    id: str
    name: str
    due: str = ""
    period: str = ""
    ttl: str = ""


def list_jobs(to: Poke, port: int | None) -> list[Listed]:
    """Return the jobs of the app, by name.

    Raises:
        LaunchError: nobody answers, or the sidecar refused.
    """
    found = _asked(to, port, lambda lists: lists.jobs())
    jobs = [
        Listed(
            each.name,
            each.schedule,
            each.due_time,
            each.repeats if each.HasField("repeats") else None,
            each.ttl,
        )
        for each in found
    ]
    return sorted(jobs, key=lambda each: each.name)


def list_reminders(to: Poke, port: int | None, kind: str, actor_id: str) -> list[Reminder]:
    """Return the reminders of an actor, or of all of a type where ``actor_id`` is empty.

    Raises:
        LaunchError: nobody answers, or the sidecar refused.
    """
    found = _asked(to, port, lambda lists: lists.reminders(kind, actor_id))
    reminders = [
        Reminder(
            each.reminder.actor_type or kind,
            each.reminder.actor_id,
            each.name,
            each.reminder.due_time,
            each.reminder.period,
            each.reminder.ttl,
        )
        for each in found
    ]
    return sorted(reminders, key=lambda each: (each.id, each.name))


def _asked(to: Poke, port: int | None, work: Callable[["Lists"], Awaitable[T]]) -> T:
    place = None if port is not None else to.place(alone=True)
    settings = Settings(
        grpc_endpoint=f"{LOOPBACK}:{port}",
        api_token=os.environ.get("DAPR_API_TOKEN", ""),
    )
    if place is not None:
        if place.grpc is None:
            raise LaunchError(
                "this list takes the sidecar's gRPC API; name it with --dapr-grpc-port", Exit.USAGE
            )
        settings = Settings(grpc_endpoint=place.grpc, api_token=place.token or "")
    return run(_performed(settings, to.timeout, work))


async def _performed(
    settings: Settings, seconds: float, work: Callable[["Lists"], Awaitable[T]]
) -> T:
    from daprflow.transports.grpc_lists import lists  # noqa: PLC0415 - imports gRPC

    try:
        async with lists(settings, seconds) as calls:
            return await work(calls)
    except CallRefused as error:
        said = error.fault.message
        if error.unavailable:
            text = f"no sidecar answers over gRPC at {settings.grpc_endpoint}: {said}"
            raise Refused(text, Exit.AWAY, AWAY) from None
        raise Refused(said, Exit.FAILED, error.fault.code, error.status) from None
