"""Whoever hosts actors: an app that is called, or one that holds a stream open."""

from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from daprflow.protocol.http import Headers
from daprflow.sidecar.identifiers import new_id

NO_DATA = msgspec.UNSET


class HostFailed(Exception):  # noqa: N818 - named for what happened
    """The host did not do what it was asked for; the text is the real runtime's."""


class MethodMissing(HostFailed):
    """The actor has no such method: no further attempt can mend that."""


class HostAway(HostFailed):
    """Nothing of the call reached the host."""


@dataclass(frozen=True, slots=True)
class ActorCall:
    """A call of a method.

    Attributes:
        headers: as they go to the host, without the reentrancy id; names in lower case.
        query: as it stands in a request line.
        reentrancy_id: of the turn that the call was made in; empty where none is known.
        new_id: of the turn that it begins then, the same in each attempt.
    """

    method: str
    data: bytes
    headers: Headers = ()
    query: str = ""
    reentrancy_id: str = ""
    new_id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class ActorAnswer:
    """What a method gave back."""

    data: bytes
    headers: Headers


class ActorRaised(HostFailed):
    """The actor itself says that the call failed; its answer goes to the caller as it is."""

    def __init__(self, answer: ActorAnswer) -> None:
        super().__init__("actor error with details in body")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class TimerDue:
    """One tick of a timer: everything as it was registered; ``data`` is JSON."""

    name: str
    callback: str
    due_time: str
    period: str
    data: msgspec.Raw | msgspec.UnsetType = NO_DATA


class ActorHost(Protocol):
    """One app with actors. Calls raise `HostFailed`."""

    async def invoke(self, kind: str, actor_id: str, call: ActorCall) -> ActorAnswer:
        """Call a method."""
        ...

    async def remind(
        self, kind: str, actor_id: str, name: str, data: msgspec.Raw | msgspec.UnsetType
    ) -> None:
        """Deliver a tick of a reminder."""
        ...

    async def fire(self, kind: str, actor_id: str, timer: TimerDue) -> None:
        """Deliver a tick of a timer."""
        ...

    async def deactivate(self, kind: str, actor_id: str) -> None:
        """Tell that an actor is needed no more."""
        ...
