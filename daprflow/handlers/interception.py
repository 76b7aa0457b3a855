"""Interceptors: nested once around a handler, and what they answer made plain to a sidecar."""

import logging
from collections.abc import Sequence
from typing import Any

from daprflow.addresses import type_name
from daprflow.handlers.faults import Faults
from daprflow.handlers.handler import Delivery, Interceptor, Next, Outcome
from daprflow.handlers.signature import code_of
from daprflow.handlers.surroundings import Placed
from daprflow.handlers.verdicts import FAULTS, refusal

logger = logging.getLogger(__name__)


def intercepted(run: Next, interceptors: Sequence[Placed], faults: Faults) -> Next:
    """Nest the interceptors around a handler; the first one is the outermost.

    What one raises is a failure of the handler, by the same verdicts; the log names it.
    """
    if not interceptors:
        return run
    for each in reversed(interceptors):
        run = _around(each.call, run)
    outermost, settle = run, faults.settle

    async def guarded(delivery: Delivery) -> Outcome:
        try:
            outcome = await outermost(delivery)
        except FAULTS as error:
            title = f"{_culprit(interceptors, error)} of {faults.title}"
            outcome = await faults.outcome(delivery, error, title)
        if type(outcome) is not Outcome:
            return _no_outcome(interceptors, faults.title, outcome)
        return outcome if settle is None else settle(delivery, outcome)

    return guarded


def _around(interceptor: Interceptor, inner: Next) -> Next:
    def call(delivery: Delivery) -> Any:
        return interceptor(delivery, inner)

    return call


def _culprit(interceptors: Sequence[Placed], error: BaseException) -> str:
    """Name the innermost interceptor that an error went through: the one that raised it."""
    codes = {code_of(each.call): each for each in interceptors}
    found: Placed | None = interceptors[0] if len(interceptors) == 1 else None
    trace = error.__traceback__
    while trace is not None:
        found = codes.get(trace.tb_frame.f_code, found)
        trace = trace.tb_next
    return "an interceptor" if found is None else found.title


def _no_outcome(interceptors: Sequence[Placed], title: str, found: object) -> Outcome:
    """Report an interceptor that swallowed the outcome, most often by a missing 'return'."""
    names = ", ".join(each.title for each in interceptors)
    reason = f"returned '{type_name(type(found))}' instead of an Outcome"
    logger.error("%s of %s %s; write 'return await call(delivery)'", names, title, reason)
    return refusal(500, f"an interceptor {reason}")
