"""Durable reminders of actors: scheduled as jobs are, and handed to whoever has the actor."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from daprflow.protocol.actors import ReminderDescription, ReminderRequest
from daprflow.protocol.jobs import JobRequest
from daprflow.protocol.periods import go_duration, parse_period
from daprflow.protocol.schedules import ScheduleError
from daprflow.sidecar.actors.host import HostAway, HostFailed
from daprflow.sidecar.actors.placement import NoHost
from daprflow.sidecar.actors.turns import TurnCut
from daprflow.sidecar.job_plan import JobRefused
from daprflow.sidecar.job_scheduler import JobExists, JobScheduler, Kind, Outcome
from daprflow.sidecar.job_store import StoredJob, Table
from daprflow.sidecar.resiliency.deadline import TimedOut

logger = logging.getLogger(__name__)

RUNNING_LIMIT = 1024
"""Ticks of one actor type that are under way at one time, those that wait for a turn included."""

Remind = Callable[[str, str, str, msgspec.Raw | msgspec.UnsetType], Awaitable[None]]
"""Delivers a tick: type, id and name, and the data as JSON."""


class ReminderRefused(ValueError):  # noqa: N818 - named for what happened
    """A reminder has no plan; the text is the real runtime's."""


class ReminderExists(Exception):  # noqa: N818 - named for what was found
    """There is a reminder of that name already, and it was not to be replaced."""


@dataclass(frozen=True, slots=True)
class ActorReminder:
    """A reminder that is not over."""

    name: str
    description: ReminderDescription


def _key(actor_id: str, name: str) -> str:
    """Return what finds a reminder among those of its type; no name holds a line break."""
    return f"{actor_id}\n{name}"


def _parts(key: str) -> tuple[str, str]:
    actor_id, _, name = key.rpartition("\n")
    return actor_id, name


def _shown(stored: StoredJob) -> str:
    actor_id, name = _parts(stored.name)
    return f"reminder '{name}' of actor '{stored.app}/{actor_id}'"


REMINDERS = Kind(RUNNING_LIMIT, _shown)
TABLE = Table(
    "reminders",
    ("type", "actor", "name"),
    lambda kind, key: (kind, *_parts(key)),
    lambda row: (row[0], _key(row[1], row[2])),
)


class Reminders:
    """The reminders of an engine, whichever app hosts their actors.

    A tick that no host took, or that ended because its host left, is offered again and is no
    attempt; one that an actor failed is tried again as its policy says.

    Args:
        scheduler: keeps them, with the actor type in place of an app.
        remind: delivers a tick.
    """

    def __init__(self, scheduler: JobScheduler, remind: Remind) -> None:
        self._scheduler = scheduler
        self._remind = remind

    async def open(self) -> None:
        """Read what is kept; calling it again does nothing.

        Raises:
            ComponentError: the store cannot be used.
        """
        await self._scheduler.open()

    async def close(self) -> None:
        """Cut ticks that are under way, which are made up for later, and close the store."""
        await self._scheduler.close()

    def hosted(self, kind: str) -> None:
        """Deliver the ticks of a type from now on, first those that wait."""
        self._scheduler.attach(kind, self._deliver)

    async def gone(self, kind: str) -> None:
        """Keep the ticks of a type, and wait for those under way."""
        await self._scheduler.detach(kind, self._deliver)

    async def register(self, kind: str, actor_id: str, name: str, request: ReminderRequest) -> None:
        """Keep a reminder; returns when it is safe.

        Raises:
            ReminderRefused: it has no plan.
            ReminderExists: the name is taken, and it does not overwrite.
            ComponentError: it could not be written.
        """
        try:
            await self._scheduler.schedule(kind, _key(actor_id, name), _job(request))
        except JobRefused as error:
            text = f"rpc error: code = Unknown desc = job failed validation: {error}"
            raise ReminderRefused(text) from None
        except JobExists:
            raise ReminderExists(name) from None

    def find(self, kind: str, actor_id: str, name: str) -> ReminderDescription | None:
        """Return a reminder as it was asked for."""
        stored = self._scheduler.find(kind, _key(actor_id, name))
        return None if stored is None else _described(stored)

    def of(self, kind: str, actor_id: str | None = None) -> Sequence[ActorReminder]:
        """Return the reminders of an actor, or of all actors of a type."""
        return [
            ActorReminder(_parts(stored.name)[1], _described(stored))
            for stored in self._scheduler.of_app(kind)
            if actor_id is None or _parts(stored.name)[0] == actor_id
        ]

    async def remove(self, kind: str, actor_id: str, name: str) -> None:
        """Forget a reminder; a missing one is no error.

        Raises:
            ComponentError: it could not be written.
        """
        await self._scheduler.delete(kind, _key(actor_id, name))

    async def remove_all(self, kind: str, actor_id: str | None = None) -> None:
        """Forget the reminders of an actor, or of all actors of a type.

        Raises:
            ComponentError: one could not be written.
        """
        for reminder in self.of(kind, actor_id):
            await self.remove(kind, reminder.description.actor_id, reminder.name)

    async def _deliver(self, stored: StoredJob) -> Outcome:
        actor_id, name = _parts(stored.name)
        try:
            await self._remind(stored.app, actor_id, name, stored.job.data)
        except (NoHost, HostAway):
            return Outcome.AWAY
        except TurnCut as cut:
            if cut.leaving:
                return Outcome.AWAY
            return _failed(stored, str(cut))
        except (HostFailed, TimedOut) as error:
            return _failed(stored, str(error))
        return Outcome.DONE


def _failed(stored: StoredJob, reason: str) -> Outcome:
    logger.warning("%s: %s", _shown(stored), reason)
    return Outcome.FAILED


def _job(request: ReminderRequest) -> JobRequest:
    schedule: str | None = None
    repeats: int | None = None
    if request.period:
        schedule, repeats = _schedule(request.period)
    if not request.due_time and schedule is None:
        text = "job must have either a due time or a schedule"
        raise ReminderRefused(f"rpc error: code = Unknown desc = job failed validation: {text}")
    return JobRequest(
        schedule=schedule,
        repeats=repeats,
        due_time=request.due_time or None,
        ttl=request.ttl or None,
        overwrite=request.overwrite is not False,
        failure_policy=request.failure_policy,
        data=request.data,
    )


def _schedule(period: str) -> tuple[str, int | None]:
    try:
        parsed = parse_period(period)
    except ScheduleError:
        raise ReminderRefused(f"unsupported period format: {period}") from None
    if parsed.months or parsed.days:
        raise ReminderRefused(f"unsupported period format: {period}")
    return f"@every {go_duration(parsed.length)}", parsed.repeats or None


def _described(stored: StoredJob) -> ReminderDescription:
    job = stored.job
    return ReminderDescription(
        actor_id=_parts(stored.name)[0],
        actor_type=stored.app,
        data=job.data,
        due_time=job.due_time or "",
        period=job.schedule or "",
        ttl=_absolute(job.ttl or ""),
    )


def _absolute(ttl: str) -> str:
    """Return a ttl that is a date; the real runtime does not tell of one that is a duration."""
    return ttl if "-" in ttl and "T" in ttl and ttl[:1].isdigit() else ""
