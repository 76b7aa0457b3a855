"""A streaming subscription, whatever carries it: what is wanted, what comes, how it breaks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from daprflow.protocol.fault import FaultText


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscription asks its sidecar for.

    Attributes:
        dead_letter: the topic for events that are given up; empty where there is none.
        metadata: the component's, such as a consumer group.
    """

    pubsub: str
    topic: str
    dead_letter: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicEvent:
    """An event as it comes: its envelope, and its data apart from that.

    Attributes:
        attributes: every attribute of the CloudEvent but its data.
    """

    id: str
    attributes: Mapping[str, Any]
    data: bytes
    content_type: str


class CallRefused(Exception):  # noqa: N818 - named for what happened
    """A sidecar refused a call over gRPC, in the terms that it has over HTTP.

    Attributes:
        status: the HTTP status.
        fault: what it said.
        unavailable: whether there was no sidecar at all.
    """

    def __init__(self, status: int, fault: FaultText, *, unavailable: bool = False) -> None:
        self.status = status
        self.fault = fault
        self.unavailable = unavailable
        super().__init__(fault.message)


class StreamLost(Exception):  # noqa: N818 - named for what happened
    """A stream ended that may begin again: its sidecar went away, stopped or was replaced.

    Attributes:
        refused: what the sidecar said, None where it said nothing.
    """

    def __init__(self, text: str, refused: CallRefused | None = None) -> None:
        self.refused = refused
        super().__init__(text)
