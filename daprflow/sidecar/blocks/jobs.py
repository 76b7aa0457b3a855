"""The jobs building block: what one app schedules, and the ticks on their way to it."""

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from daprflow.protocol import faults
from daprflow.protocol.fault import Fault
from daprflow.protocol.gojson import canonical
from daprflow.protocol.grpc_codes import Code
from daprflow.protocol.jobs import (
    DEFAULT_POLICY,
    GET_FAULT,
    JobData,
    JobRequest,
    ToldJob,
    name_problem,
)
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.job_plan import JobRefused
from daprflow.sidecar.job_scheduler import JobExists, Outcome
from daprflow.sidecar.job_store import StoredJob
from daprflow.sidecar.telemetry.meters import FALSE, TRUE

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

_OPERATION = "job_trigger_op"
SCHEDULE = "DAPR_SCHEDULER_SCHEDULE_JOB"
DELETE = "DAPR_SCHEDULER_DELETE_JOB"


class JobsBlock:
    """The jobs of one app; other apps' have the same names without meeting."""

    def __init__(self, runtime: "Runtime") -> None:
        self._scheduler = runtime.engine.jobs
        self._app_id = runtime.app_id
        self._namespace = runtime.options.namespace
        self._app = runtime.app
        self._clock = runtime.engine.clock
        self._meters = runtime.telemetry.meters
        self._stopping = False

    async def schedule(self, name: str, job: JobRequest) -> None:
        """Keep a job; returns when it is safe.

        Raises:
            Fault: it cannot be scheduled, or its name is taken and it does not overwrite.
        """
        if job.name:
            text = "Set the job name in the url only"
            raise faults.job(400, "DAPR_SCHEDULER_JOB_NAME", text, self._app_id)
        self._check_name(name)
        if job.schedule is None and job.due_time is None:
            raise self._fault(400, "DAPR_SCHEDULER_SCHEDULE_EMPTY", "Schedule is empty")
        if problem := name_problem(name):
            raise self._refusal(f"job name is invalid: {problem}")
        try:
            await self._scheduler.schedule(self._app_id, name, _completed(job))
        except JobRefused as error:
            raise self._refusal(f"job failed validation: {error}") from None
        except JobExists:
            key = f"app||{self._namespace}||{self._app_id}||{name}"
            text = f"rpc error: code = AlreadyExists desc = job already exists: '{key}'"
            text = f"failed to schedule job due to: {text}"
            raise self._fault(409, SCHEDULE, text, Code.ALREADY_EXISTS) from None
        except ComponentError as error:
            raise self._refusal(str(error)) from error

    def find(self, name: str) -> StoredJob:
        """Return a job.

        Raises:
            Fault: there is none of that name.
        """
        self._check_name(name)
        stored = self._scheduler.find(self._app_id, name)
        if stored is None:
            text = f"rpc error: code = NotFound desc = job not found: {name}"
            raise self._fault(500, GET_FAULT, f"failed to get job due to: {text}")
        return stored

    def all(self) -> list[StoredJob]:
        """Return every job, by name."""
        found = self._scheduler.of_app(self._app_id)
        return sorted(found, key=lambda stored: stored.name.encode())

    def describe(self, name: str) -> ToldJob:
        """Return a job as it was asked for.

        Raises:
            Fault: there is none of that name, or its data cannot be told in JSON.
        """
        job = self.find(name).job
        return ToldJob(
            name=name,
            schedule=job.schedule,
            repeats=job.repeats,
            due_time=job.due_time,
            ttl=job.ttl,
            data=_told_data(job),
            failure_policy=job.failure_policy,
        )

    async def delete(self, name: str) -> None:
        """Forget a job; a missing one is no error.

        Raises:
            Fault: it could not be written.
        """
        self._check_name(name)
        try:
            await self._scheduler.delete(self._app_id, name)
        except ComponentError as error:
            text = f"failed to delete job due to: {error}"
            raise self._fault(500, DELETE, text) from error

    async def delete_all(self, prefix: str) -> None:
        """Forget the jobs whose names start with ``prefix``.

        Raises:
            Fault: it could not be written.
        """
        names = [stored.name for stored in self.all() if stored.name.startswith(prefix)]
        await asyncio.gather(*map(self.delete, names))

    def empty(self, what: str) -> Fault:
        """Return the fault of a call that lacks something."""
        return self._fault(400, "DAPR_SCHEDULER_EMPTY", f"{what} is empty")

    async def start(self) -> None:
        """Take the app's ticks; without an app they wait."""
        if self._app is not None:
            self._stopping = False
            self._scheduler.attach(self._app_id, self._deliver)

    async def stop(self) -> None:
        """Take no more ticks, and wait for those in flight."""
        self._stopping = True
        await self._scheduler.detach(self._app_id, self._deliver)

    async def _deliver(self, stored: StoredJob) -> Outcome:
        """Deliver one tick."""
        app = self._app
        if app is None:  # pragma: no cover - start() takes no ticks then
            return Outcome.AWAY
        begun = self._clock.now()
        try:
            outcome = await app.job(stored)
        except AppUnreachable as error:
            # What was cut from this side is no attempt either.
            if self._stopping or isinstance(error, AppAway):
                return Outcome.AWAY
            logger.warning("job '%s': the app did not answer: %s", stored.name, error)
            self._count(Outcome.FAILED, begun)
            return Outcome.FAILED
        if outcome is Outcome.FAILED and self._stopping:
            return Outcome.AWAY  # the app is ended, too, and may have cut its handler for that
        self._count(outcome, begun)
        return outcome

    def _count(self, outcome: Outcome, begun: float) -> None:
        """Count and measure a tick where there are metrics."""
        if self._meters is None:
            return
        meters, done = self._meters.jobs, outcome is Outcome.DONE
        (meters.successes if done else meters.failures)(_OPERATION).add()
        elapsed = (self._clock.now() - begun) * 1000
        meters.latency(_OPERATION, TRUE if done else FALSE).record(elapsed)

    def _refusal(self, error: str) -> Fault:
        text = f"failed to schedule job due to: rpc error: code = Unknown desc = {error}"
        return self._fault(500, SCHEDULE, text)

    def _check_name(self, name: str) -> None:
        if not name:
            raise self._fault(400, "DAPR_SCHEDULER_JOB_NAME_EMPTY", "Name is empty")

    def _fault(self, status: int, reason: str, message: str, grpc: Code | None = None) -> Fault:
        return faults.job(status, reason, message, self._app_id, self._namespace, grpc=grpc)


def _told_data(job: JobRequest) -> msgspec.Raw | msgspec.UnsetType:
    if job.packed is not None:
        from daprflow.protocol.job_messages import json_of  # noqa: PLC0415 - takes 0.2 s, is rare

        try:
            return msgspec.Raw(json_of(job.packed))
        except ValueError as error:
            text = f"failed to encode response as JSON: proto: {error}"
            raise Fault(500, "ERR_INTERNAL", text) from error
    if job.data is msgspec.UNSET:
        return msgspec.UNSET
    return msgspec.Raw(msgspec.json.encode(JobData(value=job.data)))


def _completed(job: JobRequest) -> JobRequest:
    """Return a job with the policy it gets where it names none, and its data in the usual form."""
    policy, data = job.failure_policy, job.data
    if policy is None or (policy.drop is None and policy.constant is None):
        policy = DEFAULT_POLICY
    if data is not msgspec.UNSET:
        data = msgspec.Raw(canonical(data))
    return msgspec.structs.replace(job, failure_policy=policy, data=data)
