"""How an actor state store holds a workflow: the keys and the values of the real runtime."""

from dataclasses import dataclass

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.actors.state import SEPARATOR

METADATA = "metadata"
_FIRST_GENERATION = 1
MOST_ENTRIES = 1_000_000
"""Events that the real runtime takes an inbox or a history for genuine with."""


def actor_type(app_id: str, namespace: str) -> str:
    """Return the type of the actors that workflows of an app are."""
    return f"dapr.internal.{namespace}.{app_id}.workflow"


def first_part(app_id: str, namespace: str) -> str:
    """Return what the keys of all workflows of an app begin with."""
    return SEPARATOR.join((app_id, actor_type(app_id, namespace), ""))


class Keys:
    """The keys of one instance.

    Args:
        first: see `first_part`.
        instance_id: the instance's id.
    """

    __slots__ = ("_prefix", "custom", "metadata", "propagated")

    def __init__(self, first: str, instance_id: str) -> None:
        self._prefix = f"{first}{instance_id}{SEPARATOR}"
        self.metadata = f"{self._prefix}{METADATA}"
        self.custom = f"{self._prefix}customStatus"
        self.propagated = f"{self._prefix}propagated-history"

    def inbox(self, number: int) -> str:
        """Return the key of an event that waits."""
        return f"{self._prefix}inbox-{number:06d}"

    def history(self, number: int) -> str:
        """Return the key of an event that happened."""
        return f"{self._prefix}history-{number:06d}"


def instance_of(key: str, first: str) -> str | None:
    """Return whose metadata a key is for; None where it is no such key."""
    last = f"{SEPARATOR}{METADATA}"
    if not key.startswith(first) or not key.endswith(last):
        return None
    return key[len(first) : -len(last)] or None


# ---- values -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is of an instance; the first execution has generation 0, as everywhere here.

    Signatures and their certificates are not used here; what a real runtime wrote of them is
    passed over.
    """

    inbox: int
    history: int
    generation: int

    def encode(self) -> bytes:
        """Return it as it is kept."""
        message = wf.BackendWorkflowStateMetadata(
            inboxLength=self.inbox,
            historyLength=self.history,
            generation=self.generation + _FIRST_GENERATION,
        )
        return message.SerializeToString()


def decode_extent(data: bytes) -> Extent:
    """Read what `Extent.encode` wrote, or a real runtime.

    Raises:
        ValueError: it is nothing of the kind.
    """
    try:
        message = wf.BackendWorkflowStateMetadata.FromString(data)
    except wf.DecodeError as error:
        raise ValueError(str(error)) from error
    if max(message.inboxLength, message.historyLength) > MOST_ENTRIES:
        raise ValueError(f"more than {MOST_ENTRIES} events")
    generation = max(message.generation - _FIRST_GENERATION, 0)
    return Extent(message.inboxLength, message.historyLength, generation)


def encode_text(text: str | None) -> bytes:
    """Return a custom status as it is kept: none at all and an empty one are the same."""
    return wf.StringValue(value=text or "").SerializeToString()


def decode_text(data: bytes) -> str | None:
    """Read a custom status."""
    return wf.StringValue.FromString(data).value or None
