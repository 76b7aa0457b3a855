"""The client: typed access to the building blocks of one sidecar."""

import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from daprflow.addresses import Endpoint, Topic
from daprflow.client import bindings, invocation, payload, secrets
from daprflow.client.caller import Caller
from daprflow.client.state import Store
from daprflow.protocol import operations
from daprflow.settings import Settings
from daprflow.transports.base import Transport

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")


class Client:
    """A sidecar's building blocks, typed.

    It does nothing until its first call, which waits for the sidecar (``DAPR_HEALTH_TIMEOUT``).
    Use it as ``async with Client() as client:``, or close it with ``close()``; in handlers it is
    injected and the app closes it. Reads and other repeatable calls are retried when a connection
    fails; a write is not, because it may have happened.

    Args:
        settings: where the sidecar is; None reads the environment at the first call.
        transport: carries the requests, instead of HTTP connections to that sidecar.
    """

    def __init__(
        self, settings: Settings | None = None, *, transport: Transport | None = None
    ) -> None:
        self._caller = Caller(settings, transport)

    async def open(self) -> None:
        """Wait for the sidecar now; a closed client can be opened again.

        Raises:
            SidecarUnavailable: it was not ready within the settings' health timeout.
        """
        await self._caller.open()

    async def prepare(self) -> None:
        """Load what the first call needs, so that it need not; no connection is opened."""
        await self._caller.prepare()

    async def close(self) -> None:
        """Give back every connection; later calls are refused."""
        await self._caller.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        caller = getattr(self, "_caller", None)
        if caller is not None and caller.opened:
            warnings.warn(
                "a daprflow Client was dropped while it was open; use 'async with' or 'close()'",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    @overload
    async def publish(
        self,
        topic: Topic[T],
        data: T,
        /,
        *,
        metadata: Mapping[str, str] = ...,
        content_type: str | None = ...,
    ) -> None: ...

    @overload
    async def publish(
        self,
        pubsub: str,
        topic: str,
        data: object,
        /,
        *,
        metadata: Mapping[str, str] = ...,
        content_type: str | None = ...,
    ) -> None: ...

    async def publish(
        self,
        *event: Any,
        metadata: Mapping[str, str] = operations.NO_METADATA,
        content_type: str | None = None,
    ) -> None:
        """Publish an event: ``publish(topic, data)`` or ``publish(pubsub, topic, data)``.

        The sidecar wraps it in a CloudEvent. Bytes go as ``application/octet-stream``, text as
        ``text/plain``, everything else as JSON. Once this returns, the broker has accepted it.

        Args:
            event: a `Topic` handle, or the names of a pub/sub component and a topic; then the data.
            metadata: request metadata, such as ``ttlInSeconds`` or ``rawPayload``.
            content_type: what the data is, where that differs, such as
                ``application/cloudevents+json`` for text or bytes that hold an envelope.

        Raises:
            NotFound: there is no such pub/sub component.
            SidecarError: the sidecar or the broker refused.
        """
        pubsub, topic, data = _address(event)
        sent = payload.encode(data, content_type)
        request = operations.publish(pubsub, topic, sent.body, sent.content_type, metadata)
        await self._caller.call(request)

    @overload
    async def invoke(self, endpoint: Endpoint[None, Out], data: None = None, /) -> Out: ...

    @overload
    async def invoke(self, endpoint: Endpoint[In, Out], data: In, /) -> Out: ...

    async def invoke(self, endpoint: Endpoint[Any, Out], data: Any = None, /) -> Out:
        """Call a method of another app, or of this one, with ``POST``.

        Raises:
            InvocationError: the app answered with an error status, or with something that is not
                what the endpoint returns; with a ``code`` where the sidecar could not reach it.
            SidecarUnavailable: no sidecar answered.
        """
        return await invocation.invoke(self._caller, endpoint, data)

    def state(self, store: str, /) -> Store:
        """Return the state store of that component's name."""
        return Store(self._caller, store)

    async def secret(self, store: str, key: str, /) -> str:
        """Return one secret of a secret store.

        Raises:
            SecretNotFound: the store has no such secret. (``secretstores.local.env`` gives an
                empty text instead, as the runtime does.)
            NotFound: there is no such secret store.
            SidecarError: the sidecar refused.
        """
        return await secrets.read(self._caller, store, key)

    async def bind(
        self,
        name: str,
        operation: str,
        data: object = None,
        /,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """Call an output binding and return what it answered, empty where that is nothing.

        ``data`` goes as JSON: the binding sees text with its quotes, and bytes as base64 text.

        Raises:
            SidecarError: there is no such binding, or it failed.
        """
        return await bindings.call(self._caller, name, operation, data, metadata)


def _address(event: tuple[Any, ...]) -> tuple[str, str, object]:
    """Return pub/sub name, topic name and data of either form of ``publish``."""
    match event:
        case (Topic() as topic, data):
            return topic.pubsub, topic.name, data
        case (str() as pubsub, str() as name, data):
            return pubsub, name, data
    raise TypeError(
        "publish takes a Topic and the data, or the names of a pub/sub component and a topic, "
        "and the data"
    )
