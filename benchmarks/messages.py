"""Messages: what the benchmark asks of its load process and what that reports back."""

import msgspec


class Saturate(msgspec.Struct, tag=True, frozen=True):
    """Send ``request`` over ``connections`` keep-alive connections, one at a time on each.

    Attributes:
        request: the bytes of a whole HTTP request.
        seconds: how long the counting lasts; ``warm_up`` seconds before it do not count.
        others: further requests, sent in turn with the first.
    """

    port: int
    request: bytes
    connections: int
    seconds: float
    warm_up: float = 0.2
    others: tuple[bytes, ...] = ()


class Saturated(msgspec.Struct, tag=True, frozen=True):
    """How many answers came during ``seconds``, and how many of them were not 2xx."""

    answers: int
    failures: int
    seconds: float


class PublishMany(msgspec.Struct, tag=True, frozen=True):
    """Publish ``count`` events over ``publishers`` connections, each waiting for its answers."""

    port: int
    path: str
    count: int
    publishers: int


class PublishedMany(msgspec.Struct, tag=True, frozen=True):
    """From the first request until the last event reached the app.

    Attributes:
        handled: distinct events that reached the app.
        deliveries: every delivery, repeated ones included.
        accepted_seconds: until the last publish call was answered.
        handled_seconds: until the last event was handled.
    """

    handled: int
    deliveries: int
    failures: int
    accepted_seconds: float
    handled_seconds: float


class PublishAlone(msgspec.Struct, tag=True, frozen=True):
    """Publish ``count`` events one after the other, each when the last was answered and handled."""

    port: int
    path: str
    count: int


class PublishedAlone(msgspec.Struct, tag=True, frozen=True):
    """Seconds from the request leaving until the event was at the app, sorted."""

    latencies: tuple[float, ...]
    failures: int


class Remind(msgspec.Struct, tag=True, frozen=True):
    """Register ``count`` reminders, one for each actor, then wait until they ticked.

    Attributes:
        lead: seconds from the first registration to the first due time.
        spread: seconds from the first due time to the last.
    """

    port: int
    count: int
    callers: int
    lead: float
    spread: float


class Reminded(msgspec.Struct, tag=True, frozen=True):
    """What became of reminders.

    Attributes:
        registered_seconds: until the last one was safe.
        lateness: seconds from the due time to the first tick at the app, sorted.
        ticks: all of them, repeated ones included.
    """

    registered_seconds: float
    failures: int
    lateness: tuple[float, ...]
    ticks: int


class WorkflowSteps(msgspec.Struct, frozen=True):
    """What a long chain of activities took.

    Attributes:
        seconds: from its start to its result.
        intervals: seconds from each activity to the next.
    """

    seconds: float
    intervals: tuple[float, ...]


class Started(msgspec.Struct, tag=True, frozen=True):
    """The ports on which the load process plays an app: that handles events, that has actors."""

    sink_port: int
    actor_port: int


class Failed(msgspec.Struct, tag=True, frozen=True):
    """Why an order could not be carried out."""

    reason: str


Order = Saturate | PublishMany | PublishAlone | Remind
Report = Saturated | PublishedMany | PublishedAlone | Reminded | Started | Failed
