"""What a workflow waits for: tasks, and what is made of several of them."""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

if TYPE_CHECKING:
    from daprflow.workflows.runner import Runner

T = TypeVar("T")
_SHOWN = 3
"""How many tasks of a group messages name."""


class Task(Awaitable[T], Generic[T]):
    """Something durable that a workflow started: an activity, a child, a timer, an event.

    It began when it was made, not when it is awaited; it may be awaited any number of times.

    Attributes:
        done: whether it has a result or an error.

    Example:
        ```python
        charging = ctx.call(charge, Order("7"))  # has begun
        await ctx.sleep(timedelta(seconds=1))
        receipt = await charging
        ```
    """

    __slots__ = ("_decode", "_error", "_observers", "_runner", "_value", "about", "done")

    def __init__(
        self, runner: "Runner", about: str = "", decode: Callable[[str | None], T] | None = None
    ) -> None:
        self._runner = runner
        self._decode = decode
        self._value: Any = None
        self._error: BaseException | None = None
        self._observers: list[Callable[[], None]] = []
        self.about: str = about
        self.done: bool = False

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done:
            self._runner.check_open()
            yield self
        return self.result()

    def result(self) -> T:
        """Return its value, or raise its error.

        Raises:
            RuntimeError: it has neither yet.

        Example:
            ```python
            charging = ctx.call(charge, Order("7"))
            await ctx.race(charging, ctx.sleep(timedelta(hours=1)))
            receipt = charging.result() if charging.done else None
            ```
        """
        if self._error is not None:
            raise self._error
        if not self.done:
            raise RuntimeError(f"{self.described() or 'the task'} has no result yet; await it")
        value: T = self._value
        return value

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{self.described() or 'a task'} is a task, which is no result; write 'await' before "
            "it, or 'is not None' to ask whether there is one"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # asked for by Python, not by a workflow
            raise AttributeError(name)
        raise AttributeError(
            f"{self.described() or 'a task'} is a task, which has no '{name}'; its result may: "
            "write 'await' before it"
        )

    def __repr__(self) -> str:
        return f"<Task {self.described()}{' done' if self.done else ''}>"

    def described(self) -> str:
        """Return what it is, for messages."""
        return self.about

    def settle_text(self, text: str | None) -> None:
        """Give it its value as the JSON that came; one that does not fit is its error."""
        if self._decode is None:
            self.settle(None)
            return
        try:
            value = self._decode(text)
        except Exception as error:  # noqa: BLE001 - decoding runs a user's code, too
            self.fail(error)
            return
        self.settle(value)

    def settle(self, value: Any) -> None:
        """Give it its value, once."""
        if not self.done:
            self._value = value
            self._end()

    def fail(self, error: BaseException) -> None:
        """Give it its error, once."""
        if not self.done:
            self._error = error
            self._end()

    def observe(self, observer: Callable[[], None]) -> None:
        """Call ``observer`` when it is done; at once where it is."""
        if self.done:
            observer()
        else:
            self._observers.append(observer)

    def leave(self, observer: Callable[[], None]) -> None:
        """Call ``observer`` no more."""
        if observer in self._observers:
            self._observers.remove(observer)

    @property
    def runner(self) -> "Runner":
        """What runs the workflow that it belongs to."""
        return self._runner

    @property
    def error(self) -> BaseException | None:
        """Its error; None where it has none."""
        return self._error

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits for it."""
        return bool(self._observers)

    def _end(self) -> None:
        self.done = True
        observers = self._observers
        if observers:
            self._observers = []
            for observer in observers:
                observer()


class Fiber(Task[Any]):
    """A coroutine that the runner drives; it is a task itself, done when the coroutine is."""

    __slots__ = ("coroutine", "parked", "wake")

    def __init__(self, runner: "Runner", coroutine: Coroutine[Any, Any, Any], about: str) -> None:
        super().__init__(runner, about)
        self.coroutine: Coroutine[Any, Any, Any] = coroutine
        self.parked: Task[Any] | None = None
        ready = runner.ready

        def wake() -> None:
            ready.append(self)

        self.wake: Callable[[], None] = wake


class Group(Task[Any]):
    """Something made of several tasks."""

    __slots__ = ("tasks",)

    def __init__(self, runner: "Runner", tasks: list[Task[Any]], about: str = "") -> None:
        super().__init__(runner, about)
        self.tasks: list[Task[Any]] = tasks

    def described(self) -> str:
        """Return what of it is not done, for messages."""
        waiting = [each.described() for each in self.tasks if not each.done]
        more = len(waiting) - _SHOWN
        named = ", ".join(waiting[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return f"{self.about}{named}"


def gathered(runner: "Runner", tasks: list[Task[Any]], *, errors: bool = False) -> Task[Any]:
    """Return a task with every result in order, or the first error there is.

    With ``errors`` it waits for all of them, and an error stands where the result would.
    """
    whole = Group(runner, tasks)
    left = len(tasks)
    if not tasks:
        whole.settle([])

    def one(task: Task[Any]) -> Callable[[], None]:
        def ended() -> None:
            nonlocal left
            left -= 1
            if errors:
                if not left:
                    whole.settle([_outcome(each) for each in tasks])
            elif task.error is not None:
                whole.fail(task.error)
            elif not left:
                whole.settle([each.result() for each in tasks] if not whole.done else None)

        return ended

    for each in tasks:
        each.observe(one(each))
    return whole


def _outcome(task: Task[Any]) -> Any:
    return task.result() if task.error is None else task.error


def raced(runner: "Runner", tasks: list[Task[Any]]) -> Task[Any]:
    """Return a task whose value is the one that is done first; of several, the first by order.

    Nobody waits for the others any more, on behalf of this race.
    """
    whole = Group(runner, tasks, "the first of ")

    def one(task: Task[Any]) -> Callable[[], None]:
        def ended() -> None:
            if not whole.done:
                whole.settle(task)
                for other, observer in observers:
                    other.leave(observer)

        return ended

    observers = [(each, one(each)) for each in tasks]
    for each, observer in observers:
        if not whole.done:
            each.observe(observer)
    return whole
