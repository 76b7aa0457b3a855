"""Parts of an actor's state, each stored under a key of its own."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from daprflow.actors.turn import ABSENT

if TYPE_CHECKING:
    from daprflow.actors.actor import Actor

T = TypeVar("T")


class Part(Generic[T]):
    """A part of an actor's state beside ``state``, with a key and a time to live of its own.

    ``session = Part(Session, ttl=timedelta(minutes=30))`` in the class; in its methods
    ``self.session`` is a `Session`, may be changed or set, and is deleted with ``del
    self.session``. All parts are saved together, those that changed.

    A part with a time to live lives that long from the last turn that changed it. The real runtime
    wants its feature ``ActorStateTTL`` enabled for that.

    Args:
        kind: the part's type.
        key: what it is stored under; the attribute's name where it is not given.
        ttl: how long it is kept after a change; None is for ever.
        default: makes the value where nothing is stored; None calls ``kind``.

    Raises:
        ValueError: ``ttl`` is not above 0.
        TypeError: ``default`` cannot be called.

    Example:
        ```python
        class Basket(Actor[Cart]):
            coupons = Part(list[str], ttl=timedelta(days=1))

            async def grant(self, coupon: str) -> None:
                self.coupons.append(coupon)
        ```
    """

    def __init__(
        self,
        kind: type[T],
        /,
        *,
        key: str = "",
        ttl: timedelta | None = None,
        default: Callable[[], T] | None = None,
    ) -> None:
        if ttl is not None and ttl <= timedelta():
            raise ValueError(f"a part's ttl is {ttl}; it must be longer than 0")
        if default is not None and not callable(default):
            raise TypeError(
                f"a part's default is a value of type '{type(default).__name__}'; give what makes "
                "one, such as 'default=lambda: ...'"
            )
        self.kind = kind
        self.key: str = key
        self.ttl = ttl
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = self.key or name

    @overload
    def __get__(self, actor: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self, actor: "Actor[Any]", owner: type, /) -> T: ...
    def __get__(self, actor: "Actor[Any] | None", owner: type, /) -> Any:
        return self if actor is None else actor._memory.read(actor, self)  # noqa: SLF001 - of the same package

    def __set__(self, actor: "Actor[Any]", value: T) -> None:
        actor._memory.write(self, value)  # noqa: SLF001 - of the same package

    def __delete__(self, actor: "Actor[Any]") -> None:
        actor._memory.write(self, ABSENT)  # noqa: SLF001 - of the same package

    def make(self, actor: "Actor[Any]") -> T:
        """Return the value where nothing is stored."""
        del actor
        return self.default() if self.default is not None else made(self.kind)


class Whole(Part[Any]):
    """The state itself: the part called ``state``, whose type is the ``S`` of ``Actor[S]``."""

    def __init__(self) -> None:
        super().__init__(object, key="state")

    def make(self, actor: "Actor[Any]") -> Any:
        """Return what the actor begins with."""
        return actor.initial_state()


def made(kind: Any) -> Any:
    """Return an empty value of a type: what its class makes without arguments, or None.

    Raises:
        TypeError: it cannot be made so.
    """
    origin = getattr(kind, "__origin__", kind)
    if origin is None or origin is type(None) or type(None) in getattr(kind, "__args__", ()):
        return None
    return origin()
