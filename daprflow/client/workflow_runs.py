"""One workflow instance: its result, its state, its history, and what can be done with it."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from daprflow.addresses import ExternalEvent, Workflow
from daprflow.client.backoff import reconnections
from daprflow.client.places import TooManyCalls
from daprflow.errors import NotFound, SidecarError, SidecarUnavailable, WorkflowFailed
from daprflow.protocol.history import Failure, HistoryEvent
from daprflow.protocol.workflow_actions import Instance, WorkflowState
from daprflow.workflows.failures import TERMINATED, workflow_failed
from daprflow.workflows.values import Values

if TYPE_CHECKING:
    from daprflow.client.workflow_calls import WorkflowCalls

T = TypeVar("T")
Out = TypeVar("Out")
NEW: Any = object()
"""Stands for an input that stays as it was."""

SURE = 1.0
"""Seconds after which it is asked whether an instance that was started here is still known."""
ENDED = frozenset(
    {
        WorkflowState.COMPLETED,
        WorkflowState.FAILED,
        WorkflowState.TERMINATED,
        WorkflowState.CANCELED,
    }
)


@dataclass(frozen=True, slots=True)
class WorkflowStatus(Generic[Out]):
    """What is known of a workflow instance.

    Attributes:
        id: of the instance.
        name: the workflow's; empty while it is scheduled for later.
        state: what it does.
        custom_status: what ``ctx.status`` said, text or JSON; None where nothing was said.
        input: as the workflow takes it.
        output: its result; None before it has one.
        failure: why it failed; None where it did not.
        created: when it was started.
        updated: when it had its last turn.
        completed: when it ended; None while it has not.
        version: which version of the workflow runs; empty where it has no name.
        parent: the instance that started it as a child; empty where none did.
        values: decodes what it holds.

    Example:
        ```python
        status = await client.workflow(checkout, "o7").status()
        if status.state is WorkflowState.FAILED:
            print(status.failure)
        ```
    """

    id: str
    name: str
    state: WorkflowState
    custom_status: str | None
    input: Any
    output: Out | None
    failure: Failure | None
    created: datetime | None
    updated: datetime | None
    completed: datetime | None
    version: str = ""
    parent: str = ""
    values: Values = field(default_factory=Values, repr=False, compare=False)

    def custom_status_as(self, kind: type[T], /) -> T | None:
        """Return the custom status as what the workflow made it of; None where nothing was said.

        Args:
            kind: the type; ``str`` gives the text as it is.

        Raises:
            ValueError: it is something else.

        Example:
            ```python
            status = await client.workflow(checkout, "o7").status()
            shown = status.custom_status_as(Limits)
            ```
        """
        if self.custom_status is None or kind is str:
            return self.custom_status  # type: ignore[return-value]  # a text is shown as it is
        status: T = self.values.decoder(kind, "the custom status")(self.custom_status)
        return status

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ENDED


class WorkflowRun(Generic[Out]):
    """A workflow instance; ``client.start`` returns one, ``client.workflow`` finds one.

    Attributes:
        id: of the instance.

    Example:
        ```python
        run = await client.start(checkout, Order("7"), id="o7")
        await run.send(approved, True)
        print(await run.result(timeout=timedelta(minutes=1)))
        ```
    """

    __slots__ = ("_begun", "_calls", "_workflow", "id")

    def __init__(
        self,
        calls: "WorkflowCalls",
        workflow: Workflow[Any, Out],
        instance: str,
        /,
        *,
        begun: bool = False,
    ) -> None:
        self._begun = begun
        self._calls = calls
        self._workflow = workflow
        self.id: str = instance

    async def result(self, timeout: timedelta | None = None) -> Out:  # noqa: ASYNC109 - as in §2
        """Wait until it has ended, and return its result.

        A sidecar that goes away meanwhile is waited for, and so is the app that runs it.

        Args:
            timeout: how long to wait; None is without end.

        Returns:
            the result, as the workflow's declared type.

        Raises:
            WorkflowFailed: it failed, or was terminated.
            NotFound: there is no such instance.
            TimeoutError: it did not end in time.
            ValueError: its result does not fit the declared type.

        Example:
            ```python
            print(await client.workflow(checkout, "o7").result(timeout=timedelta(minutes=1)))
            ```
        """
        limit = None if timeout is None else timeout.total_seconds()
        try:
            async with asyncio.timeout(limit):
                instance = await self._ended()
        except TimeoutError:
            raise TimeoutError(f"workflow '{self.id}' did not end within {timeout}") from None
        return self._result_of(instance)

    async def status(self) -> WorkflowStatus[Out]:
        """Return what is known of it.

        Raises:
            NotFound: there is no such instance.

        Example:
            ```python
            status = await client.workflow(checkout, "o7").status()
            print(status.state, status.custom_status)
            ```
        """
        return status_of(await self._calls.get(self.id), self._workflow, self._calls.values)

    async def history(self) -> tuple[HistoryEvent, ...]:
        """Return every event of its execution, the oldest first.

        Raises:
            NotFound: there is no such instance.

        Example:
            ```python
            history = await client.workflow(checkout, "o7").history()
            print(len(history), "events")
            ```
        """
        return await self._calls.history(self.id)

    async def send(self, event: ExternalEvent[T], /, data: T) -> None:
        """Give it an event; it is kept until the workflow waits for it.

        Args:
            event: the handle that the workflow waits for.
            data: of the event's type.

        Raises:
            NotFound: there is no such instance.
            TypeError: the data has no JSON form.

        Example:
            ```python
            await client.workflow(checkout, "o7").send(approved, True)
            ```
        """
        text = self._calls.values.encode(data, f"the event '{event.name}'")
        await self._calls.raise_event(self.id, event.name, text)

    async def suspend(self, reason: str = "", /) -> None:
        """Have it hold still: what comes is kept for when it goes on.

        Args:
            reason: noted in its history.

        Raises:
            NotFound: there is no such instance.

        Example:
            ```python
            await client.workflow(checkout, "o7").suspend("the bank is closed")
            ```
        """
        await self._calls.suspend(self.id, reason)

    async def resume(self, reason: str = "", /) -> None:
        """Have it go on; one that does not hold still is left alone.

        Args:
            reason: noted in its history.

        Raises:
            NotFound: there is no such instance.

        Example:
            ```python
            await client.workflow(checkout, "o7").resume()
            ```
        """
        state = (await self._calls.get(self.id)).status
        if state is WorkflowState.SUSPENDED:  # resuming a running one would fail it
            await self._calls.resume(self.id, reason)

    async def terminate(self, output: object = None, /, *, recursive: bool = True) -> None:
        """End it at once, without compensation; with its children, unless ``recursive`` is false.

        Args:
            output: what stands as its result.
            recursive: whether its children end, too.

        Raises:
            NotFound: there is no such instance.

        Example:
            ```python
            await client.workflow(checkout, "o7").terminate("cancelled")
            ```
        """
        text = self._calls.values.encode(output, "the output of the termination")
        await self._calls.terminate(self.id, text, recursive=recursive)

    async def purge(self, *, recursive: bool = True, force: bool = False) -> int:
        """Forget an instance that has ended; return how many were, its children included.

        Args:
            recursive: whether its children are forgotten, too.
            force: forgets one that has not ended, too; then no worker is needed.

        Raises:
            NotFound: there is no such instance.
            SidecarError: it has not ended.

        Example:
            ```python
            forgotten = await client.workflow(checkout, "o7").purge()
            ```
        """
        return await self._calls.purge(self.id, recursive=recursive, force=force)

    async def rerun(
        self,
        event: int,
        /,
        *,
        id: str | None = None,  # noqa: A002 - as in start
        data: object = NEW,
    ) -> "WorkflowRun[Out]":
        """Begin a new instance with this one's history up to a step, and do that step again.

        Args:
            event: the number of the step, an ``id`` in its history.
            id: the new instance's; by default a new one.
            data: another input for that step.

        Returns:
            the new instance.

        Raises:
            NotFound: there is no such instance, or it has no such step.
            SidecarError: it has not ended.

        Example:
            ```python
            again = await client.workflow(checkout, "o7").rerun(4, id="o7-again")
            print(await again.result())
            ```
        """
        overwrite = data is not NEW
        text = self._calls.values.encode(data, "the input of the step") if overwrite else None
        new = await self._calls.rerun(self.id, event, id, text, overwrite=overwrite)
        return WorkflowRun(self._calls, self._workflow, new)

    def __repr__(self) -> str:
        return f"WorkflowRun({self._workflow.name!r}, {self.id!r})"

    async def _ended(self) -> Instance:
        for pause in reconnections():
            try:
                return await self._waited()
            except TooManyCalls:  # there is time
                await asyncio.sleep(pause)
            except SidecarError as error:
                if not (isinstance(error, SidecarUnavailable) or is_waiting_for_worker(error)):
                    raise
                self._begun = False  # a sidecar that was replaced may not know it
                await asyncio.sleep(pause)
        raise AssertionError("pauses have no end")

    async def _waited(self) -> Instance:
        """Wait for its end; an unknown one would be waited for, for ever."""
        if not self._begun:
            await self._calls.get(self.id)
            return await self._calls.wait(self.id)
        waiting = asyncio.create_task(self._calls.wait(self.id))
        try:
            done, _ = await asyncio.wait({waiting}, timeout=SURE)
            if not done:
                await self._calls.get(self.id)
            return await waiting
        finally:
            waiting.cancel()

    def _result_of(self, instance: Instance) -> Out:
        workflow = self._workflow
        if instance.status is WorkflowState.COMPLETED:
            what = f"the result of workflow '{workflow.name}'"
            result: Out = self._calls.values.decoder(workflow.returns, what)(instance.output)
            return result
        failure = instance.failure
        if instance.status is WorkflowState.TERMINATED:
            text = f"workflow '{workflow.name}' ({self.id}) was terminated"
            raise WorkflowFailed(text, Failure(TERMINATED, instance.output or "it was terminated"))
        raise workflow_failed(workflow.name, self.id, failure or Failure("", "no reason was given"))


def status_of(
    instance: Instance, workflow: Workflow[Any, Out] | None, values: Values
) -> WorkflowStatus[Out]:
    """Return what is known of an instance, its values decoded where their types are known."""
    takes: Any = Any if workflow is None else workflow.takes
    returns: Any = Any if workflow is None else workflow.returns
    done = instance.status is WorkflowState.COMPLETED
    ended = instance.updated if instance.status in ENDED else 0  # the runtime tells no other time
    output = _value(values.decoder(returns, "the output"), instance.output) if done else None
    return WorkflowStatus(
        id=instance.id,
        name=instance.name,
        state=instance.status,
        custom_status=instance.custom_status,
        input=_value(values.decoder(takes, "the input"), instance.input),
        output=output,
        failure=instance.failure,
        created=_moment(instance.created),
        updated=_moment(instance.updated),
        completed=_moment(instance.completed or ended),
        version=instance.version,
        parent=instance.parent,
        values=values,
    )


def missing(instance: str) -> NotFound:
    """Return the error for an instance that there is not."""
    return NotFound(f"there is no workflow instance '{instance}'", status=404)


def is_missing(error: SidecarError) -> bool:
    """Tell whether a sidecar said that there is no such instance."""
    text = str(error)
    return "no such instance" in text or "not found" in text


_DROPPED = frozenset({408, 504})


def is_waiting_for_worker(error: SidecarError) -> bool:
    """Tell whether a sidecar said that the app's worker is not there, as while the app restarts.

    A real runtime says so in these words, whatever is asked of an instance. A call that a busy
    sidecar dropped may be made again as well.
    """
    if error.status in _DROPPED:
        return True
    text = str(error)
    return "did not find address for actor" in text or (
        "actor type" in text and "not registered" in text
    )


def _value(decode: Callable[[str | None], Any], text: str | None) -> Any:
    """Return a value of the declared type; what an older version of it left, as JSON has it."""
    if not text:
        return None
    try:
        return decode(text)
    except ValueError:
        with contextlib.suppress(ValueError):
            return msgspec.json.decode(text)
        return text


def _moment(at: int) -> datetime | None:
    return datetime.fromtimestamp(at // 1_000 / 1_000_000, UTC) if at else None
