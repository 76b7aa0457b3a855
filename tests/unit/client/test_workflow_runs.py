"""Waiting for a run: how many calls it takes, and that nobody waits for what is not there."""

import asyncio
from typing import Any

import pytest

from daprflow import NotFound, SidecarUnavailable, Workflow, WorkflowRun
from daprflow.protocol.workflow_actions import Instance, WorkflowState
from daprflow.workflows.values import Values

FLOW: Workflow[None, int] = Workflow("app", "flow", type(None), int)
DONE = Instance("w1", status=WorkflowState.COMPLETED, output="5")
GONE = NotFound("there is none", status=404)


class Hub:
    """A sidecar that answers each kind of call once; what it has no answer for, it leaves open."""

    def __init__(self, **answers: Instance | Exception) -> None:
        self.values = Values()
        self.made: list[str] = []
        self._answers = answers

    async def get(self, _: str) -> Instance:
        """Tell what is known of an instance."""
        return await self._answer("get")

    async def wait(self, _: str) -> Instance:
        """Wait for its end."""
        return await self._answer("wait")

    async def _answer(self, name: str) -> Instance:
        self.made.append(name)
        answer = self._answers.get(name)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Instance):
            return answer
        raise answer or AssertionError


def run_of(hub: Any, *, begun: bool) -> WorkflowRun[int]:
    """The run of an instance."""
    return WorkflowRun(hub, FLOW, "w1", begun=begun)


async def test_the_result_of_what_was_started_here_takes_one_call() -> None:
    """Who started an instance need not ask whether it is there."""
    hub = Hub(wait=DONE)
    assert await run_of(hub, begun=True).result() == 5
    assert hub.made == ["wait"]


async def test_an_instance_that_was_looked_up_is_asked_for_first() -> None:
    """An instance that nobody knows would be waited for, for ever."""
    hub = Hub(get=GONE)
    with pytest.raises(NotFound):
        await run_of(hub, begun=False).result()
    assert hub.made == ["get"]


async def test_an_instance_that_was_forgotten_since_its_start_is_missed() -> None:
    """An end that does not come soon is asked about: the instance may be forgotten by then."""
    hub = Hub(get=GONE)
    with pytest.raises(NotFound):
        await run_of(hub, begun=True).result()
    assert hub.made == ["wait", "get"]


async def test_another_sidecar_is_asked_first() -> None:
    """A sidecar that comes after one that went away may not know what that one began."""
    hub = Hub(wait=SidecarUnavailable("it is away"), get=GONE)
    with pytest.raises(NotFound):
        await run_of(hub, begun=True).result()
    assert hub.made == ["wait", "get"]


def test_a_state_is_shown_by_its_name() -> None:
    """What a message says of a state is its name, not the number on the wire."""
    assert f"{WorkflowState.FAILED} {WorkflowState.FAILED!s:>7}" == "FAILED  FAILED"
