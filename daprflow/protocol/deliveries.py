"""What a sidecar delivers to an app about a topic, and what the app answers."""

from enum import Enum

import msgspec


class Status(Enum):
    """A verdict on an event: done, deliver it again, or give it up.

    Example:
        ```python
        @app.topic(orders)
        async def on_order(order: Order) -> Status:
            return Status.DROP if order.total < 0 else Status.SUCCESS
        ```
    """

    SUCCESS = "SUCCESS"
    RETRY = "RETRY"
    DROP = "DROP"


class BulkEntry(msgspec.Struct, frozen=True):
    """One event of a batch; ``event`` is a CloudEvent, or a base64 string for raw payloads."""

    entry_id: str = msgspec.field(name="entryId")
    event: msgspec.Raw
    metadata: dict[str, str] | None = None
    content_type: str = msgspec.field(default="application/cloudevents+json", name="contentType")


class BulkDelivery(msgspec.Struct, frozen=True):
    """The body of a bulk delivery."""

    entries: tuple[BulkEntry, ...]
    id: str = ""
    metadata: dict[str, str] | None = None
    pubsubname: str = ""
    topic: str = ""
    type: str = "com.dapr.event.sent.bulk"


class EntryVerdict(msgspec.Struct, frozen=True):
    """The verdict on one entry; a missing or unknown status means "again"."""

    entry_id: str = msgspec.field(name="entryId")
    status: str = ""


class BulkVerdict(msgspec.Struct, frozen=True):
    """The answer to a bulk delivery."""

    statuses: tuple[EntryVerdict, ...]
