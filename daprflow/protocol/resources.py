"""Dapr's resource files as values: what a Component document says."""

import msgspec

GENERATED = "made by daprflow"
"""The source of a component that a run has because it names no resources."""
TEST_KIT = "the test kit"
"""The source of a component that a test has without asking."""


class SecretKeyRef(msgspec.Struct, frozen=True):
    """Where a value comes from: a secret and, in it, a key (the secret's name when not given)."""

    name: str
    key: str = ""


class MetadataItem(msgspec.Struct, frozen=True):
    """One metadata entry of a component; exactly one of the three sources is used.

    Attributes:
        value: the value as a string; numbers, booleans and structures as JSON text.
        env_ref: the name of an environment variable of the sidecar.
    """

    name: str
    value: str | None = None
    secret_key_ref: SecretKeyRef | None = None
    env_ref: str = ""


class ComponentResource(msgspec.Struct, frozen=True):
    """One Component document.

    Attributes:
        scopes: the app ids it is for; empty means every app.
        init_timeout: seconds.
        secret_store: the secret store that its references are looked up in (``auth``).
        source: ``file:line`` of the document, or what else it was made by.
    """

    name: str
    type: str
    version: str = "v1"
    metadata: tuple[MetadataItem, ...] = ()
    scopes: tuple[str, ...] = ()
    ignore_errors: bool = False
    init_timeout: float = 5.0
    secret_store: str = ""
    namespace: str = ""
    source: str = ""

    @property
    def kind(self) -> str:
        """The building block, such as ``state`` or ``pubsub``."""
        return self.type.partition(".")[0]
