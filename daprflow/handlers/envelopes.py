"""What a handler may ask for instead of the bare payload: a binding's event, an item, a batch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.deliveries import Status

T = TypeVar("T")


class BindingEvent(msgspec.Struct, Generic[T], frozen=True):
    """One event of an input binding.

    Attributes:
        data: decoded; ``bytes`` is what came as it is.
        metadata: what the component says about it (for Kafka ``key``, ``partition``, ``offset``),
            which a sidecar sends as request headers; names are lower-case.

    Example:
        ```python
        @app.binding("sms-in")
        async def on_sms(event: BindingEvent[str]) -> None:
            print(event.data, event.metadata)
        ```
    """

    data: T
    metadata: Mapping[str, str] = {}


class ConfigItem(msgspec.Struct, Generic[T], frozen=True):
    """One item of a configuration store.

    Attributes:
        key: the item's name in the store.
        value: decoded; the default where the item is missing.
        version: what the store counts changes with; empty where it has none, and for a default.
        metadata: what the store says about the item besides.

    Example:
        ```python
        @app.configuration("settings", "limits")
        async def on_limits(item: ConfigItem[Limits]) -> None:
            print(item.key, item.value.daily, item.version)
        ```
    """

    key: str
    value: T
    version: str = ""
    metadata: Mapping[str, str] = {}


class Entry(Generic[T]):
    """One event of a batch; it is done unless ``drop`` or ``retry`` says otherwise.

    Attributes:
        id: what the sidecar tells it by within the batch.
        event: the payload in its envelope.
        data: the payload.
        status: the verdict that was given; None means done.

    Example:
        ```python
        @app.topic("pubsub", "metrics", max_messages=200)
        async def on_metrics(batch: Batch[Order]) -> None:
            for entry in batch:
                print(entry.id, entry.event.type, entry.data.id)
        ```
    """

    __slots__ = ("data", "event", "id", "status")

    def __init__(self, id: str, event: CloudEvent[T], /) -> None:  # noqa: A002 - Dapr's word
        self.id: str = id
        self.event: CloudEvent[T] = event
        self.data: T = event.data
        self.status: Status | None = None

    def drop(self) -> None:
        """Give this event up (to the dead letter topic, where one is named).

        Example:
            ```python
            @app.topic("pubsub", "metrics", max_messages=200)
            async def on_metrics(batch: Batch[Order]) -> None:
                for entry in batch:
                    entry.drop()
            ```
        """
        self.status = Status.DROP

    def retry(self) -> None:
        """Have this event delivered again.

        Example:
            ```python
            @app.topic("pubsub", "metrics", max_messages=200)
            async def on_metrics(batch: Batch[Order]) -> None:
                for entry in batch:
                    entry.retry()
            ```
        """
        self.status = Status.RETRY

    def done(self) -> None:
        """Acknowledge this event even if the handler fails on a later one.

        Example:
            ```python
            @app.topic("pubsub", "metrics", max_messages=200)
            async def on_metrics(batch: Batch[Order]) -> None:
                for entry in batch:
                    print(entry.data.id)
                    entry.done()
            ```
        """
        self.status = Status.SUCCESS

    def __repr__(self) -> str:
        return f"Entry({self.id!r})"


class Batch(Generic[T]):
    """The events of one bulk delivery, in order; those that could not be decoded are left out.

    Args:
        entries: in the order in which they came.

    Example:
        ```python
        @app.topic("pubsub", "metrics", max_messages=200)
        async def on_metrics(batch: Batch[Order]) -> None:
            for entry in batch:
                if entry.data.total < 0:
                    entry.drop()
        ```
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Sequence[Entry[T]], /) -> None:
        self._entries = tuple(entries)

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry[T]:
        return self._entries[index]
