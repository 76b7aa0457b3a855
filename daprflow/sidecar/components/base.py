"""What a component is to the engine: one protocol for each building block."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from daprflow.protocol.locks import Unlocked
from daprflow.protocol.queries import Query
from daprflow.sidecar.clock import Clock

if TYPE_CHECKING:
    from daprflow.sidecar.engine_file import EngineDatabase


class ComponentError(Exception):
    """A component refused an operation; the text goes into Dapr's error message as it is."""


class EtagConflict(ComponentError):  # noqa: N818 - named for what happened
    """A write carried an ETag that is not the stored one, or first-write found a value."""


class EtagInvalid(ComponentError):  # noqa: N818 - named for what happened
    """An ETag has a form that this store never makes."""


@dataclass(frozen=True, slots=True)
class ComponentContext:
    """What a component is made from.

    Attributes:
        metadata: names in lower case, values as strings, secrets and placeholders resolved.
        data_dir: the engine's data folder; None when everything is kept in memory.
        base_dir: the folder that relative paths are resolved against (the working folder).
        siblings: where a component finds others that it stands on; None outside an engine.
        stands_in: whether it takes the place of ``type``; then its data are in one place for each
            name, whatever the metadata are.
        replica: which of the app's sidecars it is for.
    """

    name: str
    type: str
    version: str
    metadata: Mapping[str, str]
    app_id: str
    clock: Clock
    data_dir: Path | None
    base_dir: Path
    source: str = ""
    siblings: "Siblings | None" = None
    stands_in: bool = False
    replica: int = 1


class Siblings(Protocol):
    """Whoever keeps components that others stand on.

    Attributes:
        database: the file that they share; None where everything is in memory.
    """

    database: "EngineDatabase | None"

    async def borrow(self, type_name: str, name: str, /) -> "Component":
        """Return an open component, made without metadata if there is none yet."""
        ...

    async def release(self, component: "Component", /) -> None:
        """Take a component back; the last user's call closes it."""
        ...


class Component(Protocol):
    """A started component; the engine calls ``open`` once and ``close`` once."""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The features shown by ``GET /v1.0/metadata``, in the real one's words and order."""
        ...

    async def open(self) -> None:
        """Connect, read files, start tasks; a `ComponentError` stops the sidecar's start."""
        ...

    async def close(self) -> None:
        """Release everything."""
        ...


@runtime_checkable
class OnePerName(Protocol):
    """A component whose data are in one place for each name: all who name it share one instance."""

    def configure(self, metadata: Mapping[str, str], /) -> None:
        """Go on with other metadata; `ComponentError` where they make no sense."""
        ...


# ---- state --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value as a store holds it; ``expires`` in seconds since the epoch."""

    data: bytes
    etag: str
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class StateWrite:
    """One write: ``data`` None deletes.

    Attributes:
        last_write: whether the caller asked for that in so many words; a store may take the ETag
            for naught then, as some real ones do.
        ttl: in seconds; None where none was given. 0 and below mean that there is none.
    """

    key: str
    data: bytes | None
    etag: str | None = None
    first_write: bool = False
    ttl: int | None = None
    last_write: bool = False


class StateStore(Component, Protocol):
    """A key-value store; keys arrive with their prefix.

    Attributes:
        missing_last: whether a bulk get lists the missing keys after the others.
    """

    missing_last: bool

    def parse_ttl(self, text: str, /) -> int | None:
        """Read ``ttlInSeconds``: None means never; `ComponentError` in this store's words."""
        ...

    async def get(self, key: str, /) -> StoredValue | None:
        """Return the stored value, None when absent or expired."""
        ...

    async def get_many(
        self, keys: Sequence[str], /
    ) -> "Sequence[StoredValue | ComponentError | None]":
        """Return the stored values in the order of ``keys``; an error for one that is unreadable.

        Raises:
            ComponentError: none could be read.
        """
        ...

    async def write(self, write: StateWrite, /) -> None:
        """Do one write; raises `EtagConflict`, `EtagInvalid` or `ComponentError`."""
        ...

    async def transact(self, writes: Sequence[StateWrite], /) -> None:
        """Do all writes in order or none."""
        ...


@dataclass(frozen=True, slots=True)
class FoundState:
    """What a query found, in order; keys stand with their prefix.

    Attributes:
        token: asks for what follows; empty where no limit was given.
    """

    items: tuple[tuple[str, StoredValue], ...]
    token: str = ""


@runtime_checkable
class ListingStore(Protocol):
    """What a `StateStore` that can tell its keys has besides; it advertises ``KEYS_LIKE``."""

    async def keys(self, prefix: str, suffix: str, /) -> Sequence[str]:
        """Return the keys that begin and end so, in no certain order."""
        ...


@runtime_checkable
class QueryingStore(Protocol):
    """What a `StateStore` that can be searched has besides; it advertises ``QUERY_API``."""

    async def query(self, query: Query, metadata: Mapping[str, str], /) -> FoundState:
        """Search the values of all apps; `ComponentError` when the query cannot be done."""
        ...


# ---- pub/sub ------------------------------------------------------------------------------------


class Message(msgspec.Struct, frozen=True):
    """One message on a broker.

    Attributes:
        metadata: the publisher's request metadata, names as given; becomes request headers. None
            where a bulk publish gave none (the wire tells the two apart).
        attempt: 1 at the first delivery.
        sequence: rises from message to message of a topic; 0 where a broker does not count.
    """

    topic: str
    data: bytes
    metadata: Mapping[str, str] | None = None
    content_type: str = ""
    attempt: int = 1
    sequence: int = 0


class Nack(Exception):  # noqa: N818 - control flow between subscription and component
    """The subscription could not get rid of a message; the component decides what that means."""


class Undelivered(Nack):
    """The message did not get as far as the app, or deliveries were being stopped.

    A broker that delivers again does not count this as an attempt.
    """


Receive = Callable[[Message], Awaitable[None]]
"""Takes one message: returning means done (ack), `Nack` means not done.

Called at once when a message is taken up, so that it counts as work; the awaitable does the rest.
"""


class PubSub(Component, Protocol):
    """A message broker.

    Attributes:
        dead_letter_after: how many failed attempts (counted by the component through
            ``Message.attempt``) before a subscription with a dead letter topic uses it;
            1 for brokers without redelivery, as the real runtime does without a retry policy.
        serial: whether a subscription gets its messages one by one, so that a batch can never
            have more than one.
        keeps_ttl: whether the broker itself forgets messages whose ``ttlInSeconds`` is over.
    """

    dead_letter_after: int
    serial: bool
    keeps_ttl: bool

    async def publish(self, message: Message, /) -> None:
        """Accept a message; once this returns it is kept as well as this broker keeps anything."""
        ...

    async def subscribe(
        self,
        topic: str,
        consumer: str,
        metadata: Mapping[str, str],
        receive: Receive,
        /,
        *,
        concurrency: int = 32,
        held_up: Callable[[], None] | None = None,
        member: int = 1,
    ) -> Callable[[], Awaitable[None]]:
        """Start delivering ``topic`` to the group ``consumer``.

        Args:
            topic: as the app named it.
            consumer: messages go to one subscriber of each group.
            metadata: of the subscription.
            receive: called with each message.
            concurrency: how many calls of ``receive`` may run at one time; a broker that delivers
                one by one does not use it.
            held_up: called when nothing further can come before something that was handed over
                is settled, so that nobody waits for more; a broker without such messages does
                not use it.
            member: which replica of the app subscribes. A broker that hands a message to every
                subscription hands it to those of one replica; one that cannot be delivered to a
                replica (`Undelivered`) goes to another.

        Returns:
            a function that stops it and lets what is in flight end.
        """
        ...

    def subscribed(self, consumer: str, topics: Collection[str], /) -> None:
        """Note that ``topics`` are all that ``consumer`` subscribes to now."""
        ...


# ---- secrets, bindings --------------------------------------------------------------------------


class SecretStore(Component, Protocol):
    """A store of secrets."""

    async def get(self, name: str, metadata: Mapping[str, str], /) -> dict[str, str]:
        """Return the pairs of one secret; `ComponentError` when it is missing."""
        ...

    async def bulk(self, metadata: Mapping[str, str], /) -> dict[str, dict[str, str]]:
        """Return every secret."""
        ...


@dataclass(frozen=True, slots=True)
class BindingAnswer:
    """What an output binding gave back; ``data`` None means nothing (HTTP 204).

    ``error`` is set when data and metadata came with a failure (``bindings.http``).
    """

    data: bytes | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    error: str = ""


class OutputBinding(Component, Protocol):
    """A component an app can call."""

    @property
    def operations(self) -> tuple[str, ...]:
        """What it can do, in the real one's order."""
        ...

    async def invoke(
        self, operation: str, data: bytes, metadata: Mapping[str, str], /
    ) -> BindingAnswer:
        """Do one operation."""
        ...


@dataclass(frozen=True, slots=True)
class BindingMessage:
    """What an input binding delivers to the app."""

    data: bytes
    metadata: Mapping[str, str]


class InputBinding(Component, Protocol):
    """A component that calls an app."""

    async def start(self, receive: Callable[[BindingMessage], Awaitable[None]], /) -> None:
        """Begin to deliver; restarting begins its schedule anew."""
        ...

    async def stop(self) -> None:
        """Stop delivering; wait for what is in flight."""
        ...


# ---- configuration, locks -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigurationValue:
    """One item of a configuration store; ``version`` is empty where the store has none."""

    value: str
    version: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


ConfigurationChanged = Callable[[Mapping[str, ConfigurationValue]], Awaitable[None]]
"""Takes the items that changed, by key; one that was removed has an empty value.

Called at once when a change is seen, so that it counts as work; the awaitable ends when the app was
told. Calls of one subscription are told in their order, awaited or not.
"""


class ConfigurationStore(Component, Protocol):
    """A store of configuration items."""

    async def get(
        self, keys: Sequence[str], metadata: Mapping[str, str], /
    ) -> dict[str, ConfigurationValue]:
        """Return the items that exist of ``keys``; no keys asks for every item.

        An item whose value is empty counts as one that does not exist.
        """
        ...

    async def subscribe(
        self, keys: Sequence[str], metadata: Mapping[str, str], changed: ConfigurationChanged, /
    ) -> Callable[[], Awaitable[None]]:
        """Call ``changed`` with every later change of ``keys``, of all items without any.

        Returns:
            a function that ends it; nothing is told after it has returned.
        """
        ...


class EditableConfiguration(ConfigurationStore, Protocol):
    """A store that the sidecar itself keeps, and that ``daprflow config`` can therefore change."""

    async def put(self, key: str, value: str, version: str, /) -> None:
        """Set one item and tell its subscribers."""
        ...

    async def remove(self, key: str, /) -> bool:
        """Remove one item and tell its subscribers; False when it was not there."""
        ...


class LockStore(Component, Protocol):
    """Locks that expire; resources arrive with their prefix."""

    async def try_lock(self, resource: str, owner: str, seconds: int, /) -> bool:
        """Take the lock for ``owner`` unless somebody has it, the owner included."""
        ...

    async def unlock(self, resource: str, owner: str, /) -> Unlocked:
        """Give the lock back if ``owner`` has it."""
        ...


# ---- conversation -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolAsked:
    """A call of a tool that a model asks for."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back."""

    id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A function that a model may ask for; ``parameters`` is its JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is told, in order, and the tools it may ask for."""

    parts: tuple[str | ToolAsked | ToolResult, ...]
    tools: tuple[OfferedTool, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answers."""

    text: str
    tool_calls: tuple[ToolAsked, ...] = ()
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Conversation(Component, Protocol):
    """A language model."""

    async def converse(self, prompt: Prompt, /) -> Reply:
        """Answer one prompt."""
        ...


# ---- cryptography -------------------------------------------------------------------------------


class Crypto(Component, Protocol):
    """Keys that wrap other keys."""

    async def wrap(self, secret: bytes, algorithm: str, key_name: str, /) -> bytes:
        """Wrap ``secret`` with a key."""
        ...

    async def unwrap(self, wrapped: bytes, algorithm: str, key_name: str, /) -> bytes:
        """Take a key out of its wrapping."""
        ...
