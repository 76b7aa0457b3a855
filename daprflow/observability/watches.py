"""What is told of the deliveries to one handler: several of it share one coroutine."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from daprflow.handlers.handler import Delivery, Next, Outcome


class Watch:
    """Is told of every delivery to one handler; the methods of this class do nothing.

    None of them may raise: whatever they have to tell of is done, or about to be.

    Example:
        ```python
        from daprflow.observability import Watch

        class Slow(Watch):
            def end(self, held: Any, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
                print(delivery.name, outcome.status, seconds)
        ```
    """

    def begin(self, delivery: Delivery) -> Any:  # noqa: ARG002 - for subclasses
        """Note that a delivery begins; what is returned is given back at its end."""
        return None

    def end(self, held: Any, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
        """Note what became of a delivery, and how long it took."""

    def failed(self, held: Any, delivery: Delivery, error: BaseException, seconds: float) -> None:
        """Note that a handler let something through: the app ends, or no thread is free."""


NOBODY = Watch()


def told(call: Next, watches: Sequence[Watch]) -> Next:
    """Return ``call`` with every watch told of it; the first one begins first, and ends last."""
    *before, inner = watches
    if not before:
        return _one(call, inner)
    *before, middle = before
    outer = before.pop() if before else NOBODY
    call = _three(call, outer, middle, inner)
    return told(call, before) if before else call


def _one(call: Next, watch: Watch) -> Next:
    begin, end, failed = watch.begin, watch.end, watch.failed

    async def watched(delivery: Delivery) -> Outcome:
        began = perf_counter()
        held = begin(delivery)
        try:
            outcome = await call(delivery)
        except BaseException as error:
            failed(held, delivery, error, perf_counter() - began)
            raise
        end(held, delivery, outcome, perf_counter() - began)
        return outcome

    return watched


def _three(call: Next, outer: Watch, middle: Watch, inner: Watch) -> Next:
    """Return the usual case without a loop: all of metrics, spans and lines."""
    begin_outer, end_outer = outer.begin, outer.end
    begin_middle, end_middle = middle.begin, middle.end
    begin_inner, end_inner = inner.begin, inner.end

    async def watched(delivery: Delivery) -> Outcome:
        began = perf_counter()
        outer_held = begin_outer(delivery)
        middle_held = begin_middle(delivery)
        inner_held = begin_inner(delivery)
        try:
            outcome = await call(delivery)
        except BaseException as error:
            seconds = perf_counter() - began
            inner.failed(inner_held, delivery, error, seconds)
            middle.failed(middle_held, delivery, error, seconds)
            outer.failed(outer_held, delivery, error, seconds)
            raise
        seconds = perf_counter() - began
        end_inner(inner_held, delivery, outcome, seconds)
        end_middle(middle_held, delivery, outcome, seconds)
        end_outer(outer_held, delivery, outcome, seconds)
        return outcome

    return watched
