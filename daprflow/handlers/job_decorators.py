"""``app.job(...)``: the decorator of job handlers, and what it returns as type checkers see it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Protocol, TypeVar, overload

import msgspec

from daprflow.addresses import Job
from daprflow.handlers.handler import Interceptor
from daprflow.handlers.registration import JobOptions, Own, Source, calling_source
from daprflow.policies import FailurePolicy

if TYPE_CHECKING:
    from daprflow.handlers.limits import Concurrency

In = TypeVar("In")


class JobDecorator(Protocol):
    """Takes a function with a payload, whose type is the job's, or without one."""

    @overload
    def __call__(self, function: Callable[Concatenate[In, ...], Any], /) -> Job[In]: ...
    @overload
    def __call__(self, function: Callable[..., Any], /) -> Job[None]: ...


class EmptyJobDecorator(Protocol):
    """Takes a function without a payload."""

    def __call__(self, function: Callable[..., Any], /) -> Job[None]:
        """Register ``function`` and return its handle."""
        ...


class JobDecorators:
    """The part of a router that takes jobs."""

    @overload
    def job(
        self,
        name: str,
        /,
        *,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
    ) -> JobDecorator: ...
    @overload
    def job(
        self,
        name: str,
        /,
        *,
        schedule: str,
        data: In,
        failure_policy: FailurePolicy | None = None,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
    ) -> Callable[[Callable[Concatenate[In, ...], Any]], Job[In]]: ...
    @overload
    def job(
        self,
        name: str,
        /,
        *,
        schedule: str,
        failure_policy: FailurePolicy | None = None,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
    ) -> EmptyJobDecorator: ...
    def job(
        self,
        name: str,
        /,
        *,
        schedule: str | None = None,
        data: Any = msgspec.UNSET,
        failure_policy: FailurePolicy | None = None,
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
    ) -> Any:
        """Run a function as a job, ``POST /job/{name}``; returns a typed `Job`.

        ``client.schedule`` is given the `Job` and says when it runs. With a ``schedule`` here the
        app sees to that by itself, after each start: the job is placed where it is missing,
        replaced where its schedule, data or policy are others, and left alone otherwise. The
        runtime keeps it when the app ends, and when the handler is gone.

        Returning ends a tick, and so does `Drop`; what is raised, `Retry` too, has it called again
        by the job's failure policy.

        Args:
            name: the job's.
            schedule: a cron rule of six fields, seconds first, ``@every 15m``, ``@daily``, ….
            data: what each tick brings, where the function takes a payload.
            failure_policy: what follows a failed tick; three retries, one second apart, where it is
                None.
            interceptors: around this handler, inside those of the app and its routers.
            max_concurrency: how many ticks it works on at once; more wait, then get a 503.

        Example:
            ```python
            @app.job("report", schedule="0 0 3 * * *", data=Limits(daily=1))
            async def report(limits: Limits) -> None:
                print("report of", limits.daily)
            ```
        """
        options = JobOptions(name, schedule, data, failure_policy)
        own = Own(interceptors, limit=max_concurrency)
        return self._waiting_job(options, calling_source(), own)

    def _waiting_job(self, options: JobOptions, source: Source, own: Own) -> Any:
        raise NotImplementedError
