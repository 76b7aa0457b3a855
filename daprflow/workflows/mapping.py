"""Calling something for each of many values, a few at a time."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from daprflow.workflows.tasks import Task

if TYPE_CHECKING:
    from daprflow.workflows.runner import Runner


def mapped(
    runner: "Runner",
    begin: Callable[[str | None], Task[Any]],
    inputs: Sequence[str | None],
    limit: int,
) -> Task[Any]:
    """Return a task with every result in order; after an error nothing more begins."""
    whole: Task[Any] = Task(runner, f"{len(inputs)} calls, {limit} at once")
    results: list[Any] = [None] * len(inputs)
    waiting = iter(enumerate(inputs))
    left = len(inputs)

    def follow() -> None:
        following = next(waiting, None)
        if following is not None:
            number, text = following
            task = begin(text)
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

    if not inputs:
        whole.settle(results)
    for _ in range(min(limit, len(inputs))):
        follow()
    return whole
