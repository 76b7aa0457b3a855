"""Secrets, read one at a time."""

from daprflow.client.caller import Caller
from daprflow.errors import SecretNotFound, SidecarError
from daprflow.protocol import operations


async def read(caller: Caller, store: str, key: str) -> str:
    """Return one secret.

    Where a store keeps several pairs below one name (Kubernetes does), the pair called ``key`` is
    meant, else the only one.

    Raises:
        SecretNotFound: the store has no such secret.
        SidecarError: the sidecar refused, or the secret has several pairs of other names.
    """
    try:
        response = await caller.call(operations.get_secret(store, key))
    except SidecarError as error:
        if error.code == "ERR_SECRET_GET" and "not found" in str(error):
            raise SecretNotFound(
                f"secret '{key}' is not in secret store '{store}'",
                code=error.code,
                status=error.status,
                details=error.details,
            ) from error
        raise
    pairs = caller.decode(response.body or b"{}", dict[str, str], f"the answer for secret '{key}'")
    if key in pairs:
        return pairs[key]
    if len(pairs) == 1:
        return next(iter(pairs.values()))
    if not pairs:
        raise SecretNotFound(f"secret '{key}' in secret store '{store}' is empty")
    raise SidecarError(
        f"secret '{key}' in secret store '{store}' has several pairs and none of that name: "
        + ", ".join(sorted(f"'{name}'" for name in pairs)),
        status=response.status,
    )
