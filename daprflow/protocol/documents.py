"""The documents an app serves at start: its subscriptions and its configuration."""

import msgspec


class _Document(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A part of a document; `daprflow.protocol.gojson.decode_go` reads it as Go does."""


class Rule(_Document, frozen=True):
    """Where events that match a CEL expression go; an empty ``match`` is always true."""

    path: str = ""
    match: str = ""


class Routes(_Document, frozen=True):
    """Rules in order, then the default."""

    rules: tuple[Rule, ...] = ()
    default: str = ""


class BulkSubscribe(_Document, frozen=True, rename="camel"):
    """Whether events come in batches; None leaves the runtime's default (100, 1000 ms)."""

    enabled: bool = False
    max_messages_count: int | None = None
    max_await_duration_ms: int | None = None


class Subscription(_Document, frozen=True):
    """One item of ``GET /dapr/subscribe``: ``route`` is the v1 form, ``routes`` the v2 form."""

    pubsubname: str = ""
    topic: str = ""
    route: str = ""
    routes: Routes | None = None
    dead_letter_topic: str = msgspec.field(default="", name="deadLetterTopic")
    metadata: dict[str, str] = {}
    bulk_subscribe: BulkSubscribe | None = msgspec.field(default=None, name="bulkSubscribe")


class Reentrancy(_Document, frozen=True, rename="camel"):
    """Whether an actor may be called again by what it waits for, and how deep (32 when unsaid)."""

    enabled: bool = False
    max_stack_depth: int | None = None


class _ActorConfig(_Document, frozen=True, rename="camel"):
    entities: tuple[str, ...] = ()
    actor_idle_timeout: str = ""
    drain_ongoing_call_timeout: str = ""
    drain_rebalanced_actors: bool | None = None
    reentrancy: Reentrancy | None = None
    reminders_storage_partitions: int | None = None


class EntityConfig(_ActorConfig, frozen=True, rename="camel"):
    """What differs for some actor types.

    The runtime takes idle timeout and reentrancy of such a type from here alone.
    """


class AppConfig(_ActorConfig, frozen=True, rename="camel"):
    """The document of ``GET /dapr/config``; ``entities`` are the hosted actor types.

    Durations are Go's, such as ``10m``; empty ones leave the runtime's.
    """

    entities_config: tuple[EntityConfig, ...] = ()
