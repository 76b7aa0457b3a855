"""Secrets, one or all of a store, which show their values to nobody who did not ask."""

from collections.abc import Iterator, Mapping
from typing import NoReturn

from daprflow.client.caller import Caller
from daprflow.errors import SecretNotFound, SidecarError
from daprflow.protocol import operations


class Secrets(Mapping[str, str]):
    """The secrets of a store, by name; its ``repr`` has the names alone.

    Where a store keeps several pairs below one name (Kubernetes does), that name gives the pair
    called as the secret is, else the only one; ``pairs`` has them all.

    Example:
        ```python
        secrets = await client.secrets("vault")
        print(sorted(secrets))  # names; a value shows on request alone
        ```
    """

    __slots__ = ("_found", "_store")

    def __init__(self, store: str, found: Mapping[str, Mapping[str, str]], /) -> None:
        self._store = store
        self._found = found

    def __getitem__(self, name: str) -> str:
        return _value(self._store, name, self._found[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"Secrets({self._store!r}: {', '.join(sorted(self._found)) or 'none'})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not written anywhere; take out the values that are needed")

    def pairs(self, name: str, /) -> Mapping[str, str]:
        """Return every pair below ``name``, as the store has them.

        Raises:
            KeyError: there is no such secret.

        Example:
            ```python
            secrets = await client.secrets("kubernetes")
            user = secrets.pairs("database")["user"]
            ```
        """
        return dict(self._found[name])


async def read(caller: Caller, store: str, key: str, metadata: Mapping[str, str]) -> str:
    """Return one secret.

    Where a store keeps several pairs below one name (Kubernetes does), the pair called ``key`` is
    meant, else the only one.

    Raises:
        SecretNotFound: the store has no such secret.
        SidecarError: the sidecar refused, or the secret has several pairs of other names.
    """
    try:
        response = await caller.call(operations.get_secret(store, key, metadata))
    except SidecarError as error:
        if error.code == "ERR_SECRET_GET" and "not found" in str(error):
            raise SecretNotFound(
                f"secret '{key}' is not in secret store '{store}'",
                code=error.code,
                status=error.status,
                details=error.details,
            ) from error
        raise
    what = f"the answer for secret '{key}'"
    pairs = caller.document(response, dict[str, str], what) if response.body else {}
    return _value(store, key, pairs)


async def read_all(caller: Caller, store: str, metadata: Mapping[str, str]) -> Secrets:
    """Return every secret of a store that this app may read.

    Raises:
        SidecarError: the sidecar refused.
    """
    response = await caller.call(operations.get_secrets(store, metadata))
    what = f"the answer for the secrets of '{store}'"
    found = caller.document(response, dict[str, dict[str, str]], what) if response.body else {}
    return Secrets(store, found)


def _value(store: str, key: str, pairs: Mapping[str, str]) -> str:
    if key in pairs:
        return pairs[key]
    if len(pairs) == 1:
        return next(iter(pairs.values()))
    if not pairs:
        raise SecretNotFound(f"secret '{key}' in secret store '{store}' is empty")
    raise SidecarError(
        f"secret '{key}' in secret store '{store}' has several pairs and none of that name: "
        + ", ".join(sorted(f"'{name}'" for name in pairs))
    )
