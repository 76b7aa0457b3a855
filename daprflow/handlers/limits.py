"""Limits of handlers: so many deliveries at once, a queue behind them, and backpressure beyond."""

from datetime import timedelta
from typing import Any

import msgspec

from daprflow.handlers.calling import Call
from daprflow.handlers.handler import Delivery
from daprflow.handlers.pool import PoolFull
from daprflow.handlers.registration import Kind, Registration
from daprflow.slots import NoSlot, Slots

PER_SLOT = 4
"""How many deliveries wait for each that may run, where nobody says; as for threads."""
_LONGEST = timedelta(seconds=60)
WAIT = timedelta(seconds=5)
_LIMITED = (Kind.TOPIC, Kind.BINDING, Kind.CRON, Kind.INVOKE, Kind.JOB, Kind.ACTIVITY)


class Concurrency(msgspec.Struct, frozen=True):
    """How many deliveries a handler works on at once, and what becomes of more.

    Those wait, first come first served; who finds no room, or waits too long, is put off: an event
    is answered RETRY, a binding, a job and an invocation 503 with ``Retry-After``. Activities wait
    without an end, since it is their engine that hands them out.

    Attributes:
        most: how many run at once, in each process of the app.
        waiting: how many more may wait; None is four times ``most``.
        wait: how long they wait, at most a minute: the sidecar waits, too, and its own patience
            ends, by its resiliency policies or after 60 seconds.

    Example:
        ```python
        @app.topic(orders, max_concurrency=Concurrency(8, waiting=100))
        async def on_order(order: Order) -> None: ...
        ```
    """

    most: int
    waiting: int | None = None
    wait: timedelta = WAIT


class HandlerLoad(msgspec.Struct, frozen=True):
    """The deliveries of a handler that has a limit.

    Attributes:
        kind: of the handler, such as ``topic``.
        name: the function's.
        in_flight: how many it works on.
        waiting: how many wait for one of those to end.
        most: how many it works on at once.
        refused: how many were put off.
        waits: how many waited, and were worked on.
        waited: how long those did together, in seconds.

    Example:
        ```python
        for load in app.handler_loads:
            print(load.name, load.in_flight, "of", load.most)
        ```
    """

    kind: str
    name: str
    in_flight: int
    waiting: int
    most: int
    refused: int
    waits: int
    waited: float


class Limit(Slots):
    """The slots of one handler."""

    __slots__ = ("kind", "name", "seconds")

    def __init__(self, registration: Registration, limit: Concurrency) -> None:
        endless = registration.kind is Kind.ACTIVITY
        room = PER_SLOT * limit.most if limit.waiting is None else limit.waiting
        super().__init__(limit.most, None if endless else room)
        self.kind: str = str(registration.kind)
        self.name: str = registration.name
        self.seconds: float | None = None if endless else limit.wait.total_seconds()

    @property
    def load(self) -> HandlerLoad:
        """How it stands now."""
        return HandlerLoad(
            self.kind,
            self.name,
            self.busy,
            len(self.queue),
            self.most,
            self.refused,
            self.waits,
            self.waited,
        )


class Busy(PoolFull):
    """A handler works on as many deliveries as it may."""


def limited(call: Call, registration: Registration, found: list[Limit]) -> Call:
    """Return ``call`` within its handler's limit, which is added to ``found``; without one, it."""
    limit = limit_of(registration)
    if limit is None:
        return call
    found.append(limit)

    async def run(delivery: Delivery, /, *payload: Any) -> Any:
        if limit.busy < limit.most and not limit.queue:
            limit.busy += 1
        else:
            try:
                await limit.wait(limit.seconds)
            except NoSlot:
                raise Busy(f"{limit.most} deliveries of it are worked on already") from None
        try:
            return await call(delivery, *payload)
        finally:
            limit.leave()

    return run


def limit_of(registration: Registration) -> Limit | None:
    """Return a handler's limit; None where it has none."""
    given = registration.own.limit
    if given is None or problem(registration):
        return None
    return Limit(registration, Concurrency(given) if isinstance(given, int) else given)


def problem(registration: Registration) -> str:
    """Return what is wrong with a handler's limit; empty where nothing is."""
    given = registration.own.limit
    if given is None:
        return ""
    if registration.kind not in _LIMITED:
        return f"sets 'max_concurrency', which {registration.kind} handlers do not have"
    if isinstance(given, bool) or not isinstance(given, int | Concurrency):
        return f"sets max_concurrency={given!r}; it must be a number or a Concurrency"
    return _problem_of(Concurrency(given) if isinstance(given, int) else given)


def _problem_of(limit: Concurrency) -> str:
    if not _is_count(limit.most) or limit.most < 1:
        return f"sets max_concurrency={limit.most!r}; it must be at least 1"
    if limit.waiting is not None and (not _is_count(limit.waiting) or limit.waiting < 0):
        return f"sets Concurrency(waiting={limit.waiting!r}); it takes 0 or more"
    if not isinstance(limit.wait, timedelta) or not timedelta() < limit.wait <= _LONGEST:
        return f"sets Concurrency(wait={limit.wait!r}); it takes a timedelta of up to a minute"
    return ""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
