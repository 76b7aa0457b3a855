"""Interceptors: nested once around a handler, and what they answer made plain to a sidecar."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from daprflow.addresses import type_name
from daprflow.errors import Drop, Retry
from daprflow.handlers.handler import Delivery, Interceptor, Next, Outcome
from daprflow.handlers.registration import Source, name_of, source_of
from daprflow.handlers.signature import interceptor_problem
from daprflow.handlers.verdicts import FAULTS, failed, refusal
from daprflow.protocol.deliveries import Status

logger = logging.getLogger(__name__)

Settle = Callable[[Delivery, Outcome], Outcome]
"""Gives the outcome of an interceptor the status and body that say its verdict."""


def problems_of(interceptors: Sequence[Interceptor], source: Source) -> list[str]:
    """Return which interceptors cannot be called; ``source`` is where the app was made."""
    return [
        f"interceptor '{name_of(each)}' ({source_of(each, source)}) {problem}"
        for each in interceptors
        if (problem := interceptor_problem(each))
    ]


def intercepted(
    run: Next, interceptors: Sequence[Interceptor], settle: Settle | None, title: str
) -> Next:
    """Nest the interceptors around a handler; the first one is the outermost.

    ``settle`` is None where `Retry` and `Drop` mean nothing, as for invocations.
    """
    if not interceptors:
        return run
    for interceptor in reversed(interceptors):
        run = _around(interceptor, run)
    outermost = run

    async def guarded(delivery: Delivery) -> Outcome:
        try:
            outcome = await outermost(delivery)
        except FAULTS as error:
            if settle is None or not isinstance(error, Retry | Drop):
                return failed(f"an interceptor of {title}", delivery, error)
            status = Status.RETRY if isinstance(error, Retry) else Status.DROP
            outcome = Outcome(status, error=error)
        if type(outcome) is not Outcome:
            return _no_outcome(interceptors, title, outcome)
        return outcome if settle is None else settle(delivery, outcome)

    return guarded


def _around(interceptor: Interceptor, inner: Next) -> Next:
    def call(delivery: Delivery) -> Any:
        return interceptor(delivery, inner)

    return call


def _no_outcome(interceptors: Sequence[Interceptor], title: str, found: object) -> Outcome:
    """Report an interceptor that swallowed the outcome, most often by a missing 'return'."""
    names = ", ".join(f"'{name_of(each)}'" for each in interceptors)
    reason = f"returned '{type_name(type(found))}' instead of an Outcome"
    logger.error(
        "interceptor %s of %s %s; write 'return await call(delivery)'", names, title, reason
    )
    return refusal(500, f"an interceptor {reason}")
