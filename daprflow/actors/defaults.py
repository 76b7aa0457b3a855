"""How the runtime treats the actors of an app."""

from datetime import timedelta

import msgspec


class ActorDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """How the runtime treats all actors of an app; a class's own options go before.

    Attributes:
        idle: how long after its last call an actor stays in memory; an hour where it is None.
        drain: how long a turn may go on when its actor has to move to another host; two seconds
            where it is None.
        drain_rebalanced: False gives turns no time at all then.
        reentrant: whether a call may come back to an actor in whose turn it began.
        max_depth: how many calls may be in one turn then; 32 where it is None.
        reminder_partitions: for runtimes before 1.15, which kept reminders in the state store.

    Example:
        ```python
        shop = DaprFlow("shop", actors=ActorDefaults(idle=timedelta(minutes=5), reentrant=True))
        ```
    """

    idle: timedelta | None = None
    drain: timedelta | None = None
    drain_rebalanced: bool | None = None
    reentrant: bool | None = None
    max_depth: int | None = None
    reminder_partitions: int | None = None


NO_DEFAULTS = ActorDefaults()
