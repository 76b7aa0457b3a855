"""What is seen of a running app: traces, metrics, logs and health."""

from typing import TYPE_CHECKING

from daprflow.late import late as _late
from daprflow.observability.options import Observability

# Every app has the one above, few anything else of it.
if TYPE_CHECKING:
    from daprflow.observability.logging_options import LogFormat, Logs
    from daprflow.observability.metrics_options import Metrics
    from daprflow.observability.redaction import Secret
    from daprflow.observability.tracing_options import trace_calls
    from daprflow.observability.watches import Watch
    from daprflow.observability.watching import Handled, Parts, Watcher
    from daprflow.workflows.turns import TurnNext, WorkflowTurn
else:
    __getattr__ = _late(
        globals(),
        {
            "Handled": "daprflow.observability.watching",
            "LogFormat": "daprflow.observability.logging_options",
            "Logs": "daprflow.observability.logging_options",
            "Metrics": "daprflow.observability.metrics_options",
            "Parts": "daprflow.observability.watching",
            "Secret": "daprflow.observability.redaction",
            "TurnNext": "daprflow.workflows.turns",
            "Watch": "daprflow.observability.watches",
            "Watcher": "daprflow.observability.watching",
            "WorkflowTurn": "daprflow.workflows.turns",
            "trace_calls": "daprflow.observability.tracing_options",
        },
    )

__all__ = [
    "Handled",
    "LogFormat",
    "Logs",
    "Metrics",
    "Observability",
    "Parts",
    "Secret",
    "TurnNext",
    "Watch",
    "Watcher",
    "WorkflowTurn",
    "trace_calls",
]
