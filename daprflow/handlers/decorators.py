"""The decorators that a router hands out: what each takes, keeps, and says when it is misused."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

import msgspec

from daprflow.addresses import Endpoint
from daprflow.handlers.endpoint import OwnEndpoint
from daprflow.handlers.envelopes import Batch
from daprflow.handlers.own_job import OwnJob
from daprflow.handlers.registration import (
    PLAIN,
    BindingOptions,
    ConfigurationOptions,
    InvokeOptions,
    JobOptions,
    Kind,
    Options,
    Own,
    Source,
    TopicOptions,
    name_of,
    source_of,
)
from daprflow.handlers.workflow_decorators import written
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.deliveries import Status

if TYPE_CHECKING:
    from daprflow.handlers.router import Router

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")
P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
Ack = Awaitable[Status | None] | Status | None
R = TypeVar("R", bound=Ack)


class Decorator:
    """A decorator that was made and waits for its function."""

    def __init__(
        self, router: "Router", kind: Kind, options: Options, source: Source, own: Own = PLAIN
    ) -> None:
        self._router = router
        self._own = own
        self._kind = kind
        self._options = options
        self.source = source
        self.applied: bool = False

    def __call__(self, function: F, /) -> F:
        """Register ``function`` and return it as it is."""
        self._router.register(self._kind, function, self._options, self.source, self._own)
        self.applied = True
        return function

    @property
    def problem(self) -> str:
        """What to say when it is never applied."""
        verb = "provide" if self._kind is Kind.PROVIDER else self._kind
        bare = _undecorated(self._options)
        if bare is not None:
            return (
                f"{self._kind} handler '{name_of(bare)}' ({source_of(bare, self.source)}) is not "
                f"registered; write '@app.{verb}(...)' with its arguments above it"
            )
        return (
            f"'app.{verb}(...)' ({self.source}) decorates no function; "
            f"write it as '@app.{verb}(...)' above one"
        )


class EndpointDecorator(Decorator):
    """The decorator of invoke handlers, which gives back a handle."""

    def __call__(self, function: Any, /) -> Any:
        """Register ``function`` and return its endpoint."""
        options = self._options
        if isinstance(options, InvokeOptions) and not options.name:
            options = msgspec.structs.replace(options, name=name_of(as_written(function)))
        registration = self._router.register(self._kind, function, options, self.source, self._own)
        self.applied = True
        return self._router.own(registration)


class Misnamed(Decorator):
    """What an invoke handler's name in the place of its function makes; freeze reports it."""

    def __init__(self, router: "Router", given: object, source: Source) -> None:
        super().__init__(router, Kind.INVOKE, InvokeOptions(""), source)
        self._given = given

    def __call__(self, function: F, /) -> F:
        """Return ``function``, unregistered, so that the module can be read to its end."""
        return function

    @property
    def problem(self) -> str:
        """How to give a name."""
        return (
            f"'app.invoke({self._given!r})' ({self.source}) has a name where the function goes; "
            f"write '@app.invoke(name={self._given!r})', or a verb and a path: "
            '\'@app.invoke("GET", "/orders/{id}")\''
        )


class OwnJobDecorator(Decorator):
    """The decorator of job handlers, which gives back a handle."""

    def __call__(self, function: Any, /) -> Any:
        """Register ``function`` and return its job."""
        registration = self._router.register(
            self._kind, function, self._options, self.source, self._own
        )
        self.applied = True
        return OwnJob(registration)


class TopicDecorator(Protocol[T]):
    """What ``app.topic(handle)`` returns: takes a function whose payload is the topic's, or raw."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[T, P], R], /
    ) -> Callable[Concatenate[T, P], R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[CloudEvent[T], P], R], /
    ) -> Callable[Concatenate[CloudEvent[T], P], R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Batch[T], P], R], /
    ) -> Callable[Concatenate[Batch[T], P], R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[bytes, P], R], /
    ) -> Callable[Concatenate[bytes, P], R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[str, P], R], /
    ) -> Callable[Concatenate[str, P], R]: ...


class InvokeDecorator(Protocol):
    """What ``app.invoke(name=...)`` and ``app.invoke(verb, path)`` return."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # as in Router.invoke
        self, function: Callable[Concatenate[In, ...], Coroutine[Any, Any, Out]], /
    ) -> Endpoint[In, Out]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[In, ...], Out], /) -> Endpoint[In, Out]: ...
    @overload
    def __call__(
        self, function: Callable[..., Coroutine[Any, Any, Out]], /
    ) -> Endpoint[None, Out]: ...
    @overload
    def __call__(self, function: Callable[..., Out], /) -> Endpoint[None, Out]: ...


class UntypedTopicDecorator(Protocol):
    """What ``app.topic(pubsub, name)`` returns: the payload is what the function says."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Register ``function`` and return it as it is."""
        ...


def _undecorated(options: Options) -> Callable[..., Any] | None:
    """Return the function that a decorator without parentheses took for its argument."""
    found: Any = None
    match options:
        case TopicOptions(pubsub=(only,)):
            found = only
        case BindingOptions(name=only) | JobOptions(name=only):
            found = only
        case ConfigurationOptions(store=only):
            found = only
    return found if callable(found) else None


def as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function itself where another decorator made an endpoint of it."""
    function = written(function)
    return function.__wrapped__ if isinstance(function, OwnEndpoint | OwnJob) else function
