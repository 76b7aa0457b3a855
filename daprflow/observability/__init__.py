"""What is seen of a running app: traces, metrics, logs and health."""

from daprflow.observability.options import Observability
from daprflow.observability.watching import Handled, Watcher
from daprflow.workflows.turns import TurnNext, WorkflowTurn

__all__ = ["Handled", "Observability", "TurnNext", "Watcher", "WorkflowTurn"]
