"""The trampoline: drives a workflow's coroutines from one durable task to the next."""

import sys
from collections import deque
from collections.abc import Awaitable, Coroutine
from typing import Any

from daprflow.errors import WorkflowRuleError
from daprflow.workflows.places import awaiting_place, user_place
from daprflow.workflows.tasks import Fiber, Task
from daprflow.workflows.trap import refuse_yield


class Closing(BaseException):
    """Raised by everything durable in a workflow that is being taken down."""


class Restarted(BaseException):
    """Ends the code of an execution that continues as a new one.

    Attributes:
        input: JSON text for the new one.
        keep_events: whether it is given the unread events.
    """

    def __init__(self, input: str | None, keep_events: bool) -> None:  # noqa: A002, FBT001 - as named
        self.input = input
        self.keep_events = keep_events
        super().__init__("the workflow begins anew")


class Runner:
    """Fibers and what is ready to go on, first come first served; no event loop is needed.

    Attributes:
        ready: fibers that can go on.
        violation: the first rule that the workflow's code broke; None where it broke none.
        restart: set when the code asked to begin anew; nothing goes on then.
        closing: whether the code is being taken down, or was.
        running: whether the code runs now.
        undoing: how many sagas take back what they did; code that broke a rule may end that.
        number: of the newest action that was asked for.
    """

    __slots__ = (
        "_fibers",
        "closing",
        "number",
        "ready",
        "restart",
        "running",
        "undoing",
        "violation",
    )

    def __init__(self) -> None:
        self.ready: deque[Fiber] = deque()
        self._fibers: dict[Fiber, None] = {}  # in the order of their beginnings
        self.violation: WorkflowRuleError | None = None
        self.restart: Restarted | None = None
        self.closing: bool = False
        self.running: bool = False
        self.undoing: int = 0
        self.number: int = 0

    def start(self, coroutine: Coroutine[Any, Any, Any], about: str) -> Fiber:
        """Have a coroutine run, after what is ready already."""
        fiber = Fiber(self, coroutine, about)
        self._fibers[fiber] = None
        self.ready.append(fiber)
        return fiber

    def task_of(self, awaitable: Awaitable[Any]) -> Task[Any]:
        """Return an awaitable as a task of this workflow.

        Raises:
            WorkflowRuleError: it is nothing durable.
        """
        if isinstance(awaitable, Task):
            if awaitable.runner is not self:
                raise self.violated(_FOREIGN)
            return awaitable
        if isinstance(awaitable, Coroutine):
            return self.start(awaitable, f"branch '{getattr(awaitable, '__name__', '')}'")
        raise self.violated(refuse_yield(awaitable))

    def drain(self) -> None:
        """Go on until everything waits for something."""
        ready = self.ready
        self.running = True
        try:
            while ready and self.restart is None:
                self._step(ready.popleft())
        finally:
            self.running = False

    def violated(self, text: str, place: str = "") -> WorkflowRuleError:
        """Return the error of a broken rule; the first one is kept, even if code swallows it."""
        place = place or user_place(sys._getframe(1))  # noqa: SLF001 - the caller's frame
        step = f"step {self.number + 1}"
        error = WorkflowRuleError(f"{text} ({place}, {step})" if place else f"{text} ({step})")
        self.note(error)
        return error

    def note(self, error: WorkflowRuleError) -> None:
        """Keep the first broken rule."""
        if self.violation is None and not self.closing:
            self.violation = error

    def check_open(self) -> None:
        """Refuse what only the workflow's code may do, while it runs.

        Raises:
            Closing: it is being taken down.
            WorkflowRuleError: something else does it, at another time.
        """
        if self.running and not self.closing:
            return
        if self.running:
            raise Closing
        place = user_place(sys._getframe(1))  # noqa: SLF001 - the caller's frame
        raise WorkflowRuleError(f"{_OUTSIDE} ({place})" if place else _OUTSIDE)

    def close(self) -> None:
        """Take every coroutine down, here and now; ``finally`` blocks run, and change nothing."""
        self.closing = self.running = True
        self.ready.clear()
        fibers, self._fibers = self._fibers, {}
        for fiber in fibers:
            try:
                fiber.coroutine.close()
            except (Closing, Restarted):
                pass
            except Exception:  # noqa: BLE001, S110 - whatever code says that has no say any more
                pass
        self.running = False

    def waiting(self) -> tuple[Fiber, ...]:
        """Return the fibers that wait, and what each waits for."""
        return tuple(each for each in self._fibers if each.parked is not None)

    def _step(self, fiber: Fiber) -> None:
        """Drive a fiber to where it waits, or to its end."""
        coroutine = fiber.coroutine
        fiber.parked = None
        thrown: BaseException | None = None
        try:
            while True:
                yielded = coroutine.send(None) if thrown is None else coroutine.throw(thrown)
                if self.restart is not None or self._parked(fiber, yielded):
                    return
                thrown = None
                if not isinstance(yielded, Task):
                    thrown = self.violated(refuse_yield(yielded), awaiting_place(coroutine))
                elif yielded.runner is not self:
                    thrown = self.violated(_FOREIGN, awaiting_place(coroutine))
        except StopIteration as ended:
            self._fibers.pop(fiber, None)
            fiber.settle(ended.value)
        except (Restarted, Closing):
            self._fibers.pop(fiber, None)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a workflow raises is its failure
            if isinstance(error, WorkflowRuleError):
                self.note(error)
            self._fibers.pop(fiber, None)
            fiber.fail(error)

    def _parked(self, fiber: Fiber, yielded: object) -> bool:
        """Have a fiber wait for what it yielded; false where that is done, or nothing durable."""
        if not isinstance(yielded, Task) or yielded.runner is not self or yielded.done:
            return False
        fiber.parked = yielded
        yielded.observe(fiber.wake)
        return True


_OUTSIDE = (
    "a workflow's context and its tasks are for that workflow's own code, while it runs: nothing "
    "else may keep and use them; give activities what they need as their input, and reach a "
    "workflow from outside with client.workflow(...)"
)
_FOREIGN = (
    "a workflow cannot await a task of another workflow: each replays alone; start that workflow "
    "as a child with ctx.start(...), or wait for an event of it with ctx.wait(...)"
)
