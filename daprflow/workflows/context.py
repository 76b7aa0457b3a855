"""What a workflow's code is given: everything durable that it may do."""

import random
import uuid
from collections.abc import Awaitable, Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, overload

from daprflow.addresses import Activity, ExternalEvent, Workflow
from daprflow.protocol.history import TimerOrigin
from daprflow.workflows.identity import own_uuid
from daprflow.workflows.logger import ReplayLogger
from daprflow.workflows.mapping import mapped
from daprflow.workflows.places import calling_place
from daprflow.workflows.retry import RetryPolicy
from daprflow.workflows.runner import Restarted
from daprflow.workflows.saga import Saga
from daprflow.workflows.tasks import Task, gathered, raced

if TYPE_CHECKING:
    from daprflow.workflows.execution import Execution
    from daprflow.workflows.plan import WorkflowPlan

T = TypeVar("T")
D = TypeVar("D")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
In = TypeVar("In")
Out = TypeVar("Out")


class _Absent:
    """Stands for an argument that was not given."""


_ABSENT = _Absent()
_SET_ORDER = (
    "a workflow cannot use the order of a set: it differs from process to process; give "
    "sorted(...) of it, or a list"
)


class WorkflowContext:
    """What a workflow does durably.

    Everything that takes time gives a `Task`: it begins at once, in the order of the calls, and is
    awaited when its result is needed. After a restart the code runs again from its beginning, and
    is given every result that came before.

    Example:
        ```python
        @app.workflow
        async def checkout(ctx: WorkflowContext, order: Order) -> str:
            await ctx.call(charge, order, retry=RetryPolicy(attempts=5))
            if not await ctx.wait(approved, timeout=timedelta(days=1), default=False):
                return "rejected"
            return "done"
        ```
    """

    __slots__ = ("_execution", "_logger", "_plan", "_random")

    def __init__(self, execution: "Execution", plan: "WorkflowPlan", /) -> None:
        self._execution = execution
        self._plan = plan
        self._random: random.Random | None = None
        self._logger: ReplayLogger | None = None

    @property
    def id(self) -> str:
        """The id of this instance."""
        return self._execution.instance

    @property
    def now(self) -> datetime:
        """The workflow's time, in UTC: when the turn began that is being gone through."""
        return self._execution.time

    @property
    def replaying(self) -> bool:
        """Whether the code goes through what it has done before."""
        return self._execution.replaying

    @property
    def version(self) -> str:
        """The name of the version that runs; empty where it has none."""
        return self._plan.version

    @property
    def random(self) -> random.Random:
        """A source of randomness that gives the same on every replay."""
        if self._random is None:
            self._random = random.Random(self._execution.id)  # noqa: S311 - it must repeat itself
        return self._random

    @property
    def logger(self) -> ReplayLogger:
        """A logger that is silent while replaying."""
        if self._logger is None:
            execution = self._execution
            name = self._plan.function.__module__
            self._logger = ReplayLogger(name, execution.instance, lambda: execution.replaying)
        return self._logger

    def uuid(self) -> uuid.UUID:
        """Return a new id, the same on every replay.

        Example:
            ```python
            order_id = str(ctx.uuid())
            ```
        """
        execution = self._open()
        return own_uuid(execution.id, execution.uuid_number())

    @overload
    def call(
        self, activity: Activity[None, Out], /, *, retry: RetryPolicy | None = None
    ) -> Task[Out]: ...
    @overload
    def call(
        self, activity: Activity[In, Out], data: In, /, *, retry: RetryPolicy | None = None
    ) -> Task[Out]: ...
    def call(
        self, activity: Any, data: Any = None, /, *, retry: RetryPolicy | None = None
    ) -> Task[Any]:
        """Call an activity, of this app or another one.

        Args:
            activity: what ``@app.activity`` returned, or an `Activity` of another app.
            data: its input.
            retry: how often to try again; None tries once.

        Raises:
            ActivityFailed: when awaited: it raised, and no attempt is left.
            ValueError: when awaited: its result does not fit the declared type.
            TypeError: the input has no JSON form.

        Example:
            ```python
            receipt = await ctx.call(charge, Order("7"), retry=RetryPolicy(attempts=5))
            ```
        """
        execution = self._execution
        execution.runner.check_open()
        return execution.call(execution.values.callee(activity), data, retry, calling_place())

    @overload
    def start(
        self,
        workflow: Workflow[None, Out],
        /,
        *,
        id: str | None = ...,
        retry: RetryPolicy | None = ...,
        detached: Literal[False] = ...,
    ) -> Task[Out]: ...
    @overload
    def start(
        self,
        workflow: Workflow[In, Out],
        data: In,
        /,
        *,
        id: str | None = ...,
        retry: RetryPolicy | None = ...,
        detached: Literal[False] = ...,
    ) -> Task[Out]: ...
    @overload
    def start(
        self, workflow: Workflow[None, Out], /, *, id: str | None = ..., detached: Literal[True]
    ) -> str: ...
    @overload
    def start(
        self,
        workflow: Workflow[In, Out],
        data: In,
        /,
        *,
        id: str | None = ...,
        detached: Literal[True],
    ) -> str: ...
    def start(
        self,
        workflow: Any,
        data: Any = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - the name in the architecture
        retry: RetryPolicy | None = None,
        detached: bool = False,
    ) -> Any:
        """Start a child workflow.

        Args:
            workflow: what ``@app.workflow`` returned, or a `Workflow` of another app.
            data: its input.
            id: the child's instance id; by default this one's with the step's number, and for a
                detached one a part that is new after each restart.
            retry: how often to start it again when it fails.
            detached: nobody waits for it: its id is returned in the place of a task, and how it
                ends changes nothing here. It is still a child: terminating this instance
                recursively ends it, too.

        Raises:
            WorkflowFailed: when awaited: it failed, or was terminated.
            TypeError: the input has no JSON form.

        Example:
            ```python
            result = await ctx.start(checkout, Order("7"), id="o7")
            ```
        """
        execution = self._open()
        callee = execution.values.callee(workflow)
        if not detached:
            return execution.start(callee, data, retry, calling_place(), child=id)[0]
        child = id or execution.id_for_long()
        return execution.start(callee, data, retry, calling_place(), child=child)[1]

    def map(
        self,
        handle: Activity[In, Out] | Workflow[In, Out],
        inputs: Iterable[In],
        /,
        *,
        limit: int = 10,
        retry: RetryPolicy | None = None,
    ) -> Task[list[Out]]:
        """Call an activity, or run a child workflow, for each of many inputs, a few at a time.

        The results have the order of the inputs. The first error is raised at once; what runs then
        goes on, and nothing more begins.

        Args:
            handle: an activity or a workflow.
            inputs: one for each call; nothing whose order differs from process to process.
            limit: how many run at the same time.
            retry: how often to try each again; None tries once.

        Returns:
            a task with all results.

        Raises:
            ActivityFailed: when awaited: one of them failed.
            WorkflowFailed: when awaited: one of the children failed.
            TypeError: an input has no JSON form.
            WorkflowRuleError: the inputs are a set.
            ValueError: ``limit`` is below 1.

        Example:
            ```python
            receipts = await ctx.map(charge, [Order("7"), Order("8")], limit=5)
            ```
        """
        execution = self._open()
        if isinstance(inputs, AbstractSet):
            raise execution.runner.violated(_SET_ORDER)
        if limit < 1:
            raise ValueError(f"limit={limit} never begins; it takes 1 or more")
        place = calling_place()
        calls = [execution.prepared(handle, each, retry, place) for each in inputs]
        return mapped(execution.runner, calls, limit)

    def sleep(self, delay: timedelta | datetime, /) -> Task[None]:
        """Wait for a time, or until a point in time; a point without a zone is UTC.

        Args:
            delay: how long, or until when.

        Returns:
            a task that is done then.

        Example:
            ```python
            await ctx.sleep(timedelta(days=30))
            ```
        """
        execution = self._open()
        task: Task[None] = Task(execution.runner, "a timer")
        execution.timer(
            execution.fire_at(delay),
            TimerOrigin("timer"),
            lambda: task.settle(None),
            calling_place(),
        )
        return task

    @overload
    def wait(self, event: ExternalEvent[T], /, *, timeout: timedelta | None = None) -> Task[T]: ...
    @overload
    def wait(
        self, event: ExternalEvent[T], /, *, timeout: timedelta, default: D
    ) -> Task[T | D]: ...
    def wait(
        self,
        event: ExternalEvent[Any],
        /,
        *,
        timeout: timedelta | None = None,
        default: Any = _ABSENT,
    ) -> Task[Any]:
        """Wait for an event; one that came before is kept for the first who waits.

        Names of events are the same in upper and lower case, as they are for the runtime.

        Args:
            event: its name and the type of what it brings.
            timeout: how long to wait; nothing, or less, takes what came before alone.
            default: what to return when the time is up.

        Raises:
            TimeoutError: when awaited: the time is up, and there is no default.
            ValueError: when awaited: what came does not fit the declared type.
            TypeError: ``event`` is no `ExternalEvent`.

        Example:
            ```python
            agreed = await ctx.wait(approved, timeout=timedelta(days=1), default=False)
            ```
        """
        execution = self._open()
        if not isinstance(event, ExternalEvent):
            raise TypeError(
                f"ctx.wait() takes an event, not '{type(event).__name__}'; write "
                "ExternalEvent(name, type)"
            )
        decode = execution.values.decoder(event.payload, f"the event '{event.name}'")

        def late(task: Task[Any]) -> None:
            if default is not _ABSENT:
                task.settle(default)
            else:
                task.fail(TimeoutError(f"no event '{event.name}' came within {timeout}"))

        return execution.wait(event.name, decode, timeout, late, calling_place())

    @overload
    def gather(self, a: Awaitable[T1], b: Awaitable[T2], /) -> Task[tuple[T1, T2]]: ...
    @overload
    def gather(
        self, a: Awaitable[T1], b: Awaitable[T2], c: Awaitable[T3], /
    ) -> Task[tuple[T1, T2, T3]]: ...
    @overload
    def gather(
        self, a: Awaitable[T1], b: Awaitable[T2], c: Awaitable[T3], d: Awaitable[T4], /
    ) -> Task[tuple[T1, T2, T3, T4]]: ...
    @overload
    def gather(
        self,
        a: Awaitable[T1],
        b: Awaitable[T2],
        c: Awaitable[T3],
        d: Awaitable[T4],
        e: Awaitable[T5],
        /,
    ) -> Task[tuple[T1, T2, T3, T4, T5]]: ...
    @overload
    def gather(self, *aws: Awaitable[T]) -> Task[list[T]]: ...
    @overload
    def gather(
        self, *aws: Awaitable[T], return_exceptions: Literal[True]
    ) -> Task[list[T | BaseException]]: ...
    def gather(self, *aws: Awaitable[Any], return_exceptions: bool = False) -> Any:
        """Wait for all of several tasks, and return their results in that order.

        Coroutines become branches, which run side by side. The first error is raised at once; the
        others go on.

        Args:
            aws: tasks and coroutines; ``*[ctx.call(score, each) for each in orders]``, for many.
            return_exceptions: wait for all, and give errors in the place of results.

        Example:
            ```python
            receipt, agreed = await ctx.gather(ctx.call(charge, Order("7")), ctx.wait(approved))
            ```
        """
        execution = self._open()
        return gathered(execution.runner, execution.branch(aws), errors=return_exceptions)

    @overload
    def race(self, a: Awaitable[T1], b: Awaitable[T2], /) -> Task[Task[T1] | Task[T2]]: ...
    @overload
    def race(
        self, a: Awaitable[T1], b: Awaitable[T2], c: Awaitable[T3], /
    ) -> Task[Task[T1] | Task[T2] | Task[T3]]: ...
    @overload
    def race(self, *aws: Awaitable[T]) -> Task[Task[T]]: ...
    def race(self, *aws: Awaitable[Any]) -> Any:
        """Wait for the first of several tasks, and return that task: awaiting it gives its result.

        ``winner = await ctx.race(approval, late)``, then ``if winner is late``. The others go on,
        and may be awaited or raced again. A wait for an event that lost leaves events to others
        until then.

        Args:
            aws: tasks, or coroutines of this workflow.

        Raises:
            ValueError: there is none.

        Example:
            ```python
            first, late = ctx.wait(approved), ctx.sleep(timedelta(days=1))
            if await ctx.race(first, late) is late:
                ctx.status("too late")
            ```
        """
        execution = self._open()
        if not aws:
            raise ValueError("ctx.race() of nothing never ends")
        return raced(execution.runner, execution.branch(aws))

    def restart(self, data: object = None, /, *, keep_events: bool = True) -> NoReturn:
        """End this execution and begin a new one of the same id, with an empty history.

        Args:
            data: the new execution's input.
            keep_events: whether it is given the events that nobody has waited for.

        Raises:
            TypeError: the input has no JSON form.

        Example:
            ```python
            await ctx.sleep(timedelta(hours=1))
            ctx.restart(Order("7"))
            ```
        """
        execution = self._open()
        text = execution.encode(data, "the input of the next execution", calling_place())
        restart = Restarted(text, keep_events)
        execution.runner.restart = restart
        raise restart

    def status(self, status: object, /) -> None:
        """Show a custom status: text as it is, anything else as JSON.

        Example:
            ```python
            ctx.status({"step": "charged"})
            ```
        """
        execution = self._open()
        if isinstance(status, str) or status is None:
            execution.custom_status = status
        else:
            text = execution.encode(status, "the custom status", calling_place())
            execution.custom_status = text

    def patched(self, name: str, /) -> bool:
        """Tell whether this execution takes the new way of a change.

        ``if ctx.patched("fraud-check"): …`` is true for executions that reach it for the first
        time, and false for those that went past it before the change.

        Args:
            name: of the change; give each change one of its own, and keep it.

        Example:
            ```python
            if ctx.patched("limit-first"):
                await ctx.sleep(timedelta(minutes=1))
            ```
        """
        return self._open().patched(name)

    def saga(self) -> Saga:
        """Return a block that takes back what was done in it when it fails: see `Saga`.

        Example:
            ```python
            async with ctx.saga() as saga:
                receipt = await ctx.call(charge, Order("7"))
                saga.undo(refund, receipt)
            ```
        """
        return Saga(self._open())

    def _open(self) -> "Execution":
        execution = self._execution
        execution.runner.check_open()
        return execution
