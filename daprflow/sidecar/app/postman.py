"""What brings events of one subscription to whoever reads them, and what becomes of an event."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from daprflow.protocol.deliveries import Status
from daprflow.sidecar.components.base import Message


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a delivery, and why where it was not a success.

    Attributes:
        code: the app's HTTP or gRPC status where it is what made this a failure; else 0.
    """

    status: Status
    reason: str = ""
    code: int = 0


SUCCESS: Final = Verdict(Status.SUCCESS)

NO_TRACE: Final = "00-00000000000000000000000000000000-0000000000000000-00"
_parent = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Reading(msgspec.Struct, frozen=True):
    """A message as a delivery needs it.

    Attributes:
        body: the CloudEvent; of a raw message in a batch, its base64 text in JSON.
        traceparent: the event's; None where the event has no trace fields at all.
        path: where it goes; None when no rule matches.
    """

    body: bytes
    traceparent: str | None
    path: str | None
    expired: bool = False


@dataclass(frozen=True, slots=True)
class TopicEntry:
    """One event of a batch; the id is the batch's own."""

    id: str
    message: Message
    reading: Reading


class Postman(Protocol):
    """Delivers what one subscription receives.

    Both calls raise `daprflow.sidecar.channel.base.AppUnreachable` when no answer comes, and
    `daprflow.sidecar.channel.base.AppAway` when nothing got as far as the app.
    """

    async def deliver(self, message: Message, reading: Reading, /) -> Verdict:
        """Deliver one event to ``reading.path``, which is set, and return what became of it."""
        ...

    async def deliver_bulk(
        self, path: str, entries: Sequence[TopicEntry], /
    ) -> Mapping[str, Verdict]:
        """Deliver a batch: a verdict for each entry id; ``""`` is that of all others."""
        ...


def parent_to_send(traceparent: str | None) -> str | None:
    """Return the ``traceparent`` that goes with an event: all zeros where its own is not valid.

    None where the event has no trace fields at all; then no such header is sent.
    """
    if traceparent is None:
        return None
    return traceparent if _parent.fullmatch(traceparent) else NO_TRACE


def parent_of(entries: Sequence[TopicEntry]) -> str | None:
    """Return the ``traceparent`` of the last event that has one, None where no event does."""
    parents = (entry.reading.traceparent for entry in reversed(entries))
    return next((parent for parent in parents if parent is not None), None)
