"""The decorators of workflows and activities, which a router has."""

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from daprflow.handlers.handler import Interceptor
from daprflow.handlers.own_workflows import (
    OwnActivity,
    OwnActivityHandle,
    OwnActivityWithoutInput,
    OwnWorkflow,
    PlainActivity,
    PlainActivityWithoutInput,
)
from daprflow.handlers.registration import (
    PLAIN,
    ActivityOptions,
    Kind,
    Options,
    Own,
    Registration,
    Source,
    WorkflowOptions,
    calling_source,
    name_of,
)

if TYPE_CHECKING:
    from daprflow.handlers.limits import Concurrency
    from daprflow.handlers.workflows import WorkerPlan
    from daprflow.workflows.context import WorkflowContext

In = TypeVar("In")
Out = TypeVar("Out")
P = ParamSpec("P")


class ActivityDecorator(Protocol):
    """What ``app.activity(name=...)`` returns."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine function is a function, too
        self, function: "Callable[Concatenate[In, P], Coroutine[Any, Any, Out]]", /
    ) -> "OwnActivity[In, Out, P]": ...
    @overload
    def __call__(
        self, function: "Callable[Concatenate[In, P], Out]", /
    ) -> "PlainActivity[In, Out, P]": ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # as above
        self, function: "Callable[P, Coroutine[Any, Any, Out]]", /
    ) -> "OwnActivityWithoutInput[Out, P]": ...
    @overload
    def __call__(self, function: "Callable[P, Out]", /) -> "PlainActivityWithoutInput[Out, P]": ...


class WorkflowDecorator(Protocol):
    """What ``app.workflow(name=...)`` returns."""

    @overload
    def __call__(
        self, function: "Callable[[WorkflowContext, In], Coroutine[Any, Any, Out]]", /
    ) -> "OwnWorkflow[In, Out]": ...
    @overload
    def __call__(
        self, function: "Callable[[WorkflowContext], Coroutine[Any, Any, Out]]", /
    ) -> "OwnWorkflow[None, Out]": ...


class Registers(Protocol):
    """What takes decorated functions."""

    def register(
        self,
        kind: Kind,
        function: Callable[..., Any],
        options: Options,
        caller: Source,
        own: Own = PLAIN,
    ) -> Registration:
        """Keep a decorated function."""
        ...


class WorkflowHandles:
    """The handles of a router's workflows and activities."""

    def __init__(self) -> None:
        self.handles: list[OwnActivityHandle[Any, Any] | OwnWorkflow[Any, Any]] = []

    def belong_to(self, app_id: str, work: "WorkerPlan | None") -> None:
        """Say which app they belong to, and which versions begin no new instances."""
        for handle in self.handles:
            handle.belong_to(app_id)
            if work is not None and isinstance(handle, OwnWorkflow):
                default = work.workflows.plans[handle.name].default.version
                handle.replaced_by = None if default == handle.version else default

    def activity(
        self,
        router: Registers,
        function: Callable[..., Any],
        name: str,
        source: Source,
        own: Own = PLAIN,
    ) -> OwnActivityHandle[Any, Any]:
        """Register an activity and return its handle."""
        options = ActivityOptions(name or name_of(written(function)))
        registration = router.register(Kind.ACTIVITY, function, options, source, own)
        handle: OwnActivityHandle[Any, Any] = OwnActivityHandle(registration)
        self.handles.append(handle)
        return handle

    def workflow(
        self,
        router: Registers,
        function: Callable[..., Any],
        options: WorkflowOptions,
        source: Source,
    ) -> OwnWorkflow[Any, Any]:
        """Register a workflow and return its handle."""
        name = options.name or name_of(written(function))
        options = WorkflowOptions(name, options.version, options.default)
        registration = router.register(Kind.WORKFLOW, function, options, source)
        handle: OwnWorkflow[Any, Any] = OwnWorkflow(registration)
        self.handles.append(handle)
        return handle


class PendingDecorator:
    """A decorator that was made and waits for its function."""

    def __init__(self, verb: str, make: Callable[[Any, Source], Any], source: Source) -> None:
        self.applied: bool = False
        self.source = source
        self._verb = verb
        self._make = make

    def __call__(self, function: Any, /) -> Any:
        """Register ``function`` and return its handle."""
        self.applied = True
        return self._make(function, self.source)

    @property
    def problem(self) -> str:
        """What to say when it is never applied."""
        return (
            f"'app.{self._verb}(...)' ({self.source}) decorates no function; "
            f"write it as '@app.{self._verb}(...)' above one"
        )


class WorkflowDecorators:
    """The part of a router that takes workflows and activities."""

    _workflows: WorkflowHandles
    _waiting: list[PendingDecorator]

    @overload
    def activity(  # type: ignore[overload-overlap]  # a coroutine function is a function, too; the first match wins
        self, function: "Callable[Concatenate[In, P], Coroutine[Any, Any, Out]]", /
    ) -> "OwnActivity[In, Out, P]": ...
    @overload
    def activity(
        self, function: "Callable[Concatenate[In, P], Out]", /
    ) -> "PlainActivity[In, Out, P]": ...
    @overload
    def activity(  # type: ignore[overload-overlap]  # as above
        self, function: "Callable[P, Coroutine[Any, Any, Out]]", /
    ) -> "OwnActivityWithoutInput[Out, P]": ...
    @overload
    def activity(self, function: "Callable[P, Out]", /) -> "PlainActivityWithoutInput[Out, P]": ...
    @overload
    def activity(
        self,
        /,
        *,
        name: str = ...,
        interceptors: Sequence[Interceptor] = ...,
        max_concurrency: "int | Concurrency | None" = ...,
    ) -> ActivityDecorator: ...
    def activity(
        self,
        function: Any = None,
        /,
        *,
        name: str = "",
        interceptors: Sequence[Interceptor] = (),
        max_concurrency: "int | Concurrency | None" = None,
    ) -> Any:
        """Let workflows call a function; returns a typed `Activity`, still callable.

        An activity does what a workflow must not: it may use the network, the clock, the app's own
        connections (injected after ``*``). It runs at least once: after a crash it may run again,
        with the same input.

        Args:
            function: the function, when the decorator stands without parentheses.
            name: its name, where it is not the function's.
            interceptors: around this activity, inside those of the app and its routers.
            max_concurrency: how many run at once in each process of the app; the others wait.

        Example:
            ```python
            @app.activity
            async def charge(order: Order) -> Receipt:
                return Receipt(order.id)
            ```
        """
        own = Own(interceptors, limit=max_concurrency)

        def make(function: Any, source: Source) -> Any:
            handle = self._workflows.activity(self._registers(), function, name, source, own)
            handle.belong_to(self._own_id())
            return handle

        return self._decorated("activity", function, make)

    @overload
    def workflow(
        self, function: "Callable[[WorkflowContext, In], Coroutine[Any, Any, Out]]", /
    ) -> "OwnWorkflow[In, Out]": ...
    @overload
    def workflow(
        self, function: "Callable[[WorkflowContext], Coroutine[Any, Any, Out]]", /
    ) -> "OwnWorkflow[None, Out]": ...
    @overload
    def workflow(
        self, /, *, name: str = ..., version: str = ..., default: bool | None = ...
    ) -> WorkflowDecorator: ...
    def workflow(
        self,
        function: Any = None,
        /,
        *,
        name: str = "",
        version: str = "",
        default: bool | None = None,
    ) -> Any:
        """Make an ``async def`` a durable workflow; returns a typed `Workflow`.

        Its first parameter is the `WorkflowContext`, its second one the input, if it has any. The
        code must do the same on every run of one instance: what takes time, or differs, comes from
        the context and from activities.

        Args:
            function: the function, when the decorator stands without parentheses.
            name: its name, where it is not the function's; versions share it.
            version: names this version. An instance stays with the version it began with.
            default: whether new instances run this version; needed where there are several.

        Example:
            ```python
            @app.workflow
            async def checkout(ctx: WorkflowContext, order: Order) -> str:
                receipt = await ctx.call(charge, order, retry=RetryPolicy(attempts=5))
                return receipt.order
            ```
        """
        options = WorkflowOptions(name, version, default)

        def make(function: Any, source: Source) -> Any:
            handle = self._workflows.workflow(self._registers(), function, options, source)
            handle.belong_to(self._own_id())
            return handle

        return self._decorated("workflow", function, make)

    def _decorated(self, verb: str, function: Any, make: Callable[[Any, Source], Any]) -> Any:
        source = calling_source(2)
        if callable(function):
            return make(function, source)
        decorator = PendingDecorator(verb, make, source)
        self._waiting.append(decorator)
        return decorator

    def _registers(self) -> Registers:
        raise NotImplementedError

    def _own_id(self) -> str:
        raise NotImplementedError


def written(function: Any) -> Any:
    """Return the function itself where another decorator made a handle of it."""
    return (
        function.__wrapped__ if isinstance(function, OwnActivityHandle | OwnWorkflow) else function
    )
