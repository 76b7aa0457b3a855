"""The client for code without an event loop: scripts, notebooks' cells, plain ``def`` handlers."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from daprflow.addresses import Endpoint, Topic, Workflow, type_name
from daprflow.client.client import Client
from daprflow.client.interception import ClientInterceptor
from daprflow.client.managing import HEALTH_AGE
from daprflow.client.publication import PublishOptions
from daprflow.client.raw import RequestOptions
from daprflow.client.response import Response
from daprflow.client.secrets import Secrets
from daprflow.client.state import Item, Store
from daprflow.client.subscribing import SubscribeOptions
from daprflow.client.sync_subscription import SyncSubscription
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.settings import Settings
from daprflow.transports.base import Transport

# Few programs have workflows; importing daprflow does not pay for them.
if TYPE_CHECKING:
    from daprflow.client.sync_workflows import SyncWorkflowRun
    from daprflow.client.workflow_runs import WorkflowRun, WorkflowStatus
    from daprflow.health.report import HealthReport
    from daprflow.protocol.workflow_actions import WorkflowState

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")

IN_A_LOOP = (
    "SyncClient was called inside a running event loop, which it would block; use the async one "
    "there: 'async with Client() as client: await client...' (a notebook's cell may await)"
)


class SyncClient:
    """A `Client` for code that cannot await: each call blocks its thread until it is done.

    ``with SyncClient() as client: client.publish(topic, data)``. It makes no thread and no
    connection before its first call; any number of threads may share it. What it has no method
    for, ``run`` does: ``client.run(lambda c: c.metadata())``.

    Args:
        settings: as for `Client`.
        transport: as for `Client`.
        interceptors: as for `Client`; they run in the thread that makes the calls.

    Example:
        ```python
        with SyncClient() as client:
            client.publish(orders, Order("7"))
            item = client.state("statestore").get("cart:ann", Cart)
        ```
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        transport: Transport | None = None,
        interceptors: Sequence[ClientInterceptor] = (),
    ) -> None:
        self._client = Client(settings, transport=transport, interceptors=interceptors)
        self._worker = _Loop()

    def __enter__(self) -> Self:
        try:
            self.run(Client.open)
        except BaseException:
            self.close()  # a block that was never entered is never left
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back every connection, and end the thread.

        Example:
            ```python
            client = SyncClient()
            client.close()
            ```
        """
        if self._worker.running:
            self.run(Client.close)
            self._worker.stop()

    def run(self, call: Callable[[Client], Coroutine[Any, Any, T]], /) -> T:
        """Make any call of the async client and return what it does.

        A block, such as a lock, goes into a coroutine function: ``client.run(with_lock)``.

        Raises:
            RuntimeError: an event loop runs in this thread; the text says what to do.
            TypeError: ``call`` makes no call that could be waited for.

        Example:
            ```python
            with SyncClient() as client:
                healthy = client.run(lambda each: each.healthy())
            ```
        """
        return self._worker.run(lambda: _call_of(call, self._client))

    def state(self, store: str, /) -> "SyncStore":
        """Return the state store of that component's name.

        Args:
            store: the component's name.

        Raises:
            ValueError: it is empty.

        Example:
            ```python
            with SyncClient() as client:
                client.state("statestore").set("cart:ann", Cart())
            ```
        """
        return SyncStore(self._worker, self._client.state(store))

    @overload
    def publish(
        self, topic: Topic[T], data: T | CloudEvent[T], /, **options: Unpack[PublishOptions]
    ) -> None: ...

    @overload
    def publish(
        self, pubsub: str, topic: str, data: object, /, **options: Unpack[PublishOptions]
    ) -> None: ...

    def publish(self, *event: Any, **options: Unpack[PublishOptions]) -> None:
        """As ``Client.publish``."""
        self.run(lambda client: client.publish(*event, **options))

    @overload
    def subscribe(
        self, topic: Topic[T], /, **options: Unpack[SubscribeOptions]
    ) -> SyncSubscription[T]: ...

    @overload
    def subscribe(
        self, pubsub: str, topic: str, payload: type[T], /, **options: Unpack[SubscribeOptions]
    ) -> SyncSubscription[T]: ...

    def subscribe(self, *topic: Any, **options: Unpack[SubscribeOptions]) -> SyncSubscription[Any]:
        """As ``Client.subscribe``; ``with`` and ``for`` without ``async``."""
        return SyncSubscription(self._worker, self._client.subscribe(*topic, **options))

    @overload
    def invoke(self, endpoint: Endpoint[None, Out], data: None = None, /) -> Out: ...

    @overload
    def invoke(self, endpoint: Endpoint[In, Out], data: In, /) -> Out: ...

    def invoke(self, endpoint: Endpoint[Any, Out], data: Any = None, /) -> Out:
        """As ``Client.invoke``."""
        return self.run(lambda client: client.invoke(endpoint, data))

    def request(
        self, app_id: str, method: str, data: object = None, /, **options: Unpack[RequestOptions]
    ) -> Response:
        """As ``Client.request``."""
        return self.run(lambda client: client.request(app_id, method, data, **options))

    def health(
        self, *, max_age: timedelta | float = HEALTH_AGE, components: Collection[str] = ()
    ) -> "HealthReport":
        """As ``Client.health``."""
        return self.run(lambda client: client.health(max_age=max_age, components=components))

    def secret(self, store: str, key: str, /) -> str:
        """As ``Client.secret``."""
        return self.run(lambda client: client.secret(store, key))

    def secrets(self, store: str, /) -> Secrets:
        """As ``Client.secrets``."""
        return self.run(lambda client: client.secrets(store))

    @overload
    def start(
        self,
        workflow: Workflow[None, Out],
        /,
        *,
        id: str | None = None,
        at: datetime | timedelta | None = None,
        reuse: bool = True,
        attach: bool = False,
    ) -> "SyncWorkflowRun[Out]": ...

    @overload
    def start(
        self,
        workflow: Workflow[In, Out],
        data: In,
        /,
        *,
        id: str | None = None,
        at: datetime | timedelta | None = None,
        reuse: bool = True,
        attach: bool = False,
    ) -> "SyncWorkflowRun[Out]": ...

    def start(
        self,
        workflow: Workflow[Any, Any],
        data: Any = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - as in Client
        at: datetime | timedelta | None = None,
        reuse: bool = True,
        attach: bool = False,
    ) -> "SyncWorkflowRun[Any]":
        """As ``Client.start``."""
        run = self.run(
            lambda client: client.start(workflow, data, id=id, at=at, reuse=reuse, attach=attach)
        )
        return self._workflow_run(run)

    def workflow(self, workflow: Workflow[Any, Out], id: str, /) -> "SyncWorkflowRun[Out]":  # noqa: A002 - as in Client
        """As ``Client.workflow``."""
        return self._workflow_run(self._client.workflow(workflow, id))

    @overload
    def workflows(
        self,
        workflow: Workflow[Any, Out],
        /,
        *,
        state: "WorkflowState | Collection[WorkflowState] | None" = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> "Iterator[WorkflowStatus[Out]]": ...

    @overload
    def workflows(
        self,
        workflow: str | None = None,
        /,
        *,
        state: "WorkflowState | Collection[WorkflowState] | None" = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> "Iterator[WorkflowStatus[Any]]": ...

    def workflows(
        self,
        workflow: Any = None,
        /,
        *,
        state: "WorkflowState | Collection[WorkflowState] | None" = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> "Iterator[WorkflowStatus[Any]]":
        """As ``Client.workflows``; ``for`` without ``async``."""
        found = self._client.workflows(workflow, state=state, since=since, until=until)
        from daprflow.client.sync_workflows import each  # noqa: PLC0415 - see above

        return each(self._worker, found)

    def _workflow_run(self, run: "WorkflowRun[Out]") -> "SyncWorkflowRun[Out]":
        from daprflow.client.sync_workflows import SyncWorkflowRun  # noqa: PLC0415 - see above

        return SyncWorkflowRun(self._worker, run)

    def bind(
        self,
        name: str,
        operation: str,
        data: object = None,
        /,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """As ``Client.bind``."""
        return self.run(lambda client: client.bind(name, operation, data, metadata))


class SyncStore:
    """One state store. Make it with ``client.state(name)``."""

    def __init__(self, worker: "_Loop", store: Store) -> None:
        self._worker = worker
        self._store = store

    def run(self, call: Callable[[Store], Coroutine[Any, Any, T]], /) -> T:
        """Make any call of the async store and return what it does."""
        return self._worker.run(lambda: call(self._store))

    def get(self, key: str, payload: type[T], /) -> Item[T] | None:
        """As ``Store.get``."""
        return self.run(lambda store: store.get(key, payload))

    def set(self, key: str, value: object, /, *, etag: str | None = None) -> None:
        """As ``Store.set``."""
        self.run(lambda store: store.set(key, value, etag=etag))

    def delete(self, key: str, /, *, etag: str | None = None) -> None:
        """As ``Store.delete``."""
        self.run(lambda store: store.delete(key, etag=etag))

    def update(self, key: str, payload: type[T], change: Callable[[T | None], T], /) -> T:
        """As ``Store.update``."""
        return self.run(lambda store: store.update(key, payload, change))


def _call_of(
    call: Callable[[Client], Coroutine[Any, Any, T]], client: Client
) -> Coroutine[Any, Any, T]:
    made: object = call(client) if callable(call) else call
    if made is not call and asyncio.iscoroutine(made):
        return made
    raise TypeError(
        "'run' takes a function that makes one call, such as 'lambda client: client.metadata()', "
        f"or a coroutine function; not a value of type '{type_name(type(made))}'"
    )


async def _within(context: contextvars.Context, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await a coroutine with the caller's context variables: its trace goes along."""
    return await asyncio.get_running_loop().create_task(make(), context=context)


class _Loop:
    """An event loop in a thread of its own, from the first call on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether there is something to stop."""
        return self._loop is not None

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine there and wait for it.

        Raises:
            RuntimeError: an event loop runs in this thread.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError(IN_A_LOOP)
        future = asyncio.run_coroutine_threadsafe(
            _within(contextvars.copy_context(), make), self._started()
        )
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupted caller leaves nothing running
            raise

    def stop(self) -> None:
        """End the loop and its thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="daprflow-sync-client", daemon=True
                )
                self._thread.start()
            return self._loop
