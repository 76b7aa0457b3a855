"""The metrics of the real runtime that the embedded sidecar has, under the same names."""

from typing import Final

from daprflow.sidecar.telemetry.metrics import Known, Shape

_HTTP = ("method", "path", "status")
_COUNT, _LAST, _TIME, _SIZE = Shape.COUNT, Shape.LAST, Shape.LATENCY, Shape.SIZE

HTTP_REQUESTS: Final = Known("http_server_request_count", _HTTP, _COUNT, "Calls of the HTTP API.")
HTTP_RESPONSES: Final = Known(
    "http_server_response_count", _HTTP, _COUNT, "Answers of the HTTP API."
)
HTTP_LATENCY: Final = Known("http_server_latency", _HTTP, _TIME, "Milliseconds of an API call.")
HTTP_REQUEST_BYTES: Final = Known(
    "http_server_request_bytes", (), _SIZE, "Bytes of a body sent to the HTTP API."
)
HTTP_RESPONSE_BYTES: Final = Known(
    "http_server_response_bytes", (), _SIZE, "Bytes of a body the HTTP API answered."
)
APP_CALLS: Final = Known("http_client_completed_count", _HTTP, _COUNT, "Calls of the app.")
APP_LATENCY: Final = Known(
    "http_client_roundtrip_latency", _HTTP, _TIME, "Milliseconds of a call of the app."
)
APP_SENT_BYTES: Final = Known(
    "http_client_sent_bytes", _HTTP, _SIZE, "Bytes of a body sent to the app."
)
APP_RECEIVED_BYTES: Final = Known(
    "http_client_received_bytes", (), _SIZE, "Bytes of a body the app answered."
)
APP_PROBES: Final = Known(
    "http_healthprobes_completed_count", ("status",), _COUNT, "Health checks of the app."
)
APP_PROBE_LATENCY: Final = Known(
    "http_healthprobes_roundtrip_latency", ("status",), _TIME, "Milliseconds of a health check."
)

_SERVED = ("grpc_server_method", "grpc_server_status")
_CALLED = ("grpc_client_method", "grpc_client_status")
RPCS: Final = Known("grpc_io_server_completed_rpcs", _SERVED, _COUNT, "Calls of the gRPC API.")
RPC_LATENCY: Final = Known(
    "grpc_io_server_server_latency", _SERVED, _TIME, "Milliseconds of a gRPC call."
)
RPC_RECEIVED_BYTES: Final = Known(
    "grpc_io_server_received_bytes_per_rpc", _SERVED[:1], _SIZE, "Bytes sent to the gRPC API."
)
RPC_SENT_BYTES: Final = Known(
    "grpc_io_server_sent_bytes_per_rpc", _SERVED[:1], _SIZE, "Bytes the gRPC API answered."
)
APP_RPCS: Final = Known(
    "grpc_io_client_completed_rpcs", _CALLED, _COUNT, "Calls of an app that speaks gRPC."
)
APP_RPC_LATENCY: Final = Known(
    "grpc_io_client_roundtrip_latency", _CALLED, _TIME, "Milliseconds of a call of the app."
)
APP_RPC_SENT_BYTES: Final = Known(
    "grpc_io_client_sent_bytes_per_rpc", _CALLED[:1], _SIZE, "Bytes sent to the app."
)
APP_RPC_RECEIVED_BYTES: Final = Known(
    "grpc_io_client_received_bytes_per_rpc", _CALLED[:1], _SIZE, "Bytes the app answered."
)
RPC_PROBES: Final = Known(
    "grpc_io_healthprobes_completed_count", _CALLED[1:], _COUNT, "Health checks of the app."
)
RPC_PROBE_LATENCY: Final = Known(
    "grpc_io_healthprobes_roundtrip_latency", _CALLED[1:], _TIME, "Milliseconds of a health check."
)


def component(
    block: str, *labels: str, suffixes: tuple[str, str] = ("count", "latencies")
) -> tuple[Known, Known]:
    """Return the two metrics of a block: how many calls, and how long they took."""
    count, latencies = suffixes
    what = block.replace("_", " ").replace("/", " ")
    names = ("component", *labels)
    return (
        Known(f"component_{block}_{count}", names, _COUNT, f"Operations: {what}.", namespaced=True),
        Known(
            f"component_{block}_{latencies}",
            names,
            _TIME,
            f"Milliseconds: {what}.",
            namespaced=True,
        ),
    )


INGRESS: Final = component("pubsub_ingress", "process_status", "status", "topic")
BULK_INGRESS: Final = component("pubsub_ingress_bulk", "process_status", "topic")
BULK_INGRESS_EVENTS: Final = Known(
    "component_pubsub_ingress_bulk_event_count",
    ("component", "process_status", "topic"),
    _COUNT,
    "Events delivered in batches.",
    namespaced=True,
)
EGRESS: Final = component("pubsub_egress", "success", "topic")
BULK_EGRESS: Final = component("pubsub_egress_bulk", "success", "topic")
INPUT_BINDING: Final = component("input_binding", "success")
OUTPUT_BINDING: Final = component("output_binding", "operation", "success")
STATE: Final = component("state", "operation", "success")
CONFIGURATION: Final = component("configuration", "operation", "success")
SECRET: Final = component("secret", "operation", "success")
CONVERSATION: Final = component("conversation", "success")
CRYPTO: Final = component("crypto", "operation", "success")
JOB_SUCCESSES: Final = Known(
    "component_job_success_count", ("operation",), _COUNT, "Ticks of jobs the app took.",
    namespaced=True,
)  # fmt: skip
JOB_FAILURES: Final = Known(
    "component_job_failure_count", ("operation",), _COUNT, "Ticks of jobs that failed.",
    namespaced=True,
)  # fmt: skip
JOB_LATENCY: Final = Known(
    "component_job_latencies", ("operation", "success"), _TIME, "Milliseconds of a job's tick.",
    namespaced=True,
)  # fmt: skip

COMPONENTS: Final = Known("runtime_component_loaded", (), _COUNT, "Components that were loaded.")
OPENED: Final = Known(
    "runtime_component_init_total", ("component",), _COUNT, "Components that were opened."
)
NOT_OPENED: Final = Known(
    "runtime_component_init_fail_total",
    ("component", "componentName", "reason"),
    _COUNT,
    "Components that could not be opened.",
)

_ACTOR = ("actor_type",)
ACTORS_DEACTIVATED: Final = Known(
    "runtime_actor_deactivated_total", _ACTOR, _COUNT, "Actors that were deactivated."
)
ACTORS_NOT_DEACTIVATED: Final = Known(
    "runtime_actor_deactivated_failed_total", _ACTOR, _COUNT, "Deactivations that failed."
)
ACTORS_REBALANCED: Final = Known(
    "runtime_actor_rebalanced_total", _ACTOR, _COUNT, "Actors that moved to another host."
)
ACTORS_WAITING: Final = Known(
    "runtime_actor_pending_actor_calls", _ACTOR, _LAST, "Calls that wait for their actor's turn."
)
ACTOR_TIMERS: Final = Known("runtime_actor_timers", _ACTOR, _LAST, "Timers of actors.")
TIMERS_FIRED: Final = Known(
    "runtime_actor_timers_fired_total", ("actor_type", "success"), _COUNT, "Ticks of timers."
)
REMINDERS_FIRED: Final = Known(
    "runtime_actor_reminders_fired_total", ("actor_type", "success"), _COUNT, "Ticks of reminders."
)

SENT: Final = Known(
    "runtime_service_invocation_req_sent_total", ("dst_app_id", "type"), _COUNT,
    "Calls sent to other apps.",
)  # fmt: skip
RECEIVED: Final = Known(
    "runtime_service_invocation_req_recv_total", ("src_app_id",), _COUNT,
    "Calls received from other apps.",
)  # fmt: skip
ANSWERED: Final = Known(
    "runtime_service_invocation_res_sent_total", ("dst_app_id", "status"), _COUNT,
    "Answers sent to other apps.",
)  # fmt: skip
ANSWERS: Final = Known(
    "runtime_service_invocation_res_recv_total", ("src_app_id", "status", "type"), _COUNT,
    "Answers received from other apps.",
)  # fmt: skip
ANSWER_LATENCY: Final = Known(
    "runtime_service_invocation_res_recv_latency_ms", ("src_app_id", "status"), _TIME,
    "Milliseconds until another app answered.",
)  # fmt: skip

_POLICY = ("flow_direction", "name", "policy", "status", "target")
POLICIES: Final = Known(
    "resiliency_loaded", ("name",), _COUNT, "Resiliency documents loaded.", namespaced=True
)
POLICY_USES: Final = Known(
    "resiliency_count", _POLICY, _COUNT, "Calls made under a policy.", namespaced=True
)
ERROR_CODES: Final = Known(
    "error_code_total", ("category", "error_code"), _COUNT,
    "Errors that calls ended in; only with `recordErrorCodes: true`.",
)  # fmt: skip
POLICY_ACTIVATIONS: Final = Known(
    "resiliency_activations_total", _POLICY, _COUNT, "Times a policy did something.",
    namespaced=True,
)  # fmt: skip
BREAKERS: Final = Known(
    "resiliency_cb_state", _POLICY, _LAST, "1 for the state a breaker is in.", namespaced=True
)


def workflow(what: str, *labels: str, shape: Shape = _COUNT) -> Known:
    """Return a metric of workflows."""
    text = f"Workflows: {what.replace('_', ' ')}."
    return Known(f"runtime_workflow_{what}", labels, shape, text, namespaced=True)


WORKFLOW_OPERATIONS: Final = workflow("operation_count", "operation", "status")
WORKFLOW_OPERATION_LATENCY: Final = workflow(
    "operation_latency", "operation", "status", shape=_TIME
)
WORKFLOWS: Final = workflow("execution_count", "status", "workflow_name")
WORKFLOW_LATENCY: Final = workflow("execution_latency", "status", "workflow_name", shape=_TIME)
WORKFLOW_DELAY: Final = workflow("scheduling_latency", "workflow_name", shape=_TIME)
ACTIVITY_OPERATIONS: Final = workflow("activity_operation_count", "activity_name", "status")
ACTIVITY_OPERATION_LATENCY: Final = workflow(
    "activity_operation_latency", "activity_name", "status", shape=_TIME
)
ACTIVITIES: Final = workflow("activity_execution_count", "activity_name", "status")
ACTIVITY_LATENCY: Final = workflow(
    "activity_execution_latency", "activity_name", "status", shape=_TIME
)
