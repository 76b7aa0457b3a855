"""Values of metadata that are not there yet: from a secret store, or from the environment."""

from typing import Any

import msgspec


class SecretRef(msgspec.Struct, frozen=True):
    """A secret of a secret store, which the sidecar looks up (``secretKeyRef``).

    Attributes:
        store: the name of the secret store's component; ``kubernetes`` is the cluster's own.
        name: of the secret.
        key: in it; the secret's name where it is empty.

    Example:
        ```python
        app.component(PostgresBinding("db", connection_string=SecretRef("vault", "dsn")))
        ```
    """

    store: str
    name: str
    key: str = ""


class EnvRef(msgspec.Struct, frozen=True):
    """An environment variable of the sidecar (``envRef``).

    Attributes:
        variable: its name.

    Example:
        ```python
        app.component(RedisState("statestore", redis_host=EnvRef("REDIS_HOST")))
        ```
    """

    variable: str


class Plain(msgspec.Struct, frozen=True):
    """A secret that stands in the code all the same, for a server on the own machine.

    It reaches resource files and manifests as it is.

    Attributes:
        value: the secret itself.

    Example:
        ```python
        app.component(
            RedisState("statestore", redis_host="localhost:6379", redis_password=Plain("dev")),
            env="dev",
        )
        ```
    """

    value: str

    def __repr__(self) -> str:
        """Say what it is, not what it holds."""
        return "Plain(…)"

    def __rich_repr__(self) -> Any:
        """Say nothing to pretty printers either."""
        return iter(())


Secret = SecretRef | EnvRef | Plain
"""What a field takes that holds a secret; a plain text is refused."""
Text = str | SecretRef | EnvRef
"""What a field takes that holds a text."""
Number = int | EnvRef
"""What a field takes that holds a number which differs from place to place."""
Value = str | int | float | bool | SecretRef | EnvRef | Plain
"""What the metadata of a component of any type takes."""


def secret(store: str, name: str, key: str = "", /) -> SecretRef:
    """Refer to a secret: ``secret("vault", "redis-password")``.

    Args:
        store: the name of the secret store's component; ``kubernetes`` is the cluster's own.
        name: of the secret.
        key: in it; the secret's name where it is left out.

    Returns:
        what a component takes in the place of a value.

    Example:
        ```python
        app.component(PostgresBinding("db", connection_string=secret("vault", "dsn")))
        ```
    """
    return SecretRef(store, name, key)


def env_ref(variable: str, /) -> EnvRef:
    """Refer to an environment variable of the sidecar.

    Args:
        variable: its name.

    Returns:
        what a component takes in the place of a value.

    Example:
        ```python
        app.component(RedisState("statestore", redis_host=env_ref("REDIS_HOST")))
        ```
    """
    return EnvRef(variable)
