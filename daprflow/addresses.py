"""Typed handles: an address plus the types that travel there."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, overload

_ROUTE = r"([A-Za-z]+) +(/.*)"

T = TypeVar("T")
In = TypeVar("In")
# Covariant: what an endpoint answers may be used as anything wider, as print() does.
Out = TypeVar("Out", covariant=True)  # noqa: PLC0105 - users read this name in signatures


class Topic(Generic[T]):
    """A topic of a pub/sub component and the type of its payload.

    Publisher and subscriber share one: ``orders = Topic("pubsub", "orders", Order)``.

    Attributes:
        pubsub: the component's name.
        name: the topic's name.
        payload: what an event's ``data`` is decoded to.
        metadata: request metadata of every publish, such as ``{"ttlInSeconds": "60"}``.
        key: gives the ``partitionKey`` of an event from its data, such as
            ``key=lambda order: order.customer``: brokers keep the order of events of one key.

    Example:
        ```python
        orders = Topic("pubsub", "orders", Order, key=lambda order: order.id)

        await client.publish(orders, Order("7"))
        ```
    """

    __slots__ = ("key", "metadata", "name", "payload", "pubsub")

    def __init__(
        self,
        pubsub: str,
        name: str,
        payload: type[T],
        /,
        *,
        metadata: Mapping[str, str] | None = None,
        key: Callable[[T], str] | None = None,
    ) -> None:
        self.pubsub: str = pubsub
        self.name: str = name
        self.payload: type[T] = payload
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.key: Callable[[T], str] | None = key

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Topic)
            and (self.pubsub, self.name) == (other.pubsub, other.name)
            and self.payload == other.payload
        )

    def __hash__(self) -> int:
        return hash((self.pubsub, self.name))

    def __repr__(self) -> str:
        return f"Topic({self.pubsub!r}, {self.name!r}, {type_name(self.payload)})"


class _Callee(Generic[In, Out]):
    """What an app has to be called: whose it is, and the types that go there and come back."""

    __slots__ = ("__weakref__", "_app_id", "_returns", "_takes")

    def _belong(self, app_id: str, takes: Any, returns: Any) -> None:
        self._app_id = app_id
        self._takes: Any = type(None) if takes is None else takes
        self._returns: Any = type(None) if returns is None else returns

    @property
    def app_id(self) -> str:
        """The app that has it; of activities and workflows empty for the own app."""
        return self._app_id

    @property
    def takes(self) -> type[In]:
        """The type of its input; ``NoneType`` where there is none."""
        takes: type[In] = self._takes
        return takes

    @property
    def returns(self) -> type[Out]:
        """The type of its result; ``NoneType`` where there is none."""
        returns: type[Out] = self._returns
        return returns


class Endpoint(_Callee[In, Out]):
    """A method of an app that ``client.invoke`` calls: what it takes and what it answers.

    ``price = Endpoint("pricing", "price", Order, int)`` names a method of another app, which is
    posted to; ``Endpoint("orders", "GET /orders/{id}", None, Order)`` has a verb and a path, whose
    parameters the caller gives by name, as those of the query. What ``@app.invoke`` returns is one
    too, and that one can also be called as it was written.

    Args:
        app_id: the app that answers.
        method: its name, or a verb and a path; ``{name}`` in the path is a parameter.
        takes: the type of the request's body; None where there is none. Fields marked with
            `Path`, `Query` or `Header` are sent there instead.
        returns: the type of the answer; None where there is none.

    Attributes:
        verb: ``POST`` for a method that has a name alone.
        method: its name, or its path without the slash at the front.
        is_route: whether it has a verb and a path.

    Example:
        ```python
        price = Endpoint("pricing", "price", Order, int)

        total = await client.invoke(price, Order("7"))
        ```
    """

    __slots__ = ("is_route", "method", "verb")

    @overload
    def __init__(
        self: "Endpoint[None, None]", app_id: str, method: str, takes: None, returns: None, /
    ) -> None: ...
    @overload
    def __init__(
        self: "Endpoint[None, Out]", app_id: str, method: str, takes: None, returns: type[Out], /
    ) -> None: ...
    @overload
    def __init__(
        self: "Endpoint[In, None]", app_id: str, method: str, takes: type[In], returns: None, /
    ) -> None: ...
    @overload
    def __init__(
        self, app_id: str, method: str, takes: type[In], returns: type[Out], /
    ) -> None: ...
    def __init__(self, app_id: str, method: str, takes: Any, returns: Any, /) -> None:
        found = re.fullmatch(_ROUTE, method)
        self.is_route: bool = found is not None
        self.verb: str | Any = found[1].upper() if found else "POST"
        self.method: str | Any = found[2].strip("/") if found else method
        self._belong(app_id, takes, returns)

    @property
    def address(self) -> str:
        """Its name, or verb and path."""
        return f"{self.verb} /{self.method}" if self.is_route else self.method

    def __repr__(self) -> str:
        return f"Endpoint({self.app_id!r}, {self.address!r})"


class Job(Generic[T]):
    """A job of this app, which ``client.schedule`` has run later, and the type of its data.

    ``@app.job("report")`` returns one, which can also be called as it was written; ``Job("report",
    Limits)`` names one that is declared elsewhere. ``None`` is the type of a job without data.

    Args:
        name: what it is scheduled under.
        payload: the type of its data, None for no data.

    Example:
        ```python
        report = Job("report", Limits)

        await client.schedule(report, Limits(daily=5), every="@every 1h")
        ```
    """

    __slots__ = ("_payload", "name")

    @overload
    def __init__(self: "Job[None]", name: str, payload: None, /) -> None: ...
    @overload
    def __init__(self, name: str, payload: type[T], /) -> None: ...
    def __init__(self, name: str, payload: Any, /) -> None:
        self.name: str = name
        self._payload: Any = type(None) if payload is None else payload

    @property
    def payload(self) -> type[T]:
        """The type of the job's data; ``NoneType`` where there is none."""
        payload: type[T] = self._payload
        return payload

    def __repr__(self) -> str:
        return f"Job({self.name!r})"


class Activity(_Callee[In, Out]):
    """An activity that workflows call: what it takes and what it returns.

    ``score = Activity("risk", "score", Order, int)`` names one of another app; ``@app.activity``
    returns one of the own app, which can also be called as it was written. ``None`` is the type of
    no input, and of no result.

    Args:
        app_id: of the app that has it.
        name: what it is registered as there.
        takes: the type of its input, None for no input.
        returns: the type of its result, None for no result.

    Example:
        ```python
        score = Activity("risk", "score", Order, int)

        async def flow(ctx: WorkflowContext, order: Order) -> int:
            return await ctx.call(score, order)
        ```
    """

    __slots__ = ("name",)

    @overload
    def __init__(
        self: "Activity[None, None]", app_id: str, name: str, takes: None, returns: None, /
    ) -> None: ...
    @overload
    def __init__(
        self: "Activity[None, Out]", app_id: str, name: str, takes: None, returns: type[Out], /
    ) -> None: ...
    @overload
    def __init__(
        self: "Activity[In, None]", app_id: str, name: str, takes: type[In], returns: None, /
    ) -> None: ...
    @overload
    def __init__(self, app_id: str, name: str, takes: type[In], returns: type[Out], /) -> None: ...
    def __init__(self, app_id: str, name: str, takes: Any, returns: Any, /) -> None:
        self.name: str = name
        self._belong(app_id, takes, returns)

    def __repr__(self) -> str:
        return f"Activity({self.app_id!r}, {self.name!r})"


class Workflow(_Callee[In, Out]):
    """A workflow that ``client.start`` and other workflows start, and its types.

    ``Workflow("billing", "invoice", Order, Receipt)`` names one of another app, which workflows
    start as a child; ``@app.workflow`` returns one of the own app. ``None`` is the type of no
    input, and of no result.

    Args:
        app_id: of the app that has it.
        name: what it is registered as there.
        takes: the type of its input, None for no input.
        returns: the type of its result, None for no result.

    Example:
        ```python
        ship = Workflow("warehouse", "ship", Order, str)

        run = await client.start(ship, Order("7"), id="o7")
        ```
    """

    __slots__ = ("name", "version")

    @overload
    def __init__(
        self: "Workflow[None, None]", app_id: str, name: str, takes: None, returns: None, /
    ) -> None: ...
    @overload
    def __init__(
        self: "Workflow[None, Out]", app_id: str, name: str, takes: None, returns: type[Out], /
    ) -> None: ...
    @overload
    def __init__(
        self: "Workflow[In, None]", app_id: str, name: str, takes: type[In], returns: None, /
    ) -> None: ...
    @overload
    def __init__(self, app_id: str, name: str, takes: type[In], returns: type[Out], /) -> None: ...
    def __init__(self, app_id: str, name: str, takes: Any, returns: Any, /) -> None:
        self.name: str = name
        self.version: str = ""
        self._belong(app_id, takes, returns)

    def __repr__(self) -> str:
        return f"Workflow({self.app_id!r}, {self.name!r})"


class ExternalEvent(Generic[T]):
    """An event that a running workflow waits for, and the type of what it brings.

    ``approved = ExternalEvent("approved", bool)`` is given to ``ctx.wait`` and to ``run.send``.

    Args:
        name: what it is sent and waited for by; upper and lower case are the same.
        payload: the type of what it brings, None for nothing.

    Example:
        ```python
        approved = ExternalEvent("approved", bool)

        await client.workflow(checkout, "o1").send(approved, True)
        ```
    """

    __slots__ = ("_payload", "name")

    @overload
    def __init__(self: "ExternalEvent[None]", name: str, payload: None, /) -> None: ...
    @overload
    def __init__(self, name: str, payload: type[T], /) -> None: ...
    def __init__(self, name: str, payload: Any, /) -> None:
        self.name: str = name
        self._payload: Any = type(None) if payload is None else payload

    @property
    def payload(self) -> type[T]:
        """The type of what it brings; ``NoneType`` for nothing."""
        payload: type[T] = self._payload
        return payload

    def __repr__(self) -> str:
        return f"ExternalEvent({self.name!r}, {type_name(self.payload)})"


def type_name(annotation: Any) -> str:
    """Return a type as a reader would write it."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__qualname__.rpartition("<locals>.")[2]
    return str(annotation).replace("typing.", "")
