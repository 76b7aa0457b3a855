"""A workflow instance under test: nothing is waited for, unless it can still come."""

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from daprflow.addresses import ExternalEvent
from daprflow.client.workflow_runs import NEW, WorkflowRun
from daprflow.protocol.workflow_actions import WorkflowState
from daprflow.workflows.replay import Replay

if TYPE_CHECKING:
    from daprflow.app import DaprFlow

T = TypeVar("T")
Out = TypeVar("Out")


_HINT = "move the clock with advance(), send it an event, or fake what another app has to do"


class Surroundings(Protocol):
    """What a run under test needs of the `Stage` that it is on."""

    @property
    def app(self) -> "DaprFlow":
        """The app under test."""
        ...

    async def settle(self) -> None:
        """Let everything go on as far as it can."""
        ...


class UnfinishedWorkflow(AssertionError):  # noqa: N818 - named for the state
    """A test wants the result of a workflow that waits for something.

    Example:
        ```python
        run = await dapr.start(checkout, Order("7"))
        try:
            await run.result()
        except UnfinishedWorkflow as error:
            print(error)  # names the event or the timer that it waits for
        ```
    """


class TestRun(WorkflowRun[Out]):
    """A `WorkflowRun` whose result is there once everything has settled, or is refused.

    Example:
        ```python
        run = await dapr.start(checkout, Order("7"))
        await run.send(approved, True)
        assert await run.result() == "done"
        ```
    """

    __test__ = False  # no test case, whatever its name begins with
    __slots__ = ("_stage",)

    def __init__(self, run: WorkflowRun[Out], stage: Surroundings | None, /) -> None:
        super().__init__(run._calls, run._workflow, run.id)  # noqa: SLF001 - of the same family
        self._stage = stage

    async def _settle(self) -> None:
        """Let everything go on as far as it can; a real runtime takes its time."""
        if self._stage is not None:
            await self._stage.settle()

    async def result(self, timeout: timedelta | None = None) -> Out:  # noqa: ASYNC109 - as WorkflowRun
        """Return the result.

        Args:
            timeout: of real time; None is without end.

        Raises:
            UnfinishedWorkflow: it has not ended, and nothing more comes without `advance`, an
                event, or another call of the test; the text names what it waits for.
            NonDeterminismError: its code does not do what its history says it did.
            WorkflowFailed: it failed, or was terminated.

        Example:
            ```python
            run = await dapr.start(checkout, Order("7"))
            assert await run.result() == "done"
            ```
        """
        await self._settle()
        status = await self.status()
        if self._stage is not None and not status.ended:
            raise await self._unfinished(self._stage, status.state)
        return await super().result(timeout)

    async def send(self, event: ExternalEvent[T], /, data: T) -> None:
        """Give it an event, and let it go on as far as it can at once.

        Args:
            event: the handle that the workflow waits for.
            data: of the event's type.

        Example:
            ```python
            run = await dapr.start(checkout, Order("7"))
            await run.send(approved, True)
            ```
        """
        await super().send(event, data)
        await self._settle()

    async def suspend(self, reason: str = "", /) -> None:
        """Have it hold still, and wait until it does.

        Args:
            reason: noted in its history.

        Example:
            ```python
            run = await dapr.start(checkout, Order("7"))
            await run.suspend("the bank is closed")
            ```
        """
        await super().suspend(reason)
        await self._settle()

    async def resume(self, reason: str = "", /) -> None:
        """Have it go on as far as it can at once.

        Args:
            reason: noted in its history.

        Example:
            ```python
            run = await dapr.start(checkout, Order("7"))
            await run.suspend()
            await run.resume()
            ```
        """
        await super().resume(reason)
        await self._settle()

    async def terminate(self, output: object = None, /, *, recursive: bool = True) -> None:
        """End it, and wait until it has ended.

        Args:
            output: what stands as its result.
            recursive: whether its children end, too.

        Example:
            ```python
            run = await dapr.start(checkout, Order("7"))
            await run.terminate("cancelled")
            ```
        """
        await super().terminate(output, recursive=recursive)
        await self._settle()

    async def rerun(
        self,
        event: int,
        /,
        *,
        id: str | None = None,  # noqa: A002 - as WorkflowRun
        data: object = NEW,
    ) -> "TestRun[Out]":
        """Begin a new instance at one of its steps, and let that go on as far as it can at once.

        Args:
            event: the number of the step, an ``id`` in its history.
            id: the new instance's; by default a new one.
            data: another input for that step.

        Returns:
            the new instance.

        Example:
            ```python
            run = await dapr.start(checkout, Order("7"))
            again = await run.rerun(4)
            ```
        """
        run = await super().rerun(event, id=id, data=data)
        await self._settle()
        return TestRun(run, self._stage)

    async def _unfinished(self, stage: Surroundings, state: WorkflowState) -> Exception:
        problem = stage.app.workflow_problem(self.id)
        if problem is not None:
            return problem
        replay = Replay(stage.app.work().workflows, self.id)
        replay.turn(await self.history(), ())
        waits = ", ".join(replay.waits_for) or "the time of its start"
        replay.close()
        hint = "resume it" if state is WorkflowState.SUSPENDED else _HINT
        return UnfinishedWorkflow(
            f"workflow '{self._workflow.name}' ({self.id}) is {state.name} and has no result yet; "
            f"it waits for {waits}; {hint}"
        )
