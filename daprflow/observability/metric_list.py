"""Every metric of an app, as data: registry, reference page and dashboard are made of this list."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MetricKind(StrEnum):
    """What a metric counts."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: as a scrape has it; that of a counter ends with ``_total``.
        help: what it says.
        labels: what tells its series apart. Each has a bounded number of values: names that the
            app's code declares, or words of this package; never an id, a path or a payload.
        buckets: upper bounds of a histogram, in seconds.
        several: of a gauge, how the values of several processes become one.
        row: the row of the dashboard that shows it.
    """

    name: str
    kind: MetricKind
    help: str
    row: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    several: str = "livesum"

    @property
    def in_seconds(self) -> bool:
        """Whether it is a time."""
        return self.name.endswith("_seconds")


HANDLING: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
)  # fmt: skip
"""From half a millisecond, below which a handler only computes, to the client's usual limit."""
WAITING: Final = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30)

_HANDLER = ("block", "name", "handler")
_CALL = ("block", "operation")

DELIVERIES = Metric(
    "daprflow_deliveries_total",
    MetricKind.COUNTER,
    "Deliveries to handlers, by what became of them: success, retry, drop, refused (an answer of "
    "4xx), error, or cancelled.",
    "Deliveries",
    (*_HANDLER, "verdict"),
)
DELIVERY_SECONDS = Metric(
    "daprflow_delivery_duration_seconds",
    MetricKind.HISTOGRAM,
    "How long a delivery took, interceptors and the wait for a thread included.",
    "Deliveries",
    _HANDLER,
    HANDLING,
)
IN_FLIGHT = Metric(
    "daprflow_deliveries_in_flight",
    MetricKind.GAUGE,
    "Deliveries that are being handled.",
    "Deliveries",
    _HANDLER,
)
THREADS_BUSY = Metric(
    "daprflow_threads_pending",
    MetricKind.GAUGE,
    "Calls of plain 'def' functions that run in a thread or wait for one.",
    "Waits",
)
THREAD_LIMIT = Metric(
    "daprflow_threads",
    MetricKind.GAUGE,
    "Threads for plain 'def' functions.",
    "Waits",
)
THREAD_WAIT = Metric(
    "daprflow_thread_wait_seconds",
    MetricKind.HISTOGRAM,
    "How long a call of a plain 'def' function waited for a thread.",
    "Waits",
    (),
    WAITING,
)
THREAD_REFUSALS = Metric(
    "daprflow_thread_refusals_total",
    MetricKind.COUNTER,
    "Calls refused because every thread was busy and as many waited as may.",
    "Waits",
)
TURN_WAIT = Metric(
    "daprflow_actor_turn_wait_seconds",
    MetricKind.HISTOGRAM,
    "How long a call of an actor waited for the turns before its own.",
    "Waits",
    ("actor_type",),
    WAITING,
)
ACTORS_ACTIVE = Metric(
    "daprflow_actors_active",
    MetricKind.GAUGE,
    "Actors in memory.",
    "Actors and workflows",
    ("actor_type",),
)
WORKFLOW_TURNS = Metric(
    "daprflow_workflow_turns_total",
    MetricKind.COUNTER,
    "Turns of workflows, by what the workflow did: waiting, completed, failed, continued, "
    "terminated, or error (its turn could not be done).",
    "Actors and workflows",
    ("workflow", "outcome"),
)
WORKFLOW_TURN_SECONDS = Metric(
    "daprflow_workflow_turn_duration_seconds",
    MetricKind.HISTOGRAM,
    "How long a turn of a workflow took.",
    "Actors and workflows",
    ("workflow",),
    HANDLING,
)
ACTIVITIES = Metric(
    "daprflow_activities_total",
    MetricKind.COUNTER,
    "Activities that ran, by what became of them; they are counted as deliveries, too.",
    "Actors and workflows",
    ("activity", "outcome"),
)
CLIENT_CALLS = Metric(
    "daprflow_client_calls_total",
    MetricKind.COUNTER,
    "Calls of the sidecar, by the answer's status, or 'unavailable', 'cancelled' or 'error'.",
    "Client",
    (*_CALL, "code"),
)
CLIENT_SECONDS = Metric(
    "daprflow_client_call_duration_seconds",
    MetricKind.HISTOGRAM,
    "How long a call of the sidecar took, its repetitions included.",
    "Client",
    _CALL,
    HANDLING,
)
CLIENT_RETRIES = Metric(
    "daprflow_client_retries_total",
    MetricKind.COUNTER,
    "Repetitions of calls whose connection failed.",
    "Client",
    _CALL,
)
CLIENT_QUEUE = Metric(
    "daprflow_client_queue_wait_seconds",
    MetricKind.HISTOGRAM,
    "How long a call of the sidecar waited for a place among the calls of its target.",
    "Waits",
    _CALL,
    WAITING,
)
LOOP_LAG = Metric(
    "daprflow_event_loop_lag_seconds",
    MetricKind.GAUGE,
    "The greatest delay of the event loop in the last 10 to 20 seconds.",
    "Process",
    several="livemax",
)
LOOP_BLOCKS = Metric(
    "daprflow_event_loop_blocks_total",
    MetricKind.COUNTER,
    "How often something blocked the event loop for longer than is allowed.",
    "Process",
)
SIDECAR_UP = Metric(
    "daprflow_sidecar_up",
    MetricKind.GAUGE,
    "1 where the sidecar answered the last call or probe, 0 where it could not be reached.",
    "Process",
    several="livemin",
)
HEALTH_STATUS = Metric(
    "daprflow_health_status",
    MetricKind.GAUGE,
    "What '/readyz' answers: 0 is ready, 1 degraded, 2 down.",
    "Process",
    several="livemax",
)
HEALTH_ALERTS = Metric(
    "daprflow_health_alerts_total",
    MetricKind.COUNTER,
    "How often the app became ready, degraded or down.",
    "Process",
    ("status",),
)
INFO = Metric(
    "daprflow_app_info",
    MetricKind.GAUGE,
    "1, with the app's id and the version of daprflow.",
    "Process",
    ("app_id", "version"),
    several="livemax",
)

METRICS: Final = (
    DELIVERIES,
    DELIVERY_SECONDS,
    IN_FLIGHT,
    THREADS_BUSY,
    THREAD_LIMIT,
    THREAD_WAIT,
    THREAD_REFUSALS,
    TURN_WAIT,
    ACTORS_ACTIVE,
    WORKFLOW_TURNS,
    WORKFLOW_TURN_SECONDS,
    ACTIVITIES,
    CLIENT_CALLS,
    CLIENT_SECONDS,
    CLIENT_RETRIES,
    CLIENT_QUEUE,
    LOOP_LAG,
    LOOP_BLOCKS,
    SIDECAR_UP,
    HEALTH_STATUS,
    HEALTH_ALERTS,
    INFO,
)
"""All of them, in the order of page and dashboard."""
