"""Typed handles: an address plus the types that travel there."""

from typing import Any, Generic, TypeVar

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
    """

    __slots__ = ("name", "payload", "pubsub")

    def __init__(self, pubsub: str, name: str, payload: type[T], /) -> None:
        self.pubsub = pubsub
        self.name = name
        self.payload = payload

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


class Endpoint(Generic[In, Out]):
    """A method of an app that ``client.invoke`` calls: what it takes and what it answers.

    ``price = Endpoint("pricing", "price", Order, int)`` names a method of another app; what
    ``@app.invoke`` returns is one too, and that one can also be called as it was written.
    """

    __slots__ = ("_app_id", "_returns", "_takes", "method")

    def __init__(self, app_id: str, method: str, takes: type[In], returns: type[Out], /) -> None:
        self.method = method
        self._app_id = app_id
        self._takes = takes
        self._returns = returns

    @property
    def app_id(self) -> str:
        """The app that answers."""
        return self._app_id

    @property
    def takes(self) -> type[In]:
        """The type of the request's payload; ``NoneType`` where there is none."""
        return self._takes

    @property
    def returns(self) -> type[Out]:
        """The type of the answer."""
        return self._returns

    def __repr__(self) -> str:
        return f"Endpoint({self.app_id!r}, {self.method!r})"


def type_name(annotation: Any) -> str:
    """Return a type as a reader would write it."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__qualname__.rpartition("<locals>.")[2]
    return str(annotation).replace("typing.", "")
