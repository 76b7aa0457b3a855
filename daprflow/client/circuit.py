"""The circuit breaker of a client: calls fail at once while no sidecar answers connections."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import msgspec

from daprflow.errors import SidecarUnavailable

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 0.5
"""Seconds between probes, at most: within one of its return a sidecar is to be in use."""
PROBE_SECONDS = 1.0

State: TypeAlias = Literal["closed", "open", "half-open"]
Probe: TypeAlias = Callable[[], Awaitable[None]]


class CircuitOpen(SidecarUnavailable):
    """A call was not sent, because the sidecar is away."""


class CircuitState(msgspec.Struct, frozen=True):
    """How a client's circuit breaker stands.

    Attributes:
        state: ``closed`` while calls pass, ``open`` while they fail at once, ``half-open`` while
            one probe is under way.
        failures: how many connections failed in a row.
        since: when it opened, in seconds since 1970; None while it is closed.
        retry_in: seconds until the next probe may be sent; 0 while it is closed.
        opened: how often it has opened.
        cause: why the last connection failed; empty while it is closed.

    Example:
        ```python
        state = client.circuit
        if state.state == "open":
            print("tried again in", state.retry_in, "seconds:", state.cause)
        ```
    """

    state: State
    failures: int = 0
    since: float | None = None
    retry_in: float = 0.0
    opened: int = 0
    cause: str = ""


class Circuit:
    """Opens after so many failed connections in a row; a probe that is answered closes it.

    Nothing runs in the background: who calls when a probe is due has it sent, and waits for it.

    Args:
        threshold: failures in a row that open it; 0 for never.

    Attributes:
        failures: in a row.
        is_open: whether calls have to be admitted.
    """

    __slots__ = (
        "_cause",
        "_opened",
        "_pause",
        "_probing",
        "_retry_at",
        "_since",
        "failures",
        "is_open",
        "threshold",
    )

    def __init__(self, threshold: int) -> None:
        self.threshold: int = threshold
        self.failures: int = 0
        self.is_open: bool = False
        self._opened = 0
        self._since = 0.0
        self._retry_at = 0.0
        self._pause = FIRST_PAUSE
        self._cause = ""
        self._probing: asyncio.Task[None] | None = None

    @property
    def state(self) -> CircuitState:
        """How it stands now."""
        if not self.is_open:
            return CircuitState("closed", self.failures, opened=self._opened)
        left = max(0.0, self._retry_at - time.monotonic())
        state: State = "open" if self._probing is None else "half-open"
        return CircuitState(state, self.failures, self._since, left, self._opened, self._cause)

    def failed(self, error: SidecarUnavailable) -> None:
        """Note a connection that failed."""
        self.failures += 1
        if self.is_open or not 0 < self.threshold <= self.failures:
            return
        self.is_open = True
        self._opened += 1
        self._since = time.time()
        self._cause = str(error)
        self._pause = FIRST_PAUSE
        self._retry_at = time.monotonic() + self._pause

    def answered(self) -> None:
        """Note an answer, whatever it says: there is a sidecar."""
        self.failures = 0
        self.is_open = False
        self._cause = ""

    async def admit(self, probe: Probe, *, patient: bool) -> None:
        """Return when a call may be sent.

        Args:
            probe: asks whether the sidecar is there; raises `SidecarUnavailable` where it is not.
            patient: whether to wait for the next probe, or to fail until it is due.

        Raises:
            CircuitOpen: the sidecar is still away.
        """
        left = self._retry_at - time.monotonic()
        if self._probing is None and left > 0:
            if not patient:
                raise self._refusal(left)
            await asyncio.sleep(left)
        if self.is_open:
            probing = self._probing
            if probing is None:
                probing = asyncio.create_task(self._probe(probe), name="daprflow client probes")
                probing.add_done_callback(_noted)
                self._probing = probing
            await asyncio.wait([probing])
            if not probing.cancelled():
                probing.result()
        if self.is_open:
            raise self._refusal(max(0.0, self._retry_at - time.monotonic()))

    async def close(self) -> None:
        """End a probe under way, and forget what failed: the way to the sidecar is closed."""
        self.answered()  # first: whoever waits for the probe looks at it
        probing = self._probing
        if probing is not None:
            probing.cancel()
            await asyncio.wait([probing])

    async def _probe(self, probe: Probe) -> None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await probe()
        except (SidecarUnavailable, TimeoutError) as error:
            self._cause = str(error) or f"it did not answer a probe within {PROBE_SECONDS:g} s"
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._retry_at = time.monotonic() + self._pause
        else:
            self.answered()
        finally:
            self._probing = None

    def _refusal(self, left: float) -> CircuitOpen:
        since = datetime.fromtimestamp(self._since, UTC).strftime("%H:%M:%S")
        return CircuitOpen(
            f"the sidecar has been away since {since} UTC "
            f"({max(0.0, time.time() - self._since):.1f} s), so that this call was not sent; it is "
            f"tried again in {left:.2f} s. The last failure: {self._cause}"
        )


def _noted(probing: "asyncio.Task[None]") -> None:
    """Take what came of a probe that nobody may wait for any more."""
    if not probing.cancelled():
        probing.exception()
