"""The documents an app serves at start: its subscriptions and its configuration."""

import msgspec


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where events that match a CEL expression go; an empty ``match`` is always true."""

    path: str
    match: str = ""


class Routes(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rules in order, then the default."""

    rules: tuple[Rule, ...] = ()
    default: str = ""


class BulkSubscribe(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Whether events come in batches; None leaves the runtime's default (100, 1000 ms)."""

    enabled: bool
    max_messages_count: int | None = None
    max_await_duration_ms: int | None = None


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item of ``GET /dapr/subscribe``: ``route`` is the v1 form, ``routes`` the v2 form."""

    pubsubname: str
    topic: str
    route: str = ""
    routes: Routes | None = None
    dead_letter_topic: str = msgspec.field(default="", name="deadLetterTopic")
    metadata: dict[str, str] = {}
    bulk_subscribe: BulkSubscribe | None = msgspec.field(default=None, name="bulkSubscribe")


class Reentrancy(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Whether a call may come back to an actor in whose turn it began, and how deep.

    Attributes:
        max_stack_depth: how many calls may be in one turn; None means the runtime's 32.
    """

    enabled: bool = False
    max_stack_depth: int | None = None


class EntityConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """How the runtime treats actors of some types; what is empty has the runtime's defaults.

    Attributes:
        entities: the types it is for.
        actor_idle_timeout: a Go duration such as ``1h``, from the start of the last turn on.
        drain_ongoing_call_timeout: a Go duration that turns may take when an actor has to move.
        drain_rebalanced_actors: False gives them no time at all.
    """

    entities: tuple[str, ...] = ()
    actor_idle_timeout: str = ""
    drain_ongoing_call_timeout: str = ""
    drain_rebalanced_actors: bool | None = None
    reentrancy: Reentrancy = Reentrancy()


class Reentrancy(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Whether an actor may be called again by what it waits for, and how deep (32 when unsaid)."""

    enabled: bool = False
    max_stack_depth: int | None = None


class _ActorConfig(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    entities: tuple[str, ...] = ()
    actor_idle_timeout: str = ""
    drain_ongoing_call_timeout: str = ""
    drain_rebalanced_actors: bool | None = None
    reentrancy: Reentrancy | None = None
    reminders_storage_partitions: int | None = None


class EntityConfig(_ActorConfig, frozen=True, rename="camel", omit_defaults=True):
    """What differs for some actor types.

    The runtime takes idle timeout and reentrancy of such a type from here alone.
    """


class AppConfig(_ActorConfig, frozen=True, rename="camel", omit_defaults=True):
    """The document of ``GET /dapr/config``; ``entities`` are the hosted actor types.

    Durations are Go's, such as ``10m``; empty ones leave the runtime's.
    """

    entities_config: tuple[EntityConfig, ...] = ()
