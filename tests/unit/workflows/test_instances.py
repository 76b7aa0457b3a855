"""Workflows that are kept between their turns, and the histories that they go on with."""

from typing import Any

from daprflow import Activity, DaprFlow, WorkflowContext
from daprflow.protocol import workflow_messages as pb
from daprflow.protocol.workflow_actions import ScheduleTask
from daprflow.workflows.instances import Instances
from daprflow.workflows.replay import Rules

charge: Activity[int, int] = Activity("", "charge", int, int)


def instances(limit: int = 10) -> Instances:
    """What keeps instances of a workflow that calls an activity twice."""
    app = DaprFlow("app")

    @app.workflow
    async def flow(ctx: WorkflowContext) -> int:
        return await ctx.call(charge, 1) + await ctx.call(charge, 2)

    app.freeze()
    return Instances(app.work().workflows, Rules(), limit)


def started(second: int) -> Any:
    """The beginning of a turn."""
    stamp = pb.Timestamp(seconds=second)
    return pb.HistoryEvent(eventId=-1, timestamp=stamp, workflowStarted=pb.WorkflowStartedEvent())


def execution() -> Any:
    """The beginning of an execution."""
    event = pb.HistoryEvent(eventId=-1, executionStarted=pb.ExecutionStartedEvent(name="flow"))
    event.router.sourceAppID = "app"
    return event


def scheduled(number: int) -> Any:
    """A call that is written down."""
    return pb.HistoryEvent(eventId=number, taskScheduled=pb.TaskScheduledEvent(name="charge"))


def completed(number: int) -> Any:
    """What came of a call."""
    result = pb.StringValue(value="5")
    event = pb.TaskCompletedEvent(taskScheduledId=number, result=result)
    return pb.HistoryEvent(eventId=-1, taskCompleted=event)


def item(past: list[Any], new: list[Any], left_out: int = 0, instance: str = "w1") -> Any:
    """A turn that a sidecar sends."""
    request = pb.WorkflowRequest(instanceId=instance, pastEvents=past, newEvents=new)
    if left_out:
        request.cachedHistory.eventCount = left_out
    return request


def do(kept: Instances, request: Any) -> tuple[int, list[int]]:
    """Take a turn; return how much was known, and the numbers of the calls that are asked for."""
    found = kept.take(request)
    assert found is not None
    replay, known = found
    turn = kept.turn(replay, request.pastEvents[known:], request.newEvents)
    return known, [each.id for each in turn.actions if isinstance(each, ScheduleTask)]


FIRST = [started(1), execution()]


def test_only_what_is_new_is_gone_through() -> None:
    """A kept workflow goes on where it was, with the whole history or with what was left out."""
    kept = instances()
    assert do(kept, item([], FIRST)) == (0, [1])
    assert do(kept, item([*FIRST, scheduled(1)], [started(2), completed(1)])) == (2, [2])
    late = item([scheduled(2)], [started(3)], left_out=5)
    assert do(kept, late) == (0, [])
    kept.close()


def test_a_lost_answer_has_the_turn_done_again() -> None:
    """A turn that comes again, since its answer was lost, is done from scratch."""
    kept = instances()
    do(kept, item([], FIRST))
    assert do(kept, item([], [started(2), execution()])) == (0, [1])
    kept.close()


def test_another_workers_history_is_replayed() -> None:
    """A history whose turns are not those that were seen is replayed from scratch."""
    kept = instances()
    do(kept, item([], FIRST))
    others = [started(7), execution(), scheduled(1)]
    assert do(kept, item(others, [started(8), completed(1)])) == (0, [2])
    kept.close()


def test_another_turn_that_began_at_the_same_time_is_told_apart() -> None:
    """A history whose newest turn was given something else at the same time is replayed."""
    kept = instances()
    do(kept, item([], FIRST))
    past = [*FIRST, scheduled(1)]
    assert do(kept, item(past, [started(2), completed(7)])) == (2, [])
    others = [*past, started(2), completed(1)]
    assert do(kept, item([*others, scheduled(2)], [started(3), completed(2)])) == (0, [])
    kept.close()


def test_what_is_left_out_must_be_known() -> None:
    """A part of a history that is left out and not known here has to be asked for."""
    kept = instances()
    assert kept.take(item([scheduled(1)], [started(2)], left_out=2)) is None


def test_the_longest_unused_is_given_up() -> None:
    """No more workflows are kept than the limit says; none is with a limit of 0."""
    kept = instances(limit=2)
    for name in ("a", "b", "c"):
        do(kept, item([], FIRST, instance=name))
    assert len(kept) == 2
    assert kept.take(item([], [started(2)], left_out=3, instance="a")) is None
    kept.close()
    never = instances(limit=0)
    do(never, item([], FIRST))
    assert len(never) == 0
