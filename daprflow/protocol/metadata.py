"""The document of ``GET /v1.0/metadata`` as a client reads it, from runtime 1.12 on."""

import msgspec


class LoadedComponent(msgspec.Struct, frozen=True):
    """A component that a sidecar has loaded.

    Attributes:
        capabilities: what it can do, such as ``ETAG`` or ``BULK_PUBSUB``.
    """

    name: str
    type: str
    version: str = ""
    capabilities: tuple[str, ...] = ()


class SubscriptionRule(msgspec.Struct, frozen=True):
    """Where events that match go; an empty ``match`` is always true."""

    match: str = ""
    path: str = ""


class ActiveSubscription(msgspec.Struct, frozen=True, rename="camel"):
    """A subscription that a sidecar serves.

    Attributes:
        type: ``PROGRAMMATIC``, ``DECLARATIVE`` or ``STREAMING``; empty before runtime 1.14.
    """

    pubsubname: str
    topic: str
    rules: tuple[SubscriptionRule, ...] = ()
    dead_letter_topic: str = ""
    metadata: dict[str, str] = {}
    type: str = ""


class ActorCount(msgspec.Struct, frozen=True):
    """How many actors of a type are active in the app."""

    type: str
    count: int = 0


class HttpEndpointName(msgspec.Struct, frozen=True):
    """An HTTPEndpoint resource that a sidecar has loaded."""

    name: str


class AppConnection(msgspec.Struct, frozen=True, rename="camel"):
    """How a sidecar reaches its app; the zero port means that it has none."""

    port: int = 0
    protocol: str = ""
    channel_address: str = ""
    max_concurrency: int = 0


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """What a sidecar has, and whom it serves.

    Attributes:
        id: the app's id.
        runtime_version: such as ``1.18.3``.
        enabled_features: of the runtime.
        components: what it has loaded, with what each can do.
        subscriptions: of the app, and who declared each.
        http_endpoints: HTTPEndpoint resources that it has loaded.
        actors: how many of each type are active in the app.
        app_connection_properties: how it reaches the app.
        extended: what anybody has set with ``set_metadata``, and ``daprRuntimeVersion``.

    Example:
        ```python
        found = await client.metadata()
        print(found.id, found.runtime_version, [each.name for each in found.components])
        ```
    """

    id: str = ""
    runtime_version: str = ""
    enabled_features: tuple[str, ...] = ()
    components: tuple[LoadedComponent, ...] = ()
    subscriptions: tuple[ActiveSubscription, ...] = ()
    http_endpoints: tuple[HttpEndpointName, ...] = ()
    actors: tuple[ActorCount, ...] = ()
    app_connection_properties: AppConnection = AppConnection()
    extended: dict[str, str] = {}

    @property
    def version(self) -> str:
        """The runtime's version, from wherever this release puts it."""
        return self.runtime_version or self.extended.get("daprRuntimeVersion", "")
