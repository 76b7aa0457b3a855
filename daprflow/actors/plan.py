"""A hosted actor type, compiled: how its methods are called and its state is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from daprflow.actors.memory import Format
from daprflow.handlers.handler import Delivery

if TYPE_CHECKING:
    from daprflow.actors.actor import Actor
    from daprflow.actors.part import Part
    from daprflow.handlers.actor_arguments import Arguments
    from daprflow.handlers.calling import Call


class Peer(Protocol):
    """Who waits for the answer to a call."""

    def gone(self) -> bool:
        """Tell whether nobody waits any more; asked once, at the end of a turn."""
        ...


class ActorCall(Delivery):
    """What a sidecar asks of an actor.

    Attributes:
        actor_id: the actor's.
        method: the method's name, or that of the reminder or timer.
        tick: "remind" or "timer"; empty for a method.
        peer: who waits for the answer; None where that cannot be told.
    """

    actor_id: str = ""
    method: str = ""
    tick: str = ""
    peer: Peer | None = None


@dataclass(frozen=True, slots=True)
class HostedMethod:
    """One method: its arguments, how it is called with them, and how its result is sent.

    Attributes:
        call: takes the delivery, the actor and the arguments.
        answers_bytes: whether the result is the body itself.
    """

    arguments: "Arguments"
    call: "Call"
    answers_bytes: bool


@dataclass(frozen=True, slots=True)
class ActorPlan:
    """One type.

    Attributes:
        kind: its name at the runtime.
        title: how messages call it.
        make: makes an actor with what its constructor asks for.
        methods: by the names they are called by.
        activates: whether ``on_activate`` does something.
        deactivates: whether ``on_deactivate`` does something.
    """

    kind: str
    title: str
    make: Callable[[], "Actor[Any]"]
    methods: Mapping[str, HostedMethod]
    parts: "tuple[Part[Any], ...]"
    format: Format
    activates: bool
    deactivates: bool
