"""The secrets building block: stores by name, and Dapr's errors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from daprflow.protocol import faults
from daprflow.sidecar.components.base import ComponentError, SecretStore

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime


class SecretsBlock:
    """The secret stores that one app sees."""

    def __init__(self, runtime: "Runtime") -> None:
        stores = runtime.loaded("secretstores")
        self._stores = {name: cast("SecretStore", store) for name, store in stores.items()}
        scopes = runtime.resources.configuration.secret_scopes
        self._scopes = {scope.store: scope for scope in scopes}
        self._timed = runtime.telemetry.timed("secret", self._stores.__contains__)

    async def get(self, store: str, key: str, metadata: Mapping[str, str]) -> dict[str, str]:
        """Return the pairs of one secret."""
        with self._timed(store, "get"):
            found = self._store(store)
            if not self._permits(store, key):
                raise faults.secret_denied(store, key)
            try:
                return await found.get(key, metadata)
            except ComponentError as error:
                raise faults.secret_get(store, key, str(error)) from error

    async def bulk(self, store: str, metadata: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return every secret of a store."""
        with self._timed(store, "bulk_get"):
            found = self._store(store)
            try:
                secrets = await found.bulk(metadata)
            except ComponentError as error:
                raise faults.secret_bulk(store, str(error)) from error
            return {name: pairs for name, pairs in secrets.items() if self._permits(store, name)}

    def _permits(self, store: str, name: str) -> bool:
        scope = self._scopes.get(store)
        return scope is None or scope.permits(name)

    def _store(self, name: str) -> SecretStore:
        store = self._stores.get(name)
        if store is None:
            if not self._stores:
                raise faults.secret_stores_not_configured()
            raise faults.secret_store_not_found(name)
        return store
