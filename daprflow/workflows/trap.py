"""The event loop that runs while a workflow's code does: each of its methods says what to do."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from daprflow.errors import WorkflowRuleError

_DEFAULT = "do it in an activity and await ctx.call(...)"
_INSTEAD: Mapping[str, str] = {
    "sleep": "await ctx.sleep(...) waits durably",
    "wait_for": "await ctx.wait(event, timeout=...) or ctx.race(...) waits durably",
    "timeout": "ctx.race(task, ctx.sleep(...)) has a durable time limit",
    "timeout_at": "ctx.race(task, ctx.sleep(...)) has a durable time limit",
    "gather": "await ctx.gather(...) runs branches in a fixed order",
    "wait": "ctx.gather(...) and ctx.race(...) wait for tasks in a fixed order",
    "as_completed": "ctx.race(...) gives what is done first, the same on every replay",
    "create_task": "await ctx.gather(...) runs branches in a fixed order",
    "ensure_future": "await ctx.gather(...) runs branches in a fixed order",
    "TaskGroup": "await ctx.gather(...) runs branches in a fixed order",
    "Event": "await ctx.wait(event) waits for an event durably",
    "Queue": "await ctx.wait(event) waits for an event durably",
    "to_thread": "a plain 'def' activity runs in a thread; await ctx.call(...)",
    "run_in_executor": "a plain 'def' activity runs in a thread; await ctx.call(...)",
    "run": "a workflow is awaited, not run; call the function itself with 'await'",
    "time": "ctx.now is the workflow's time",
    "call_later": "await ctx.sleep(...) waits durably",
    "call_at": "await ctx.sleep(...) waits durably",
}
_ANYHOW = frozenset({"get_debug", "is_running", "is_closed"})


class TrapLoop(asyncio.AbstractEventLoop):
    """Raises `WorkflowRuleError` whatever it is asked for.

    Args:
        violated: makes the error of a broken rule, and keeps it: a workflow's code may swallow it.
    """

    def __init__(self, violated: Callable[[str], WorkflowRuleError]) -> None:
        self.__violated = violated

    def __getattribute__(self, name: str) -> Any:
        if name.startswith(("__", "_TrapLoop__")) or name == "refuse_with":
            return object.__getattribute__(self, name)
        if name in _ANYHOW:  # what others look at before they do anything
            return lambda: name == "is_running"
        if name == "create_task":
            return self.__create_task
        return self.__refuse(name)

    def refuse_with(self, text: str) -> NoReturn:
        """Raise the error of a broken rule.

        Raises:
            WorkflowRuleError: always.
        """
        raise self.__violated(text)

    def __hash__(self) -> int:
        """Be refused as a key, too: asyncio looks the current task up by its loop.

        Logging may: from Python 3.12 on it asks for the task's name, and there is none.
        """
        if _is_logging():
            return object.__hash__(self)
        return self.__refuse("current_task")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __create_task(self, work: Coroutine[Any, Any, Any], **_: object) -> NoReturn:
        """Refuse work and close it: nobody is to be told later that it was never awaited."""
        work.close()
        self.__refuse("create_task")

    def __refuse(self, method: str) -> NoReturn:
        name = _asked_for(method)
        self.refuse_with(
            f"a workflow cannot use asyncio's '{name}': it would not be there after a restart; "
            f"{_INSTEAD.get(name, _INSTEAD.get(method, _DEFAULT))}"
        )


def refuse_yield(yielded: object) -> str:
    """Return what to say where a workflow awaits ``yielded``, which is nothing durable."""
    if yielded is None:
        return (
            "a workflow cannot use asyncio's 'sleep': it would not be there after a restart; "
            f"{_INSTEAD['sleep']}"
        )
    if isinstance(yielded, asyncio.Future):
        kind = "a task or future of the app's event loop"
    else:
        kind = f"a '{type(yielded).__name__}'"
    return (
        f"a workflow cannot await {kind}: nothing would bring it back after a restart; {_DEFAULT}"
    )


@contextmanager
def trapped(loop: TrapLoop) -> Iterator[None]:
    """Have ``loop`` be the running one, and the other one again after."""
    running = asyncio._get_running_loop()  # noqa: SLF001 - for those who write loops, it says
    asyncio._set_running_loop(loop)  # noqa: SLF001 - likewise
    try:
        yield
    finally:
        asyncio._set_running_loop(running)  # noqa: SLF001 - likewise


def refuse_in_workflow(what: str, instead: str) -> None:
    """Refuse something while a workflow's code runs; do nothing at any other time.

    Raises:
        WorkflowRuleError: a workflow's code runs.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001 - as above
    if isinstance(loop, TrapLoop):
        loop.refuse_with(
            f"a workflow cannot use {what}: it would be done again on replay; {instead}"
        )


def _is_logging() -> bool:
    """Whether it is a line of the log that is being made."""
    asking: Any = sys._getframe(2)  # noqa: SLF001 - the documented way to the caller's frame
    while asking is not None and asking.f_globals.get("__name__", "").startswith("asyncio"):
        asking = asking.f_back
    return asking is not None and asking.f_globals.get("__name__") == "logging"


def _asked_for(method: str) -> str:
    """Return the outermost function of asyncio that led here: what the user called."""
    frame = sys._getframe(2)  # noqa: SLF001 - the documented way to the caller's frame
    name = method
    above: Any = frame
    for _ in range(12):
        if above is None:
            break
        module = above.f_globals.get("__name__", "")
        if module.startswith("asyncio"):
            name = _named(above) or name
        elif module != __name__:
            break
        above = above.f_back
    return name


def _named(frame: Any) -> str:
    name: str = frame.f_code.co_name
    if not name.startswith("_"):
        owner = frame.f_locals.get("self")
        return type(owner).__name__ if type(owner).__name__ in _INSTEAD else name
    owner = frame.f_locals.get("self")
    return type(owner).__name__ if name == "__aenter__" and owner is not None else ""
