"""Counts what policies do: their uses, retries and timeouts, and the states of breakers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from daprflow.sidecar.resiliency.breaker import BreakerState
    from daprflow.sidecar.telemetry.meters import PolicyMeters

OUTBOUND: Final = "outbound"
INBOUND: Final = "inbound"
TIMEOUT: Final = "timeout"
RETRY: Final = "retry"
BREAKER: Final = "circuitbreaker"
STATES: Final = ("closed", "half-open", "open", "unknown")
KINDS: Final[Mapping[str, str]] = {
    "bindings": "Binding",
    "configuration": "Configuration",
    "lock": "Lock",
    "pubsub": "Pubsub",
    "crypto": "Crypto",
    "conversation": "Conversation",
    "secretstores": "Secretstore",
    "state": "Statestore",
}
"""What the real runtime calls components of a kind in the name of a target."""


class PolicyWatch:
    """Watches the policy of one target.

    Args:
        meters: of the sidecar.
        document: the name of the Resiliency document.
        direction: `OUTBOUND` or `INBOUND`.
        target: such as ``app_shop`` or ``Statestore_carts``.
    """

    __slots__ = ("_direction", "_document", "_meters", "_target")

    def __init__(self, meters: "PolicyMeters", document: str, direction: str, target: str) -> None:
        self._meters = meters
        self._document = document
        self._direction = direction
        self._target = target

    def used(self, policy: str) -> None:
        """Note that a call is made under a timeout or retries."""
        self._meters.uses(*self._labels(policy)).add()

    def activated(self, policy: str) -> None:
        """Note that a call was cut off, or is made again."""
        self._meters.activations(*self._labels(policy)).add()

    def guarded(self, state: "BreakerState") -> None:
        """Note that a call is made through a breaker."""
        self._meters.uses(*self._labels(BREAKER, state.value)).add()
        self._show(state)

    def turned(self, state: "BreakerState") -> None:
        """Note that a breaker has another state."""
        self._meters.activations(*self._labels(BREAKER, state.value)).add()
        self._show(state)

    def _show(self, state: "BreakerState") -> None:
        for each in STATES:
            cell = self._meters.breakers(*self._labels(BREAKER, each))
            cell.value = float(each == state.value)

    def _labels(self, policy: str, status: str = "") -> tuple[str, str, str, str, str]:
        return self._direction, self._document, policy, status, self._target
