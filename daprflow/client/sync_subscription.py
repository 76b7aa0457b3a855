"""Streaming subscriptions for code that cannot await."""

import threading
from collections.abc import Callable, Coroutine
from contextvars import Token
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from daprflow.client.event_message import EventMessage, MessageEnd, trace_of, verdict_of
from daprflow.client.subscription import Subscription
from daprflow.errors import Drop, Retry
from daprflow.handlers import trace
from daprflow.protocol.cloudevents import CloudEvent

T = TypeVar("T")
R = TypeVar("R")


class Worker(Protocol):
    """An event loop in another thread."""

    def run(self, make: Callable[[], Coroutine[Any, Any, R]], /) -> R:
        """Run a coroutine there and wait for it."""
        ...


class SyncEventMessage(Generic[T]):
    """An `EventMessage` whose verdicts are given without ``await``; ``with message:`` works, too.

    Attributes:
        id: the CloudEvent's.
        data: the payload.
        event: the payload in its envelope.

    Example:
        ```python
        with SyncClient() as client, client.subscribe(orders) as events:
            for message in events:
                with message:
                    print(message.data.id)
        ```
    """

    __slots__ = ("_end", "_message", "_token", "_worker", "data", "event", "id")

    def __init__(self, worker: Worker, message: EventMessage[T]) -> None:
        self._worker = worker
        self._message = message
        self._token: Token[trace.Delivered | None] | None = None
        self._end: MessageEnd | None = None
        self.id: str = message.id
        self.data: T = message.data
        self.event: CloudEvent[T] = message.event

    def ack(self) -> None:
        """Say that the event is done.

        Example:
            ```python
            with SyncClient() as client, client.subscribe(orders) as events:
                for message in events:
                    message.ack()
            ```
        """
        self._worker.run(self._message.ack)

    def retry(self) -> None:
        """Have the event delivered again, when and how often the broker decides.

        Example:
            ```python
            with SyncClient() as client, client.subscribe(orders) as events:
                for message in events:
                    message.retry()
            ```
        """
        self._worker.run(self._message.retry)

    def drop(self) -> None:
        """Give the event up (to the dead letter topic, where one is named).

        Example:
            ```python
            with SyncClient() as client, client.subscribe(orders) as events:
                for message in events:
                    message.drop()
            ```
        """
        self._worker.run(self._message.drop)

    def __enter__(self) -> Self:
        self._token = trace.DELIVERED.set(trace_of(self.event))
        watch = self._message.watch
        self._end = None if watch is None else watch(self.event)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if self._end is not None:
            self._end(self._message.status or verdict_of(error), error)
            self._end = None
        if self._token is not None:
            trace.DELIVERED.reset(self._token)
            self._token = None
        verdict = verdict_of(error)

        async def decide() -> None:
            self._message.decide(verdict)

        self._worker.run(decide)
        return isinstance(error, Drop | Retry)

    def __repr__(self) -> str:
        return f"SyncEventMessage({self.id!r})"


class SyncSubscription(Generic[T]):
    """The events of a topic as they come. Make it with ``client.subscribe(topic)``.

    ``with client.subscribe(orders) as messages: for message in messages: ...``. It is as
    `Subscription` is, with threads in the place of tasks.

    Example:
        ```python
        with SyncClient() as client, client.subscribe(orders) as events:
            for message in events:
                message.ack()
        ```
    """

    def __init__(self, worker: Worker, subscription: Subscription[T]) -> None:
        self._worker = worker
        self._subscription = subscription

    def __enter__(self) -> Self:
        """Subscribe now; raises what `Subscription` raises."""
        self._worker.run(self._subscription.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SyncEventMessage[T]:
        owner = threading.get_ident()
        message = self._worker.run(lambda: self._subscription.next(owner))
        if message is None:
            raise StopIteration
        return SyncEventMessage(self._worker, message)

    def close(self) -> None:
        """End the subscription: what has a verdict is told, the rest is delivered again.

        Example:
            ```python
            with SyncClient() as client:
                client.subscribe(orders).close()
            ```
        """
        self._worker.run(self._subscription.close)
