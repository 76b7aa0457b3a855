"""One event of a streaming subscription, and the verdict on it."""

from collections.abc import Callable
from contextvars import Token
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from daprflow.errors import Drop, Retry
from daprflow.handlers import trace
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.deliveries import Status

T = TypeVar("T")

MessageEnd = Callable[[Status, BaseException | None], None]
"""Told of the verdict on a message, and what was raised in its block."""
MessageWatch = Callable[[CloudEvent[Any]], MessageEnd]
"""Called where the block of a message begins; returns what is called at its end."""


class EventMessage(Generic[T]):
    """An event that waits for a verdict: ``ack``, ``retry`` or ``drop``; the first one counts.

    ``async with message:`` gives it at the end of the block: done, or delivered again when the
    block raises; `Drop` and `Retry` may be raised as in a handler and do not leave the block. Calls
    of a sidecar inside the block carry the event's trace.

    A verdict on an event whose stream has broken since goes nowhere: the event comes again.

    Attributes:
        id: the CloudEvent's.
        data: the payload.
        event: the payload in its envelope.
        watch: watches its block; None watches nothing.

    Example:
        ```python
        async with client.subscribe(orders) as events:
            async for message in events:
                async with message:  # done at its end, delivered again when it raises
                    print(message.data.id)
        ```
    """

    __slots__ = (
        "__weakref__",
        "_decide",
        "_end",
        "_forget",
        "_token",
        "data",
        "event",
        "id",
        "status",
        "watch",
    )

    def __init__(
        self,
        event: CloudEvent[T],
        decide: Callable[[Status], None],
        forget: Callable[[], None],
        watch: MessageWatch | None = None,
    ) -> None:
        self.id: str = event.id
        self.data: T = event.data
        self.event: CloudEvent[T] = event
        self.status: Status | None = None
        self._decide = decide
        self._forget = forget
        self._token: Token[trace.Delivered | None] | None = None
        self.watch: MessageWatch | None = watch
        self._end: MessageEnd | None = None

    async def ack(self) -> None:
        """Say that the event is done.

        Example:
            ```python
            async for message in client.subscribe(orders):
                await message.ack()
            ```
        """
        self.decide(Status.SUCCESS)

    async def retry(self) -> None:
        """Have the event delivered again, when and how often the broker decides.

        Example:
            ```python
            async for message in client.subscribe(orders):
                await message.retry()
            ```
        """
        self.decide(Status.RETRY)

    async def drop(self) -> None:
        """Give the event up (to the dead letter topic, where one is named).

        Example:
            ```python
            async for message in client.subscribe(orders):
                if message.data.total < 0:
                    await message.drop()
            ```
        """
        self.decide(Status.DROP)

    def decide(self, status: Status, /) -> None:
        """Give a verdict, unless there is one.

        Args:
            status: the verdict.

        Example:
            ```python
            async for message in client.subscribe(orders):
                message.decide(Status.SUCCESS)
            ```
        """
        if self.status is None:
            self.status = status
            self._decide(status)

    async def __aenter__(self) -> Self:
        self._token = trace.DELIVERED.set(trace_of(self.event))
        self._end = None if self.watch is None else self.watch(self.event)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if self._end is not None:
            self._end(self.status or verdict_of(error), error)
            self._end = None
        if self._token is not None:
            trace.DELIVERED.reset(self._token)
            self._token = None
        self.decide(verdict_of(error))
        return isinstance(error, Drop | Retry)

    def __repr__(self) -> str:
        return f"EventMessage({self.id!r})"

    def __del__(self) -> None:
        if getattr(self, "status", self) is None:
            self._forget()


def verdict_of(error: BaseException | None) -> Status:
    """Return what the end of a block says about its event; ``error`` is what it raised."""
    if error is None:
        return Status.SUCCESS
    return Status.DROP if isinstance(error, Drop) else Status.RETRY


def trace_of(event: CloudEvent[Any]) -> trace.RawHeaders:
    """Return an event's trace context, as calls of a sidecar take it along."""
    pairs = (("traceparent", event.traceparent), ("tracestate", event.tracestate))
    return [(name.encode(), value.encode("latin-1", "replace")) for name, value in pairs if value]
