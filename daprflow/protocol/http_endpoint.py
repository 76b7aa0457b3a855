"""An HTTPEndpoint document: a host outside Dapr that apps invoke by a name."""

import msgspec

from daprflow.protocol.resources import MetadataItem


class ClientTls(msgspec.Struct, frozen=True):
    """What a client shows and trusts, each as PEM text; None where the document has nothing."""

    root_ca: MetadataItem | None = None
    certificate: MetadataItem | None = None
    private_key: MetadataItem | None = None


class HttpEndpointResource(msgspec.Struct, frozen=True):
    """One HTTPEndpoint document.

    Attributes:
        base_url: calls go to it, a slash and the method.
        headers: set on every call, over the caller's.
        scopes: the app ids it is for; empty means every app.
        secret_store: the secret store that its references are looked up in (``auth``).
        source: ``file:line`` of the document.
    """

    name: str
    base_url: str
    headers: tuple[MetadataItem, ...] = ()
    client_tls: ClientTls | None = None
    scopes: tuple[str, ...] = ()
    secret_store: str = ""
    namespace: str = ""
    source: str = ""
