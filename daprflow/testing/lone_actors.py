"""Actors that a test makes by itself: what they asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daprflow.actors.actor import Actor, reminders_of, timers_of
from daprflow.protocol.actors import ReminderRequest, TimerRequest


@dataclass(frozen=True, slots=True)
class Planned:
    """Reminders and timers by name, as the runtime would be asked for them; None deletes one.

    Attributes:
        reminders: by name.
        timers: by name.

    Example:
        ```python
        cart = CartActor()
        await cart.add("tea")
        assert "expire" in planned(cart).reminders
        ```
    """

    reminders: Mapping[str, ReminderRequest | None]
    timers: Mapping[str, TimerRequest | None]


def planned(actor: Actor[Any], /) -> Planned:
    """Return the reminders and timers that an actor asked for which a test made by itself.

    ``cart = CartActor(db=FakeDb())``, ``cart.state = Cart()``, ``await cart.add("tea")``: it needs
    no runtime, and its turn never ends.

    Args:
        actor: made by the test, not by a runtime.

    Example:
        ```python
        cart = CartActor()
        await cart.add("tea")
        assert planned(cart).timers == {}
        ```
    """
    return Planned(reminders_of(actor), timers_of(actor))
