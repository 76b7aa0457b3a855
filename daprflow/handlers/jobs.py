"""Job handlers at freeze: how their payloads are decoded, and which are scheduled by the app."""

from dataclasses import dataclass
from typing import Any

import msgspec

from daprflow.addresses import type_name
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.handlers.decoding import BodyDecoder, Undecodable, json_body
from daprflow.handlers.registration import JobOptions, Registration
from daprflow.policies import encode_policy
from daprflow.protocol.jobs import JobRequest


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job that is to be scheduled whenever the app runs."""

    name: str
    request: JobRequest


class JobDecoder(BodyDecoder):
    """Decodes what a tick brings: JSON, or what a job scheduled over gRPC has in its place."""

    __slots__ = ()

    def __init__(self, payload: Any, codecs: Codecs = NO_CODECS) -> None:
        super().__init__(Any, codecs)
        self.content_type = ""  # a sidecar calls every body JSON
        decode = codecs.decoder(payload).decode
        as_json = json_body(payload, codecs)

        def as_raw(body: bytes) -> Any:
            try:
                return decode(body)
            except ValueError:
                return _raw(body, payload)

        self.decode = as_raw if payload in (bytes, str) else as_json


def job_plan(
    registration: Registration, payload: Any, codecs: Codecs = NO_CODECS
) -> tuple[JobPlan | None, str]:
    """Return what is to be scheduled for a handler, and why it cannot be; both may be nothing.

    ``payload`` is the type of its data; None where it takes none.
    """
    options = registration.options
    if not isinstance(options, JobOptions):
        return None, ""
    problem = _mismatch(options, payload)
    if problem or options.schedule is None:
        return None, problem
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    if options.data is not msgspec.UNSET:
        try:
            data = msgspec.Raw(codecs.encode(options.data))
            codecs.decoder(payload).decode(bytes(data))
        except (TypeError, ValueError, RecursionError) as error:
            return None, f"has data= that is no '{type_name(payload)}': {error}"
    try:
        policy = encode_policy(options.failure_policy)
    except ValueError:  # reported with the options
        return None, ""
    request = JobRequest(
        schedule=options.schedule.strip(), overwrite=True, failure_policy=policy, data=data
    )
    return JobPlan(options.name, request), ""


def _mismatch(options: JobOptions, payload: Any) -> str:
    has_data = options.data is not msgspec.UNSET
    if options.schedule is None:
        if has_data:
            return "has data= without a schedule; 'client.schedule' is given the data of each job"
        if options.failure_policy is not None:
            return "has a failure_policy= without a schedule; give it to 'client.schedule'"
        return ""
    if payload is None and has_data:
        return "has data= and takes no payload; take it as the first parameter"
    if payload is not None and not has_data:
        return f"has a schedule and takes a {type_name(payload)}, so each tick needs one; add data="
    return ""


def _raw(body: bytes, payload: type) -> bytes | str:
    try:
        return body if payload is bytes else body.decode()
    except UnicodeDecodeError as error:
        raise Undecodable(error.reason) from None
