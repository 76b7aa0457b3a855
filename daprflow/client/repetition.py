"""Sending a call again whose connection failed: at once, then with back-off, within the budget."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from daprflow.client.backoff import pauses
from daprflow.client.circuit import Circuit, CircuitOpen, Probe
from daprflow.client.retry_budget import RetryBudget
from daprflow.errors import SidecarUnavailable
from daprflow.transports.base import ConnectionLost

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repetition(Generic[T]):
    """What repeats one call that may be repeated.

    Attributes:
        what: the call, for messages.
        most: how often it may be sent, its first time included; -1 until its time is up.
        budget: of the client.
        circuit: of the connections that the call uses.
        probe: asks whether the sidecar is there.
        still: raises where the client was closed meanwhile.
        send: sends the call once.
    """

    what: str
    most: int
    budget: RetryBudget
    circuit: Circuit
    probe: Probe
    still: Callable[[], None]
    send: Callable[[], Awaitable[T]]

    async def run(self, error: SidecarUnavailable) -> T:
        """Repeat it after ``error``.

        While the circuit breaker is open, a probe that fails is an attempt, too.

        Raises:
            SidecarUnavailable: no attempt was answered.
            RuntimeError: the client was closed.
        """
        circuit, waits, done = self.circuit, chain((0.0,), pauses()), 1
        while self.most < 0 or done < self.most:
            await asyncio.sleep(next(waits))
            self.still()
            done += 1
            logger.debug("attempt %d of %s, after: %s", done, self.what, error)
            try:
                if circuit.is_open:
                    await circuit.admit(self.probe, patient=True)
                    self.still()
                elif not self.budget.take():
                    raise _spent(self.what, error) from error
                return await self.send()
            except ConnectionLost as again:
                circuit.failed(again)
                error = again
            except CircuitOpen as again:
                error = again
        raise error


def _spent(what: str, error: SidecarUnavailable) -> SidecarUnavailable:
    return SidecarUnavailable(
        f"{what} is not repeated, because the retry budget of the last seconds is used up; "
        f"the failure was: {error}"
    )
