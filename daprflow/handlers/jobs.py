"""Job handlers: the handle that `@app.job` returns, payloads, and standing schedules."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from daprflow.addresses import Job, type_name
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.handlers.decoding import BodyDecoder, Undecodable, json_body
from daprflow.handlers.registration import JobOptions, Registration
from daprflow.handlers.signature import MISSING, SignatureError, read_handler
from daprflow.policies import encode_policy
from daprflow.protocol.jobs import JobRequest

T = TypeVar("T")


class OwnJob(Job[T]):
    """A job handler as a typed handle; calling it calls the function as it was written.

    Its type is read from the signature when first asked for, since annotations may name classes
    that are defined later.
    """

    __slots__ = ("__wrapped__", "_registration")

    def __init__(self, registration: Registration, /) -> None:
        options = registration.options
        self.name = options.name if isinstance(options, JobOptions) else registration.name
        self._payload: Any = MISSING
        self._registration = registration
        self.__wrapped__: Callable[..., Any] = registration.function

    @property
    def payload(self) -> type[T]:
        """The type of the job's data; ``NoneType`` where there is none."""
        if self._payload is MISSING:
            registration = self._registration
            try:
                payload = read_handler(registration.function, registration.source).payload
            except SignatureError as error:
                raise TypeError(f"{registration.title} {error}") from None
            found = type(None) if payload is None else payload.type
            self._payload = Any if found is MISSING else found
        payload_type: type[T] = self._payload
        return payload_type

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it was written."""
        return self.__wrapped__(*args, **kwargs)


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
