"""Workflow instances for code that cannot await."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from daprflow.addresses import ExternalEvent
from daprflow.client.sync_subscription import Worker
from daprflow.client.workflow_runs import NEW, WorkflowRun, WorkflowStatus
from daprflow.protocol.history import HistoryEvent

T = TypeVar("T")
R = TypeVar("R")
Out = TypeVar("Out")


class SyncWorkflowRun(Generic[Out]):
    """A `WorkflowRun` for code that cannot await; ``client.start`` returns one.

    Each method does what the one of `WorkflowRun` does, and blocks its thread until it is done.

    Attributes:
        id: of the instance.

    Example:
        ```python
        with SyncClient() as client:
            run = client.start(checkout, Order("7"), id="o7")
            print(run.result())
        ```
    """

    __slots__ = ("_run", "_worker", "id")

    def __init__(self, worker: Worker, run: WorkflowRun[Out], /) -> None:
        self._worker = worker
        self._run = run
        self.id: str = run.id

    def result(self, timeout: timedelta | None = None) -> Out:
        """As ``WorkflowRun.result``."""
        return self._do(lambda run: run.result(timeout))

    def status(self) -> WorkflowStatus[Out]:
        """As ``WorkflowRun.status``."""
        return self._do(lambda run: run.status())

    def history(self) -> tuple[HistoryEvent, ...]:
        """As ``WorkflowRun.history``."""
        return self._do(lambda run: run.history())

    def send(self, event: ExternalEvent[T], /, data: T) -> None:
        """As ``WorkflowRun.send``."""
        self._do(lambda run: run.send(event, data))

    def suspend(self, reason: str = "", /) -> None:
        """As ``WorkflowRun.suspend``."""
        self._do(lambda run: run.suspend(reason))

    def resume(self, reason: str = "", /) -> None:
        """As ``WorkflowRun.resume``."""
        self._do(lambda run: run.resume(reason))

    def terminate(self, output: object = None, /, *, recursive: bool = True) -> None:
        """As ``WorkflowRun.terminate``."""
        self._do(lambda run: run.terminate(output, recursive=recursive))

    def purge(self, *, recursive: bool = True, force: bool = False) -> int:
        """As ``WorkflowRun.purge``."""
        return self._do(lambda run: run.purge(recursive=recursive, force=force))

    def rerun(
        self,
        event: int,
        /,
        *,
        id: str | None = None,  # noqa: A002 - as in WorkflowRun
        data: object = NEW,
    ) -> "SyncWorkflowRun[Out]":
        """As ``WorkflowRun.rerun``."""
        new = self._do(lambda run: run.rerun(event, id=id, data=data))
        return SyncWorkflowRun(self._worker, new)

    def _do(self, call: Callable[[WorkflowRun[Out]], Coroutine[Any, Any, R]]) -> R:
        return self._worker.run(lambda: call(self._run))

    def __repr__(self) -> str:
        return f"Sync{self._run!r}"


def each(worker: Worker, found: AsyncIterator[T]) -> Iterator[T]:
    """Go through what comes from another thread's loop, one at a time; end it when left early."""
    end: Any = object()

    async def following() -> T:
        return await anext(found, end)

    async def close() -> None:
        await found.aclose()  # type: ignore[attr-defined]  # it is an asynchronous generator

    try:
        while (value := worker.run(following)) is not end:
            yield value
    finally:
        worker.run(close)
