"""The client: typed access to the building blocks of one sidecar."""

from collections.abc import Mapping

from daprflow.client import bindings, secrets
from daprflow.client.configuring import Configuring
from daprflow.client.conversing import Conversing
from daprflow.client.encrypting import Encrypting
from daprflow.client.invoking import Invoking
from daprflow.client.locking import Locking
from daprflow.client.publishing import Publishing
from daprflow.client.requesting import Requesting
from daprflow.client.scheduling import Scheduling
from daprflow.client.state import Store


class Client(
    Publishing, Configuring, Conversing, Encrypting, Invoking, Locking, Scheduling, Requesting
):
    """A sidecar's building blocks, typed.

    It does nothing until its first call, which waits for the sidecar (``DAPR_HEALTH_TIMEOUT``).
    Use it as ``async with Client() as client:``, or close it with ``close()``; in handlers it is
    injected and the app closes it. Reads and other repeatable calls are retried when a connection
    fails; a write is not, because it may have happened.

    Args:
        settings: where the sidecar is; None reads the environment at the first call.
        transport: carries the requests, instead of HTTP connections to that sidecar.
    """

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
