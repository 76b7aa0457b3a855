"""The names that the real runtime's dashboards ask for are there once there was traffic."""

from dataclasses import replace
from pathlib import Path

from daprflow.protocol import messages
from daprflow.protocol.configuration_file import ConfigurationResource, TracingSpec
from daprflow.protocol.http import HttpRequest
from daprflow.protocol.resources import ComponentResource
from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.telemetry.app_watch import AppWatch
from daprflow.sidecar.telemetry.exposition import exposed
from daprflow.sidecar.telemetry.trace_context import read_binary, read_traceparent
from daprflow.sidecar.telemetry.tracer import Nowhere, Tracer
from tests.helpers.grpc_app import SERVICE, always, grpc_app
from tests.helpers.grpc_sidecar import grpc_sidecar
from tests.helpers.recording import Answer, RecordingApp
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar, resources

ASKED = {
    "dapr_grpc_io_server_completed_rpcs",
    "dapr_grpc_io_server_server_latency_bucket",
    "dapr_http_client_completed_count",
    "dapr_http_client_roundtrip_latency_bucket",
    "dapr_http_server_latency_bucket",
    "dapr_http_server_response_count",
    "dapr_runtime_actor_deactivated_total",
    "dapr_runtime_actor_pending_actor_calls",
    "dapr_runtime_component_init_fail_total",
    "dapr_runtime_component_init_total",
    "dapr_runtime_component_loaded",
}
"""Of the sidecar's and the actors' dashboard of Dapr 1.18; tests of gRPC apps hold two more.

Not there: ``mtls_…`` (outside clusters the real one has none either), ``actor_status_report_…`` and
``actor_table_operation_…`` (1.18 itself does not record them any more), and what counts failures
of deactivation and moves of actors between hosts, until there is one.
"""
COMPONENTS: Components = {
    "pubsub": ("pubsub.in-memory", {}),
    "store": ("state.in-memory", {"actorStateStore": "true"}),
}


def text_of(started: InProcessSidecar) -> str:
    """Return the metrics of a sidecar."""
    meters = started.runtime.telemetry.meters
    assert meters is not None
    return exposed(meters.registry).decode()


def names(text: str) -> set[str]:
    """Return the names of all samples."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {line.partition("{")[0] for line in lines}


async def test_the_dashboards_find_their_metrics(tmp_path: Path) -> None:
    """Calls of both APIs, events, actors and a component that does not open make all of them."""
    app = RecordingApp()
    app.answers["/dapr/config"] = Answer.of({"entities": ["Cart"], "actorIdleTimeout": "1s"})
    app.answers["/dapr/subscribe"] = Answer.of(
        [{"pubsubname": "pubsub", "topic": "orders", "route": "/orders"}]
    )
    files = resources(COMPONENTS)
    broken = ComponentResource("broken", "bindings.cron", ignore_errors=True)
    files = replace(files, components=(*files.components, broken))
    options = RuntimeOptions("shop", app_port=1, metrics=True)
    async with grpc_sidecar(tmp_path, {}, app, options=options, files=files) as started:
        inner = started.inner
        for target in ("/v1.0/publish/pubsub/orders", "/v1.0/actors/Cart/ann/method/add"):
            await inner.exchange.send(HttpRequest("POST", target, (), b"1"))
        await started.stub.GetState(messages.GetStateRequest(store_name="store", key="k"))
        await inner.until(lambda: "actor_deactivated_total{" in text_of(inner))
        found = text_of(inner)
    assert names(found) >= ASKED
    delivered = 'process_status="success",status="success",topic="orders"} 1'
    of_orders = 'app_id="shop",component="pubsub",namespace=""'
    assert f"dapr_component_pubsub_ingress_count{{{of_orders},{delivered}" in found
    read = 'app_id="shop",component="store",namespace="",operation="get",success="true"} 1'
    assert f"dapr_component_state_count{{{read}" in found
    failed = '{app_id="shop",component="bindings.cron",componentName="broken",reason="init"} 1'
    assert f"dapr_runtime_component_init_fail_total{failed}" in found
    called = 'method="POST",path="/v1.0/actors/Cart/{id}/method",status="200"} 1'
    assert f'dapr_http_server_request_count{{app_id="shop",{called}' in found


async def test_calls_of_an_app_that_speaks_grpc(tmp_path: Path) -> None:
    """They are counted and measured, and part of their delivery's span."""

    async def subscriptions(_request: object, _context: object) -> messages.Message:
        orders = messages.TopicSubscription(pubsub_name="pubsub", topic="orders")
        return messages.ListTopicSubscriptionsResponse(subscriptions=[orders])

    done = always(messages.TopicEventResponse())
    async with grpc_app(ListTopicSubscriptions=subscriptions, OnTopicEvent=done) as app:
        options = RuntimeOptions("shop", app_port=app.port, app_protocol="grpc", metrics=True)
        configured = ConfigurationResource(tracing=TracingSpec("1"))
        files = replace(resources(COMPONENTS), configuration=configured)
        called = make_app(options)
        async with in_process_sidecar(
            tmp_path, {}, options=options, files=files, called=called
        ) as started:
            publish = HttpRequest("POST", "/v1.0/publish/pubsub/orders", (), b"1")
            await started.exchange.send(publish)
            await started.until(lambda: bool(app.seen(f"{SERVICE}OnTopicEvent")))
            await started.engine.work.idle()
            found = text_of(started)
        (call,) = app.seen(f"{SERVICE}OnTopicEvent")
    (parent,) = call.metadata["traceparent"]
    assert isinstance(parent, str)
    assert read_traceparent(parent) is not None
    method = f'grpc_client_method="{SERVICE}OnTopicEvent",grpc_client_status="OK"'
    assert f'dapr_grpc_io_client_completed_rpcs{{app_id="shop",{method}}} 1' in found
    assert "dapr_grpc_io_client_roundtrip_latency_bucket" in names(found)


def test_both_forms_of_a_context_go_to_apps_that_speak_grpc() -> None:
    """The binary one says the same; Python's library keeps it from those who receive it."""
    clock = VirtualClock(0.0)
    watch = AppWatch(clock, None, Tracer(1.0, Nowhere(), clock), untraced=False)
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    sent = dict(watch.sent((("traceparent", parent),)))
    binary = sent["grpc-trace-bin"]
    assert isinstance(binary, bytes)
    context = read_binary(binary)
    assert context is not None
    assert context.traceparent == sent["traceparent"] == parent
