"""Activities that are asked for again before the sidecar has their answers."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from daprflow import DaprFlow
from daprflow.protocol import workflow_messages as pb
from daprflow.protocol.details import Detail
from daprflow.protocol.fault import FaultText
from daprflow.transports.events import CallRefused
from daprflow.transports.grpc_work import TaskHub
from daprflow.workflows.activities import Activities
from daprflow.workflows.performing import UNDELIVERED, Performing
from tests.helpers.timing import eventually


class Hub:
    """Takes answers, or is away."""

    def __init__(self, *, away: bool = False, dropping: int = 0) -> None:
        self.away = away
        self.dropping = dropping
        self.tokens: list[str] = []

    async def complete_activity(self, response: Any) -> None:
        """Take an answer.

        Raises:
            CallRefused: it is away.
        """
        self.tokens.append(response.completionToken)
        if self.away:
            nothing: tuple[Detail, ...] = ()
            raise CallRefused(503, FaultText("", "away", nothing), unavailable=True)
        if len(self.tokens) <= self.dropping:
            raise CallRefused(408, FaultText("", "dropped", ()))


class Stage:
    """An app with one activity, which may be made to wait."""

    def __init__(self, limit: int = 10) -> None:
        self.ran: list[int] = []
        self.may = asyncio.Event()
        app = DaprFlow("app1")

        @app.activity
        async def work(number: int) -> None:
            self.ran.append(number)
            await self.may.wait()

        app.freeze()
        self.tasks: set[asyncio.Task[None]] = set()
        activities = Activities(app.work().activities)
        self.performing = Performing(activities, limit, self.begin)
        self.resets = 0

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin to work."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def ask(self, hub: Hub, token: str, number: int = 1) -> None:
        """Ask for an activity."""
        request = pb.ActivityRequest(name="work", taskId=number, taskExecutionId="e1")
        request.workflowInstance.instanceId = "w1"
        request.input.value = str(number)
        self.performing.take(request, token, cast("TaskHub", hub), self.reset)

    def reset(self) -> bool:
        """Note that the stream is to end."""
        self.resets += 1
        return self.resets == 1

    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self.tasks


def told(hub: Hub, *tokens: str) -> Callable[[], bool]:
    """Whether a hub was given answers with these tokens."""
    return lambda: hub.tokens == list(tokens)


@pytest.mark.row("FA-34", "R-17")
async def test_the_answer_goes_to_who_asked_last() -> None:
    """One that is asked for again while it runs runs once."""
    stage, first, second = Stage(), Hub(), Hub()
    stage.ask(first, "a")
    await eventually(lambda: stage.ran == [1])
    stage.ask(second, "b")
    stage.may.set()
    await eventually(stage.idle)
    assert (first.tokens, second.tokens, stage.ran) == ([], ["b"], [1])
    assert not len(stage.performing)


@pytest.mark.row("FA-34", "R-17")
async def test_asked_again_while_the_answer_finds_nobody() -> None:
    """One whose answer cannot be given yet is not run again for who asks meanwhile."""
    stage, first, second = Stage(), Hub(away=True), Hub()
    stage.may.set()
    stage.ask(first, "a")
    await eventually(told(first, "a"))
    stage.ask(second, "b")
    await eventually(stage.idle)
    assert (second.tokens, stage.ran) == (["b"], [1])
    assert not len(stage.performing)


async def test_asked_again_after_nobody_took_the_answer() -> None:
    """An answer is kept until somebody asks for it."""
    stage, first, second = Stage(), Hub(away=True), Hub()
    stage.may.set()
    stage.ask(first, "a")
    await eventually(stage.idle)
    assert len(first.tokens) > 1
    assert stage.resets == 1
    stage.ask(second, "b")
    await eventually(stage.idle)
    assert (second.tokens, stage.ran) == (["b"], [1])
    assert not len(stage.performing)


async def test_an_answer_that_was_dropped_is_sent_again() -> None:
    """A busy sidecar that cancels a call keeps its stream, and would not ask again."""
    stage, hub = Stage(), Hub(dropping=5)
    stage.may.set()
    stage.ask(hub, "a")
    await eventually(stage.idle)
    assert (len(hub.tokens), stage.ran, stage.resets) == (6, [1], 0)
    assert not len(stage.performing)


async def test_kept_answers_are_bounded() -> None:
    """Of answers that nobody takes, the oldest are given up."""
    stage, hub = Stage(UNDELIVERED), Hub(away=True)
    stage.may.set()
    for number in range(UNDELIVERED + 10):
        stage.ask(hub, "a", number)
    await eventually(stage.idle)
    assert len(stage.performing) == UNDELIVERED


async def test_what_has_not_begun_is_given_back() -> None:
    """At the end, those that wait for others are left to another worker; those that run go on."""
    stage, hub = Stage(limit=2), Hub()
    for number in range(5):
        stage.ask(hub, str(number), number)
    await eventually(lambda: len(stage.ran) == 2)
    stage.performing.give_back()
    stage.may.set()
    await eventually(stage.idle)
    assert sorted(hub.tokens) == ["0", "1"]
    assert sorted(stage.ran) == [0, 1]
    assert not len(stage.performing)
