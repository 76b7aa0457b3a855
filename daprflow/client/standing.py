"""Standing jobs: those an app schedules itself, kept as its code says from each start on."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from daprflow.client import jobs
from daprflow.errors import SidecarError, SidecarUnavailable
from daprflow.policies import decode_policy
from daprflow.protocol import jobs as wire
from daprflow.protocol.gojson import GoJsonError, canonical
from daprflow.protocol.jobs import JobDescription, JobRequest

if TYPE_CHECKING:
    from daprflow.client import Client
    from daprflow.client.caller import Caller

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
_SERVER_ERRORS = 500
_NOT_IMPLEMENTED = 501


async def keep(
    client: "Client", wanted: Mapping[str, JobRequest], pause: float = FIRST_PAUSE
) -> None:
    """Schedule each job that is missing or other than wanted; go on until all are.

    What the sidecar refuses for good is logged and left; a sidecar that is away is waited for,
    ``pause`` seconds at first and twice as long each time.
    """
    caller = client._caller  # noqa: SLF001 - of the same package
    told = ""
    remaining = dict(wanted)
    while remaining:
        for name, request in list(remaining.items()):
            try:
                await _place(caller, name, request)
            except SidecarError as error:
                if not _may_pass(error):
                    logger.error("job '%s' cannot be scheduled: %s", name, error)  # noqa: TRY400 - the text says it all
                    del remaining[name]
                elif str(error) != told:
                    told = str(error)
                    logger.warning("job '%s' is not scheduled yet: %s", name, error)
            else:
                del remaining[name]
        if remaining:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)


async def _place(caller: "Caller", name: str, wanted: JobRequest) -> None:
    found = await jobs.describe(caller, name)
    if found is not None and is_as_wanted(found, wanted):
        logger.debug("job '%s' is scheduled as before", name)
        return
    await caller.call(wire.schedule_job(name, wanted))
    said = "scheduled" if found is None else "scheduled anew, since it was another"
    logger.info("job '%s' is %s: %s", name, said, wanted.schedule)


def is_as_wanted(found: JobDescription, wanted: JobRequest) -> bool:
    """Tell whether a job does what is wanted, however its sidecar writes that."""
    return (
        (found.schedule, found.due_time, found.ttl, found.repeats)
        == (wanted.schedule, wanted.due_time, wanted.ttl, wanted.repeats)
        and decode_policy(found.failure_policy) == decode_policy(wanted.failure_policy)
        and _data_found(found) == _data_wanted(wanted)
    )


def _data_found(found: JobDescription) -> bytes | None:
    """Return a job's data in a form that compares; what is no JSON value is like no data at all."""
    data = found.data
    if data is msgspec.UNSET or data.value is msgspec.UNSET:
        return None
    return _comparable(data.value) if data.type == wire.VALUE_TYPE else b""


def _data_wanted(wanted: JobRequest) -> bytes | None:
    return None if wanted.data is msgspec.UNSET else _comparable(wanted.data)


def _comparable(value: msgspec.Raw) -> bytes:
    """Write numbers as the runtime does, which keeps them as 64-bit floats, and keys in order."""
    try:
        return canonical(value)
    except GoJsonError:
        return bytes(value)


def _may_pass(error: SidecarError) -> bool:
    """Tell whether an error may be gone on the next try."""
    if isinstance(error, SidecarUnavailable):
        return True
    return error.status >= _SERVER_ERRORS and error.status != _NOT_IMPLEMENTED
