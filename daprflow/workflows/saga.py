"""Compensation: what was done is taken back, durably, when something later fails."""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from daprflow.addresses import Activity, Workflow
from daprflow.workflows.places import calling_place
from daprflow.workflows.retry import RetryPolicy

if TYPE_CHECKING:
    from daprflow.workflows.execution import Execution
    from daprflow.workflows.tasks import Task

In = TypeVar("In")


class Saga:
    """A block whose undo activities run in reverse when it fails.

    ``async with ctx.saga() as saga:`` does one step after another, and after each says how to take
    it back: ``saga.undo(release, room)``. When the block raises, those run, the newest first, each
    to its end; then the error goes on. An undo that fails, retries included, does not keep the
    others from running, and is noted in the error. Terminating the workflow undoes nothing.

    Example:
        ```python
        async with ctx.saga() as saga:
            receipt = await ctx.call(charge, Order("7"))
            saga.undo(refund, receipt)  # runs when a later step of the block fails
        ```
    """

    __slots__ = ("_execution", "_undos")

    def __init__(self, execution: "Execution", /) -> None:
        self._execution = execution
        self._undos: list[tuple[str, Callable[[], Task[Any]]]] = []

    @overload
    def undo(self, handle: Activity[None, Any], /, *, retry: RetryPolicy | None = None) -> None: ...
    @overload
    def undo(
        self, handle: Activity[In, Any], data: In, /, *, retry: RetryPolicy | None = None
    ) -> None: ...
    @overload
    def undo(
        self, handle: Workflow[In, Any], data: In, /, *, retry: RetryPolicy | None = None
    ) -> None: ...
    def undo(self, handle: Any, data: Any = None, /, *, retry: RetryPolicy | None = None) -> None:
        """Say how to take the last step back.

        Args:
            handle: an activity, or a workflow that runs as a child.
            data: its input.
            retry: how often to try it again.

        Raises:
            TypeError: the input has no JSON form.

        Example:
            ```python
            async with ctx.saga() as saga:
                receipt = await ctx.call(charge, Order("7"))
                saga.undo(refund, receipt, retry=RetryPolicy(attempts=10))
            ```
        """
        execution = self._execution
        execution.runner.check_open()
        begin = execution.prepared(handle, data, retry, calling_place())
        self._undos.append((handle.name, begin))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, Exception):
            return  # it went well, or the workflow is taken down or begins anew
        runner = self._execution.runner
        undos, self._undos = self._undos, []
        runner.undoing += 1
        try:
            for name, begin in reversed(undos):
                try:
                    await begin()
                except Exception as failed:  # noqa: BLE001 - the other undos run all the same
                    error.add_note(f"undo '{name}' failed: {type(failed).__name__}: {failed}")
        finally:
            runner.undoing -= 1
