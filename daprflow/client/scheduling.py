"""Scheduling of jobs: the client's methods for it."""

from typing import Any, TypeVar, Unpack, overload

from daprflow.addresses import Job
from daprflow.client import jobs
from daprflow.client.base import BaseClient
from daprflow.client.jobs import ScheduledJob, ScheduleOptions

T = TypeVar("T")


class Scheduling(BaseClient):
    """The part of the client that schedules jobs. It needs a runtime of 1.14 or later."""

    @overload
    async def schedule(
        self, job: Job[None], data: None = None, /, **options: Unpack[ScheduleOptions]
    ) -> None: ...

    @overload
    async def schedule(
        self, job: Job[T], data: T, /, **options: Unpack[ScheduleOptions]
    ) -> None: ...

    @overload
    async def schedule(
        self, job: str, data: object = None, /, **options: Unpack[ScheduleOptions]
    ) -> None: ...

    async def schedule(
        self, job: Job[Any] | str, data: object = None, /, **options: Unpack[ScheduleOptions]
    ) -> None:
        """Have this app's ``job`` run later, once or again and again, with ``data`` as JSON.

        The runtime keeps the job until it is over, over restarts, too, and hands each tick to one
        replica of the app.

        Args:
            job: what ``@app.job`` returned, or the job's name.
            data: what its handler takes; None is an empty body.
            **options: ``due`` (when the first tick is due: a timedelta from now, or a datetime with
                a time zone), ``every`` (a timedelta, or text: ``15m``, ``@daily``, or a cron rule
                of six fields, seconds first), ``repeats`` (how many ticks there are in all),
                ``ttl`` (when the job ends, counted from ``due``, or a datetime), ``overwrite``
                (replace a job of that name), and ``failure_policy`` (a `ConstantFailurePolicy`, of
                one second and three retries where none is given, or a `DropFailurePolicy`).

        Raises:
            ValueError: there is no such schedule; nothing was sent.
            SidecarError: the sidecar refused, with status 409 where the name is taken and
                ``overwrite`` is not set.

        Example:
            ```python
            await client.schedule("report", Limits(daily=5), every="@every 1h")
            ```
        """
        await jobs.schedule(self._caller, job, data, options)

    @overload
    async def job(self, job: Job[T], /) -> ScheduledJob[T] | None: ...

    @overload
    async def job(self, name: str, /) -> ScheduledJob[Any] | None: ...

    @overload
    async def job(self, name: str, payload: type[T], /) -> ScheduledJob[T] | None: ...

    async def job(self, job: Job[Any] | str, payload: Any = None, /) -> ScheduledJob[Any] | None:
        """Return one of this app's jobs as it was scheduled, None where it is over or never was.

        Args:
            job: what ``@app.job`` returned, or the job's name.
            payload: what its data is decoded to where a name is given; JSON's own types by default.

        Raises:
            msgspec.ValidationError: its data is something else.
            SidecarError: the sidecar refused.

        Example:
            ```python
            job = await client.job("report", Limits)
            ```
        """
        wanted = job.payload if isinstance(job, Job) else payload or Any
        return await jobs.find(self._caller, job, wanted)

    async def delete_job(self, job: Job[Any] | str, /) -> None:
        """Forget one of this app's jobs; one that is not there is no error.

        Args:
            job: its handle, or its name.

        Raises:
            SidecarError: the sidecar refused.

        Example:
            ```python
            await client.delete_job("report")
            ```
        """
        await jobs.delete(self._caller, job)
