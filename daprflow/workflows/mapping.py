"""Calling something for each of many values, a few at a time."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from daprflow.workflows.tasks import Task

if TYPE_CHECKING:
    from daprflow.workflows.runner import Runner


def mapped(runner: "Runner", calls: Sequence[Callable[[], Task[Any]]], limit: int) -> Task[Any]:
    """Return a task with every result in order; after an error nothing more begins."""
    whole: Task[Any] = Task(runner, f"{len(calls)} calls, {limit} at once")
    results: list[Any] = [None] * len(calls)
    waiting = iter(enumerate(calls))
    left = len(calls)

    def follow() -> None:
        following = next(waiting, None)
        if following is not None:
            number, begin = following
            task = begin()
            task.observe(lambda: ended(number, task))

    def ended(number: int, task: Task[Any]) -> None:
        nonlocal left
        if whole.done:
            return
        if task.error is not None:
            whole.fail(task.error)
            return
        results[number] = task.result()
        left -= 1
        if left:
            follow()
        else:
            whole.settle(results)

    if not calls:
        whole.settle(results)
    for _ in range(min(limit, len(calls))):
        follow()
    return whole
