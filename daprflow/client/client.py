"""The client: typed access to the building blocks of one sidecar."""

from collections.abc import Mapping
from typing import Any, TypeVar, overload

from daprflow.client import bindings, secrets
from daprflow.client.acting import Acting
from daprflow.client.bindings import BindingAnswer
from daprflow.client.configuring import Configuring
from daprflow.client.conversing import Conversing
from daprflow.client.encrypting import Encrypting
from daprflow.client.invoking import Invoking
from daprflow.client.locking import Locking
from daprflow.client.managing import Managing
from daprflow.client.publishing import Publishing
from daprflow.client.requesting import Requesting
from daprflow.client.scheduling import Scheduling
from daprflow.client.secrets import Secrets
from daprflow.client.state import Store
from daprflow.client.subscribing import Subscribing
from daprflow.client.workflowing import Workflowing
from daprflow.protocol import operations

T = TypeVar("T")


class Client(
    Acting,
    Publishing,
    Configuring,
    Conversing,
    Encrypting,
    Invoking,
    Locking,
    Managing,
    Scheduling,
    Subscribing,
    Workflowing,
    Requesting,
):
    """A sidecar's building blocks, typed.

    It does nothing until its first call, which waits for the sidecar (``DAPR_HEALTH_TIMEOUT``).
    Use it as ``async with Client() as client:``, or close it with ``close()``; in handlers it is
    injected and the app closes it. Reads and other repeatable calls are retried when a connection
    fails; a write is not, because it may have happened.

    Args:
        settings: where the sidecar is; None reads the environment at the first call.
        transport: carries the requests, instead of HTTP connections to that sidecar.
        codecs: types and content types of the user's own.
        interceptors: functions ``async (call, call_next) -> ClientResponse`` around each call, the
            first one outermost (`ClientInterceptor`).

    Example:
        ```python
        async with Client() as client:
            await client.publish(orders, Order("7", total=5))
            item = await client.state("statestore").get("cart:ann", Cart)
        ```
    """

    def state(self, store: str, /) -> Store:
        """Return the state store of that component's name.

        Args:
            store: the component's name.

        Raises:
            ValueError: it is empty.

        Example:
            ```python
            store = client.state("statestore")
            await store.set("cart:ann", Cart(), ttl=timedelta(hours=1))
            ```
        """
        return Store(self._caller, store)

    async def secret(
        self,
        store: str,
        key: str,
        /,
        *,
        metadata: Mapping[str, str] = operations.NO_METADATA,
    ) -> str:
        """Return one secret of a secret store.

        Args:
            store: the component's name.
            key: the secret's name in the store.
            metadata: of the component, such as ``version_id``.

        Raises:
            SecretNotFound: the store has no such secret. (``secretstores.local.env`` gives an
                empty text instead, as the runtime does.)
            NotFound: there is no such secret store.
            SidecarError: the sidecar refused.

        Example:
            ```python
            dsn = await client.secret("vault", "dsn")
            ```
        """
        return await secrets.read(self._caller, store, key, metadata)

    async def secrets(
        self, store: str, /, *, metadata: Mapping[str, str] = operations.NO_METADATA
    ) -> Secrets:
        """Return all secrets of a store that this app may read; their values show on request.

        Args:
            store: the component's name.
            metadata: of the component.

        Raises:
            NotFound: there is no such secret store.
            SidecarError: the sidecar refused, or the store cannot list its secrets.

        Example:
            ```python
            secrets = await client.secrets("vault")
            dsn = secrets["dsn"]
            ```
        """
        return await secrets.read_all(self._caller, store, metadata)

    @overload
    async def bind(
        self,
        name: str,
        operation: str,
        data: object = None,
        /,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes: ...

    @overload
    async def bind(
        self,
        name: str,
        operation: str,
        data: object = None,
        /,
        metadata: Mapping[str, str] | None = None,
        *,
        returns: type[T],
    ) -> BindingAnswer[T]: ...

    async def bind(
        self,
        name: str,
        operation: str,
        data: object = None,
        /,
        metadata: Mapping[str, str] | None = None,
        *,
        returns: type[Any] | None = None,
    ) -> bytes | BindingAnswer[Any]:
        """Call an output binding and return what it answered, empty where that is nothing.

        ``data`` goes as JSON: the binding sees text with its quotes, and bytes as base64 text.

        Args:
            name: the component's.
            operation: such as ``create``; what there is, the component says.
            data: anything with a JSON form.
            metadata: the component's, such as a file name.
            returns: what the answer is decoded to: `bytes` and `str` as it is, anything else from
                JSON. Then a `BindingAnswer` is returned, which has the answer's metadata, too.

        Raises:
            SidecarError: there is no such binding or operation, it failed, or it answered something
                else than ``returns``.

        Example:
            ```python
            await client.bind("mail", "create", {"to": "ann"}, metadata={"subject": "Thanks"})
            ```
        """
        response = await bindings.call(self._caller, name, operation, data, metadata)
        if returns is None:
            return response.body
        return bindings.answer(self._caller, name, response, returns)
