"""What is seen of a running app: traces, metrics, logs and health."""

from daprflow.observability.logging_options import LogFormat, Logs
from daprflow.observability.metrics_options import Metrics
from daprflow.observability.options import Observability
from daprflow.observability.redaction import Secret
from daprflow.observability.tracing_options import trace_calls
from daprflow.observability.watching import Handled, Parts, Watcher
from daprflow.workflows.turns import TurnNext, WorkflowTurn

__all__ = [
    "Handled",
    "LogFormat",
    "Logs",
    "Metrics",
    "Observability",
    "Parts",
    "Secret",
    "TurnNext",
    "Watcher",
    "WorkflowTurn",
    "trace_calls",
]
