"""A workflow instance under test: nothing is waited for, unless it can still come."""

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from daprflow.client.workflow_runs import WorkflowRun
from daprflow.workflows.replay import Replay

if TYPE_CHECKING:
    from daprflow.testing.stage import Stage

Out = TypeVar("Out")


class UnfinishedWorkflow(AssertionError):  # noqa: N818 - named for the state
    """A test wants the result of a workflow that waits for something."""


class TestRun(WorkflowRun[Out]):
    """A `WorkflowRun` whose result is there once everything has settled, or is refused."""

    __test__ = False  # no test case, whatever its name begins with
    __slots__ = ("_stage",)

    def __init__(self, run: WorkflowRun[Out], stage: "Stage", /) -> None:
        super().__init__(run._calls, run._workflow, run.id)  # noqa: SLF001 - of the same family
        self._stage = stage

    async def result(self, timeout: timedelta | None = None) -> Out:  # noqa: ASYNC109 - as WorkflowRun
        """Return the result.

        Raises:
            UnfinishedWorkflow: it has not ended, and nothing more comes without `advance`, an
                event, or another call of the test; the text names what it waits for.
            NonDeterminismError: its code does not do what its history says it did.
            WorkflowFailed: it failed, or was terminated.
        """
        await self._stage.settle()
        status = await self.status()
        if not status.ended:
            raise await self._unfinished(status.state.name)
        return await super().result(timeout)

    async def _unfinished(self, state: str) -> Exception:
        problem = self._stage.app.workflow_problem(self.id)
        if problem is not None:
            return problem
        replay = Replay(self._stage.app.work().workflows, self.id)
        replay.turn(await self.history(), ())
        waits = ", ".join(replay.waits_for) or "nothing"
        replay.close()
        return UnfinishedWorkflow(
            f"workflow '{self._workflow.name}' ({self.id}) is {state} and has no result yet; it "
            f"waits for {waits}; move the clock with advance(), or send it an event"
        )
