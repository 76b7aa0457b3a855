"""The base class of actors, and that of the interfaces of other teams' actors."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from daprflow.actors.memory import Memory, alone
from daprflow.actors.part import Whole

# Loaded with the first reminder or timer.
if TYPE_CHECKING:
    from typing import Unpack

    from daprflow.actors.schedules import ReminderOptions, TimerOptions
    from daprflow.protocol.actors import ReminderRequest, TimerRequest

S = TypeVar("S")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

NAME = "__actor_method__"
"""The attribute in which a method carries the name it is called by, where that is another."""
_WHOLE: Any = Whole()


class ActorInterface:
    """The methods of actors that somebody else hosts: ``client.actor(Carts, "ann")``.

    A class of its own with the public ``async`` methods that can be called, whose bodies raise
    ``NotImplementedError``. ``class Carts(ActorInterface, actor_type="CartActor")`` names the type
    where it is not the class's name. A class that hosts the actor may derive from it, too.

    Attributes:
        actor_type: the type's name at the runtime.

    Example:
        ```python
        class Carts(ActorInterface, name="CartActor"):
            async def add(self, sku: str) -> int: ...

        await client.actor(Carts, "ann").add("tea")
        ```
    """

    actor_type: ClassVar[str] = ""
    _actor_type: ClassVar[str] = ""

    def __init_subclass__(cls, *, actor_type: str = "", **more: Any) -> None:
        super().__init_subclass__(**more)
        if named := actor_type or str(vars(cls).get("actor_type", "")):
            cls._actor_type = named
        cls.actor_type = cls._actor_type or cls.__name__


class Actor(ActorInterface, Generic[S]):
    """A virtual actor with a state of type ``S``; ``None`` where it has none.

    Its public ``async`` methods can be called by ``client.actor(CartActor, "ann").add("tea")``,
    nothing else can. A call is a turn: one at a time per id, with the state as it is stored,
    which is saved in one transaction when the method returns, if it changed. When the method
    raises, or nobody waits for it any more, the turn leaves no trace.

    What an actor needs is given to its constructor by type, as to a provider; ``id`` and ``state``
    are not there yet then.

    Attributes:
        id: the actor's.

    Example:
        ```python
        @app.actor(idle=timedelta(minutes=10))
        class Basket(Actor[Cart]):
            async def add(self, sku: str) -> int:
                self.state.items.append(sku)
                return len(self.state.items)

        await client.actor(Basket, "ann").add("tea")
        ```
    """

    id: str = ""
    _memory: Memory

    def __new__(cls, *given: Any, **named: Any) -> Self:
        """Make an actor; one that a test makes by itself has an empty state in memory."""
        if (given or named) and cls.__init__ is object.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments")
        actor = super().__new__(cls)
        actor._memory = alone()
        return actor

    @property
    def state(self) -> S:
        """The actor's state; change it or set it.

        Raises:
            RuntimeError: no turn is under way, or the one that the running code belongs to is over.
        """
        value: S = self._memory.read(self, _WHOLE)
        return value

    @state.setter
    def state(self, value: S) -> None:
        self._memory.write(_WHOLE, value)

    def initial_state(self) -> S:
        """Return what a new actor begins with; the state's class without arguments.

        Example:
            ```python
            class Basket(Actor[Cart]):
                def initial_state(self) -> Cart:
                    return Cart(items=["welcome-gift"])
            ```
        """
        from daprflow.handlers.actor_shapes import shape_of  # noqa: PLC0415 - inspects, at freeze mostly

        value: S = shape_of(type(self)).empty()
        return value

    async def on_activate(self) -> None:
        """Do what is needed before the first call; a turn of its own.

        Example:
            ```python
            class Basket(Actor[Cart]):
                async def on_activate(self) -> None:
                    await self.remind(self.expire, "idle", due=timedelta(hours=1))

                async def expire(self, reason: str) -> None: ...
            ```
        """

    async def on_deactivate(self) -> None:
        """Do what is needed when the actor leaves memory; its state can be read, not changed.

        Example:
            ```python
            class Basket(Actor[Cart]):
                async def on_deactivate(self) -> None:
                    print("left with", len(self.state.items))
            ```
        """

    @overload
    async def remind(
        self, method: Callable[[], Awaitable[Any]], /, **options: "Unpack[ReminderOptions]"
    ) -> None: ...
    @overload
    async def remind(
        self,
        method: Callable[[T1], Awaitable[Any]],
        data: T1,
        /,
        **options: "Unpack[ReminderOptions]",
    ) -> None: ...
    @overload
    async def remind(
        self,
        method: Callable[[T1, T2], Awaitable[Any]],
        first: T1,
        second: T2,
        /,
        **options: "Unpack[ReminderOptions]",
    ) -> None: ...
    @overload
    async def remind(
        self,
        method: Callable[[T1, T2, T3], Awaitable[Any]],
        first: T1,
        second: T2,
        third: T3,
        /,
        **options: "Unpack[ReminderOptions]",
    ) -> None: ...
    async def remind(
        self, method: Any, /, *data: Any, **options: "Unpack[ReminderOptions]"
    ) -> None:
        """Have a method of this actor called later, even when everything restarts meanwhile.

        It is placed when the turn succeeds, before the state is saved: a tick too many may come
        then, never one too few. One that comes raises `StopReminder` to be the last.

        Args:
            method: such as ``self.expire``; a public ``async`` method.
            data: what it is called with.
            options: ``name``, ``due``, ``every``, ``repeats``, ``ttl``, ``overwrite``.

        Raises:
            ValueError: it would never come, or the runtime could not read when.
            TypeError: the method is not one of this actor that can be called, or not with this.

        Example:
            ```python
            class Basket(Actor[Cart]):
                async def add(self, sku: str) -> None:
                    await self.remind(self.expire, "idle", due=timedelta(hours=1))

                async def expire(self, reason: str) -> None:
                    self.state.items.clear()
            ```
        """
        from daprflow.actors.schedules import times  # noqa: PLC0415 - see above
        from daprflow.protocol.actors import ReminderRequest  # noqa: PLC0415 - see above

        called = self._called(method)
        name = options.get("name")
        when = times(options, "reminder", calendar=False)
        overwrite = None if options.get("overwrite", True) else False
        asked = ReminderRequest(**when, data=called.tick(data, name), overwrite=overwrite)
        self._memory.current().reminders[name or called.name] = asked

    async def unremind(self, reminder: Callable[..., Awaitable[Any]] | str, /) -> None:
        """Delete a reminder, by its method or its name, when the turn has succeeded.

        Args:
            reminder: its method, or its name; one that is not there is no error.

        Example:
            ```python
            class Basket(Actor[Cart]):
                async def pay(self) -> None:
                    await self.unremind(self.expire)

                async def expire(self) -> None: ...
            ```
        """
        name = reminder if isinstance(reminder, str) else self._called(reminder).name
        self._memory.current().reminders[name] = None

    @overload
    async def set_timer(
        self, method: Callable[[], Awaitable[Any]], /, **options: "Unpack[TimerOptions]"
    ) -> None: ...
    @overload
    async def set_timer(
        self, method: Callable[[T1], Awaitable[Any]], data: T1, /, **options: "Unpack[TimerOptions]"
    ) -> None: ...
    @overload
    async def set_timer(
        self,
        method: Callable[[T1, T2], Awaitable[Any]],
        first: T1,
        second: T2,
        /,
        **options: "Unpack[TimerOptions]",
    ) -> None: ...
    @overload
    async def set_timer(
        self,
        method: Callable[[T1, T2, T3], Awaitable[Any]],
        first: T1,
        second: T2,
        third: T3,
        /,
        **options: "Unpack[TimerOptions]",
    ) -> None: ...
    async def set_timer(
        self, method: Any, /, *data: Any, **options: "Unpack[TimerOptions]"
    ) -> None:
        """Have a method of this actor called later, as long as its sidecar runs.

        As ``remind`` otherwise; a timer survives that the actor leaves memory, and brings it back.

        Args:
            method: such as ``self.flush``.
            data: what it is called with.
            options: ``name``, ``due``, ``every``, ``repeats``, ``ttl``.

        Raises:
            ValueError: it would never come, or the runtime could not read when.
            TypeError: the method is not one of this actor that can be called, or not with this.

        Example:
            ```python
            class Basket(Actor[Cart]):
                async def watch(self) -> None:
                    await self.set_timer(self.look, every=timedelta(seconds=5))

                async def look(self) -> None: ...
            ```
        """
        from daprflow.actors.schedules import times  # noqa: PLC0415 - see above
        from daprflow.protocol.actors import TimerRequest  # noqa: PLC0415 - see above

        called = self._called(method)
        when = times(options, "timer", calendar=True)
        asked = TimerRequest(**when, data=called.document(data), callback=called.name)
        self._memory.current().timers[options.get("name") or called.name] = asked

    async def unset_timer(self, timer: Callable[..., Awaitable[Any]] | str, /) -> None:
        """Delete a timer, by its method or its name, when the turn has succeeded.

        Args:
            timer: its method, or its name; one that is not there is no error.

        Example:
            ```python
            class Basket(Actor[Cart]):
                async def rest(self) -> None:
                    await self.unset_timer(self.look)

                async def look(self) -> None: ...
            ```
        """
        name = timer if isinstance(timer, str) else self._called(timer).name
        self._memory.current().timers[name] = None

    def _called(self, method: Any) -> Any:
        """Return how a method is called.

        Raises:
            TypeError: it is not one of this actor, or none that can be called from outside.
        """
        from daprflow.handlers.actor_shapes import shape_of  # noqa: PLC0415 - as above

        name = str(getattr(method, "__name__", method))
        found = shape_of(type(self)).by_attribute.get(name)
        if found is None or getattr(method, "__self__", None) is not self:
            raise TypeError(
                f"'{name}' is no public async method of this actor; give 'self.{name.lstrip('_')}'"
            )
        return found


def actor_method(name: str, /) -> Callable[[F], F]:
    """Give a method of an actor the name it is called by, as other SDKs chose it.

    ``@actor_method("GetBalance")`` above ``async def balance(self)``.

    Args:
        name: what callers of the method name.

    Returns:
        a decorator, which returns the method.

    Example:
        ```python
        class Basket(Actor[Cart]):
            @actor_method("AddItem")
            async def add(self, sku: str) -> int: ...
        ```
    """

    def mark(method: F) -> F:
        setattr(method, NAME, name)
        return method

    return mark


def reminders_of(actor: Actor[Any]) -> "dict[str, ReminderRequest | None]":
    """Return the reminders that an actor made by a test asked for; None where one is deleted."""
    return dict(actor._memory.current().reminders)  # noqa: SLF001 - of the same module


def timers_of(actor: Actor[Any]) -> "dict[str, TimerRequest | None]":
    """Return the timers that an actor made by a test asked for; None where one is deleted."""
    return dict(actor._memory.current().timers)  # noqa: SLF001 - of the same module
