"""The handles that ``@app.activity`` and ``@app.workflow`` return, still callable as written."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from daprflow.addresses import Activity, Workflow
from daprflow.handlers.registration import ActivityOptions, Registration, WorkflowOptions

# Signatures are read at freeze, or when somebody asks; importing daprflow does not pay for that.
if TYPE_CHECKING:
    from daprflow.handlers.signature import Signature
    from daprflow.workflows.context import WorkflowContext

In = TypeVar("In")
Out = TypeVar("Out")
P = ParamSpec("P")


class _Own(Generic[In, Out]):
    """A handle of this app's; its types are read from the signature when first asked for."""

    __slots__ = ()

    _registration: Registration
    _takes: Any
    _returns: Any

    @property
    def takes(self) -> type[In]:
        """The type of its input; ``NoneType`` where there is none."""
        self._read()
        takes: type[In] = self._takes
        return takes

    @property
    def returns(self) -> type[Out]:
        """The type of its result."""
        self._read()
        returns: type[Out] = self._returns
        return returns

    @property
    def registration(self) -> Registration:
        """The decorated function, and where it stands."""
        return self._registration

    def _read(self) -> None:
        if self._returns is None:
            self._takes, self._returns = self._types()

    def _types(self) -> tuple[Any, Any]:
        raise NotImplementedError


class OwnActivityHandle(_Own[In, Out], Activity[In, Out]):
    """An activity of this app; its types are read from the signature when first asked for."""

    __slots__ = ("__wrapped__", "_registration")

    def __init__(self, registration: Registration, app_id: str = "", /) -> None:
        options = registration.options
        self.name: str = options.name if isinstance(options, ActivityOptions) else registration.name
        self._app_id = app_id
        self._takes: Any = None
        self._returns: Any = None
        self._registration = registration
        self.__wrapped__: Callable[..., Any] = registration.function

    def belong_to(self, app_id: str) -> None:
        """Say which app it belongs to; the first one counts."""
        self._app_id = self._app_id or app_id

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it was written.

        Raises:
            WorkflowRuleError: a workflow calls it; there it is an activity.
        """
        self._refuse_in_workflow()
        return self.__wrapped__(*args, **kwargs)

    def _refuse_in_workflow(self) -> None:
        from daprflow.workflows.trap import refuse_in_workflow  # noqa: PLC0415 - see above

        refuse_in_workflow(
            f"activity '{self.name}' as a function", f"await ctx.call({self.name}, ...)"
        )

    def _types(self) -> tuple[Any, Any]:
        return _activity_types(self._registration)


class OwnWorkflow(_Own[In, Out], Workflow[In, Out]):
    """A workflow of this app; its types are read from the signature when first asked for."""

    __slots__ = ("__wrapped__", "_registration", "is_default", "replaced_by")

    def __init__(self, registration: Registration, app_id: str = "", /) -> None:
        options = workflow_options(registration)
        self.name: str = options.name
        self.version: str = options.version
        self.is_default: bool = bool(options.default)
        self.replaced_by: str | None = None
        self._app_id = app_id
        self._takes: Any = None
        self._returns: Any = None
        self._registration = registration
        self.__wrapped__: Callable[..., Any] = registration.function

    def belong_to(self, app_id: str) -> None:
        """Say which app it belongs to; the first one counts."""
        self._app_id = self._app_id or app_id

    def __call__(self, context: "WorkflowContext", /, *data: In) -> Coroutine[Any, Any, Out]:
        """Call the function as it was written, as a part of another workflow."""
        called: Coroutine[Any, Any, Out] = self.__wrapped__(context, *data)
        return called

    def _types(self) -> tuple[Any, Any]:
        return _workflow_types(self._registration)


class OwnActivity(OwnActivityHandle[In, Out], Generic[In, Out, P]):
    """An ``async def`` activity that takes an input, for type checkers.

    Example:
        ```python
        @app.activity
        async def charge(order: Order) -> Receipt:
            return Receipt(order.id)

        receipt = await charge(Order("7"))  # still the function it was
        ```
    """

    __slots__ = ()

    async def __call__(self, data: In, /, *args: P.args, **kwargs: P.kwargs) -> Out:
        """Call the function as it was written."""
        self._refuse_in_workflow()
        result: Out = await self.__wrapped__(data, *args, **kwargs)
        return result


class OwnActivityWithoutInput(OwnActivityHandle[None, Out], Generic[Out, P]):
    """An ``async def`` activity without an input, for type checkers.

    Example:
        ```python
        @app.activity
        async def today() -> str: ...

        day = await today()
        ```
    """

    __slots__ = ()

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Out:
        """Call the function as it was written."""
        self._refuse_in_workflow()
        result: Out = await self.__wrapped__(*args, **kwargs)
        return result


class PlainActivity(OwnActivityHandle[In, Out], Generic[In, Out, P]):
    """A plain ``def`` activity that takes an input, for type checkers."""

    __slots__ = ()

    def __call__(self, data: In, /, *args: P.args, **kwargs: P.kwargs) -> Out:
        """Call the function as it was written."""
        self._refuse_in_workflow()
        result: Out = self.__wrapped__(data, *args, **kwargs)
        return result


class PlainActivityWithoutInput(OwnActivityHandle[None, Out], Generic[Out, P]):
    """A plain ``def`` activity without an input, for type checkers."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Out:
        """Call the function as it was written."""
        self._refuse_in_workflow()
        result: Out = self.__wrapped__(*args, **kwargs)
        return result


def workflow_options(registration: Registration) -> WorkflowOptions:
    """Return what the decorator of a workflow was given."""
    options = registration.options
    if isinstance(options, WorkflowOptions):
        return options
    return WorkflowOptions(registration.name)


def _activity_types(registration: Registration) -> tuple[Any, Any]:
    from daprflow.handlers.signature import (  # noqa: PLC0415 - see above
        SignatureError,
        answer_of,
        read_handler,
    )

    try:
        signature = read_handler(registration.function, registration.source)
    except SignatureError as error:
        raise TypeError(f"{registration.title} {error}") from None
    return taken(signature), _or_any(answer_of(signature))


def _workflow_types(registration: Registration) -> tuple[Any, Any]:
    from daprflow.handlers.signature import SignatureError, read_workflow  # noqa: PLC0415 - see above

    try:
        signature = read_workflow(registration.function, registration.source)
    except SignatureError as error:
        raise TypeError(f"{registration.title} {error}") from None
    return taken(signature), _or_any(signature.returns)


def taken(signature: "Signature") -> Any:
    """Return the type of the input that a signature has; ``NoneType`` for none."""
    payload = signature.payload
    return type(None) if payload is None else _or_any(payload.type)


def _or_any(annotation: Any) -> Any:
    from daprflow.handlers.signature import MISSING  # noqa: PLC0415 - see above

    return Any if annotation is MISSING else annotation
