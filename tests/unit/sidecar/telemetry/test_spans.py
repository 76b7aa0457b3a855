"""The spans of a sidecar, as a collector gets them, and what goes with calls."""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from daprflow.protocol import messages
from daprflow.protocol.configuration_file import (
    ApiLogging,
    ConfigurationResource,
    OtelSpec,
    TracingSpec,
)
from daprflow.protocol.http import HttpRequest, HttpResponse
from tests.helpers.collector import Collector
from tests.helpers.grpc_sidecar import grpc_sidecar
from tests.helpers.own_ports import free_port
from tests.helpers.recording import NOT_FOUND, Answer, RecordingApp
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar, resources

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")
ZEROS = "00-00000000000000000000000000000000-0000000000000000-00"
COMPONENTS: Components = {
    "pubsub": ("pubsub.in-memory", {}),
    "store": ("state.in-memory", {}),
}


def shop() -> RecordingApp:
    """Return an app that takes orders."""
    app = RecordingApp()
    orders = {"pubsubname": "pubsub", "topic": "orders", "route": "/orders"}
    app.answers["/dapr/subscribe"] = Answer.of([orders])
    app.answers["/dapr/config"] = NOT_FOUND
    return app


@contextlib.asynccontextmanager
async def sidecar(
    root: Path, app: RecordingApp, tracing: TracingSpec
) -> AsyncIterator[InProcessSidecar]:
    """Start a sidecar whose configuration says this of traces."""
    files = replace(resources(COMPONENTS), configuration=ConfigurationResource(tracing=tracing))
    async with in_process_sidecar(root, {}, app, files=files) as started:
        yield started


def zipkin(collector: Collector, rate: str = "1") -> TracingSpec:
    """Return a configuration that sends spans there."""
    return TracingSpec(rate, zipkin=f"{collector.url}/api/v2/spans")


async def call(
    started: InProcessSidecar,
    method: str,
    target: str,
    *headers: tuple[str, str],
    body: bytes = b"",
) -> HttpResponse:
    """Make a call on the HTTP API."""
    kind = ("content-type", "application/json")
    return await started.exchange.send(HttpRequest(method, target, (kind, *headers), body))


async def publish(started: InProcessSidecar, *headers: tuple[str, str]) -> HttpResponse:
    """Publish an order and wait until it is delivered."""
    answer = await call(started, "POST", "/v1.0/publish/pubsub/orders", *headers, body=b"1")
    await started.engine.work.idle()
    return answer


def delivered(app: RecordingApp) -> tuple[Mapping[str, str], dict[str, Any]]:
    """Return the headers of the one delivery, and its event."""
    (found,) = [each for each in app.calls if each.path == "/orders"]
    return dict(found.headers), msgspec.json.decode(found.body)


def tags(span: Mapping[str, Any]) -> dict[str, str]:
    """Return what a span says that is its own."""
    skipped = ("otel.", "service.", "server.")
    return {k: v for k, v in span["tags"].items() if not k.startswith(skipped)}


async def test_publishing_and_delivery_are_one_trace(tmp_path: Path) -> None:
    """The event belongs to the call, the delivery to the event, and the app to the delivery."""
    app = shop()
    with Collector() as collector:
        async with sidecar(tmp_path, app, zipkin(collector)) as started:
            answer = await publish(started, PARENT, ("tracestate", "a=b"))
        spans = {span["name"]: span for span in collector.zipkin}
    api, delivery = spans["/v1.0/publish/pubsub/orders"], spans["pubsub/orders"]
    headers, event = delivered(app)
    assert (api["traceId"], api["parentId"], api["kind"]) == (TRACE, SPAN, "CLIENT")
    assert (delivery["traceId"], delivery["parentId"]) == (TRACE, api["id"])
    assert answer.header("traceparent") == f"00-{TRACE}-{api['id']}-01"
    assert answer.header("tracestate") == "a=b"
    assert event["traceparent"] == event["traceid"] == answer.header("traceparent")
    assert event["tracestate"] == "a=b"
    assert headers["traceparent"] == f"00-{TRACE}-{delivery['id']}-01"
    assert tags(api) == {
        "dapr.api": "POST /v1.0/publish/pubsub/orders",
        "dapr.protocol": "http",
        "dapr.status_code": "204",
        "http.request.method": "POST",
        "messaging.system": "pubsub",
        "url.full": "/v1.0/publish/pubsub/orders",
    }
    assert tags(delivery) == {"messaging.system": "pubsub", "messaging.destination.name": "orders"}
    assert api["localEndpoint"]["serviceName"] == "app1"


async def test_what_spans_of_calls_say(tmp_path: Path) -> None:
    """State, invocation and headers that begin with ``dapr-``; health has no span, no token one."""
    app = shop()
    app.answers["/total"] = Answer(500)
    with Collector() as collector:
        async with sidecar(tmp_path, app, zipkin(collector)) as started:
            mine = (("dapr-mine", "1"), ("dapr-api-token", "secret"))
            await call(started, "GET", "/v1.0/state/store/k", *mine)
            await call(started, "GET", "/v1.0/state/none/k")
            await call(started, "POST", "/v1.0/invoke/app1/method/total?a=1")
            health = await call(started, "GET", "/v1.0/healthz")
        spans = {span["name"]: span for span in collector.zipkin}
    assert sorted(spans) == ["/v1.0/state/none/k", "/v1.0/state/store/k", "CallLocal/app1/total"]
    assert tags(spans["/v1.0/state/store/k"]) == {
        "dapr-mine": "1",
        "dapr.api": "GET /v1.0/state/store/k",
        "dapr.protocol": "http",
        "dapr.status_code": "204",
        "db.connection_string": "state",
        "db.name": "store",
        "db.statement": "GET /v1.0/state/store/k",
        "db.system": "state",
        "http.request.method": "GET",
        "url.full": "/v1.0/state/store/k",
    }
    assert tags(spans["/v1.0/state/none/k"])["error"] == "Code(400): Bad Request"
    invoked = tags(spans["CallLocal/app1/total"])
    assert invoked["rpc.service"] == "ServiceInvocation"
    assert invoked["net.peer.name"] == "app1"
    assert invoked["url.full"] == "/v1.0/invoke/app1/method/total?a=1"
    assert invoked["error"] == "Code(500): Internal Server Error"
    (total,) = [each for each in app.calls if each.path == "/total"]
    assert dict(total.headers)["traceparent"].split("-")[2] == spans["CallLocal/app1/total"]["id"]
    assert health.header("traceparent") == ""


async def test_each_event_of_a_batch_has_a_span_of_its_own(tmp_path: Path) -> None:
    """They are producers below the call, and each delivery is below its event's."""
    app = shop()
    body = msgspec.json.encode(
        [{"entryId": n, "event": n, "contentType": "text/plain"} for n in "ab"]
    )
    with Collector() as collector:
        async with sidecar(tmp_path, app, zipkin(collector)) as started:
            await call(started, "POST", "/v1.0-alpha1/publish/bulk/pubsub/orders", body=body)
            await started.engine.work.idle()
        spans = collector.zipkin
    (api,) = [span for span in spans if span["kind"] == "CLIENT" and "parentId" not in span]
    produced = {span["id"] for span in spans if span["kind"] == "PRODUCER"}
    assert len(produced) == 2
    assert all(s["parentId"] == api["id"] for s in spans if s["id"] in produced)
    assert {s["parentId"] for s in spans if s["name"] == "pubsub/orders"} == produced


async def test_with_no_tracing_configured_a_context_is_passed_on(tmp_path: Path) -> None:
    """A caller's goes on unchanged; without one it is all zeros, and events have none."""
    app = shop()
    async with sidecar(tmp_path, app, TracingSpec()) as started:
        answer = await publish(started, PARENT)
        headers, event = delivered(app)
        plain = await call(started, "GET", "/v1.0/state/store/k")
    assert (
        answer.header("traceparent") == headers["traceparent"] == event["traceparent"] == PARENT[1]
    )
    assert plain.header("traceparent") == ZEROS


async def test_the_rate_zero_adds_no_context_anywhere(tmp_path: Path) -> None:
    """Events and answers have none, invocation passes the caller's on, baggage is any header."""
    app = shop()
    async with sidecar(tmp_path, app, TracingSpec("0")) as started:
        answer = await publish(started, PARENT, ("baggage", "no baggage"))
        headers, event = delivered(app)
        assert "traceparent" not in headers
        assert event["traceparent"] == ""
        assert answer.status == 204
        assert not {name for name, _ in answer.headers} & {"traceparent", "baggage"}
        await call(started, "GET", "/v1.0/invoke/app1/method/a", PARENT)
        plain = await call(started, "GET", "/v1.0/invoke/app1/method/b")
    calls = {each.path: dict(each.headers) for each in app.calls}
    assert calls["/a"]["traceparent"] == PARENT[1]
    assert "traceparent" not in calls["/b"]
    assert plain.header("traceparent") == ""


async def test_a_rate_without_exporter_makes_new_ids(tmp_path: Path) -> None:
    """Nothing is sent anywhere, and nothing but this package is needed."""
    app = shop()
    async with sidecar(tmp_path, app, TracingSpec("1")) as started:
        answer = await publish(started, PARENT)
    headers, _ = delivered(app)
    seen = {PARENT[1], answer.header("traceparent"), headers["traceparent"]}
    assert len(seen) == 3
    assert all(each.split("-")[1] == TRACE for each in seen)


async def test_a_trace_nobody_records_is_not_sent(tmp_path: Path) -> None:
    """The flag of the caller counts, whatever the rate."""
    app = shop()
    with Collector() as collector:
        async with sidecar(tmp_path, app, zipkin(collector)) as started:
            answer = await publish(started, ("traceparent", f"00-{TRACE}-{SPAN}-00"))
        assert collector.posted == []
    assert answer.header("traceparent").endswith("-00")
    assert delivered(app)[0]["traceparent"].endswith("-00")


async def test_spans_go_by_otlp(tmp_path: Path) -> None:
    """Headers of the configuration go along; the service is the app."""
    with Collector() as collector:
        endpoint = collector.url.removeprefix("http://")
        headers = (("x-key", "k"),)
        otel = OtelSpec(endpoint, "http", is_secure=False, headers=headers)
        async with sidecar(tmp_path, shop(), TracingSpec("1", otel=otel)) as started:
            await call(started, "GET", "/v1.0/state/store/k", PARENT)
        (span,) = collector.otlp
        assert collector.posted[0].path == "/v1/traces"
        assert collector.posted[0].headers["x-key"] == "k"
        assert collector.resource["service.name"] == "app1"
    assert span.name == "/v1.0/state/store/k"
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == SPAN


async def test_a_collector_that_is_away_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls go on, and the end comes; one line says what is lost."""
    away = TracingSpec("1", zipkin=f"http://127.0.0.1:{free_port()}/api/v2/spans")
    with caplog.at_level(logging.INFO):
        async with sidecar(tmp_path, shop(), away) as started:
            for _ in range(3):
                await call(started, "GET", "/v1.0/state/store/k")
    lines = [record.getMessage() for record in caplog.records if "traces" in record.getMessage()]
    assert len(lines) == 1
    assert "cannot be sent to Zipkin at" in lines[0]


async def test_spans_as_lines_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """``stdout: true`` writes each span down."""
    with caplog.at_level(logging.INFO):
        async with sidecar(tmp_path, shop(), TracingSpec("1", stdout=True)) as started:
            await call(started, "GET", "/v1.0/state/store/k", PARENT)
    (line,) = [r.getMessage() for r in caplog.records if "Trace:" in r.getMessage()]
    assert f"[/v1.0/state/store/k] Trace: {TRACE} Span: {SPAN}/" in line


async def test_spans_of_the_grpc_api(tmp_path: Path) -> None:
    """They have the name of the method, and say what it is about; failures are errors."""
    with Collector() as collector:
        configured = ConfigurationResource(tracing=zipkin(collector))
        files = replace(resources(COMPONENTS), configuration=configured)
        app = shop()
        async with grpc_sidecar(tmp_path, {}, app, files=files) as started:
            request = messages.PublishEventRequest(
                pubsub_name="pubsub", topic="orders", data=b"1", data_content_type="text/plain"
            )
            sent = (PARENT, ("dapr-mine", "1"))
            await started.stub.PublishEvent(request, metadata=sent)
            missing = messages.GetStateRequest(store_name="none", key="k")
            with pytest.raises(Exception, match="none is not found"):
                await started.stub.GetState(missing)
            await started.inner.engine.work.idle()
        spans = {span["name"]: span for span in collector.zipkin}
    api = spans["/dapr.proto.runtime.v1.Dapr/PublishEvent"]
    assert (api["traceId"], api["parentId"], api["kind"]) == (TRACE, SPAN, "CLIENT")
    assert spans["pubsub/orders"]["parentId"] == api["id"]
    assert delivered(app)[1]["traceparent"] == f"00-{TRACE}-{api['id']}-01"
    assert tags(api) == {
        "dapr-mine": "1",
        "dapr.api": "/dapr.proto.runtime.v1.Dapr/PublishEvent",
        "dapr.protocol": "grpc",
        "messaging.destination.name": "orders",
        "messaging.system": "pubsub",
        "rpc.service": "Dapr",
    }
    failed = tags(spans["/dapr.proto.runtime.v1.Dapr/GetState"])
    assert failed["error"] == "state store none is not found"
    assert failed["db.name"] == "none"


@pytest.mark.parametrize(
    ("logged", "lines"),
    [
        (ApiLogging(), []),
        (ApiLogging(enabled=True), ["GET /v1.0/state/store/k", "GET /v1.0/healthz"]),
        (
            ApiLogging(enabled=True, obfuscate_urls=True, omit_health_checks=True),
            ["GET /v1.0/state/store"],
        ),
    ],
)
async def test_a_line_for_each_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, logged: ApiLogging, lines: list[str]
) -> None:
    """Keys can be left out, and health checks; queries never are in it."""
    files = replace(resources(COMPONENTS), configuration=ConfigurationResource(api_logging=logged))
    with caplog.at_level(logging.INFO):
        async with in_process_sidecar(tmp_path, {}, files=files) as started:
            await call(started, "GET", "/v1.0/state/store/k?metadata.a=1")
            await call(started, "GET", "/v1.0/healthz")
    texts = [r.getMessage() for r in caplog.records if "API Called" in r.getMessage()]
    called = [text.partition("Called: ")[2].partition(" answered")[0] for text in texts]
    assert called == lines


async def test_spans_go_by_otlp_over_grpc(tmp_path: Path) -> None:
    """Headers of the configuration go along as metadata."""
    taken: list[tuple[ExportTraceServiceRequest, dict[str, str]]] = []

    def export(request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
        taken.append((request, dict(context.invocation_metadata())))
        return ExportTraceServiceResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
    )
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        headers = (("x-key", "k"),)
        otel = OtelSpec(f"127.0.0.1:{port}", "grpc", is_secure=False, headers=headers)
        async with sidecar(tmp_path, shop(), TracingSpec("1", otel=otel)) as started:
            await call(started, "GET", "/v1.0/state/store/k", PARENT)
        server.stop(None).wait()
    ((request, metadata),) = taken
    (span,) = request.resource_spans[0].scope_spans[0].spans
    assert (span.name, span.trace_id.hex()) == ("/v1.0/state/store/k", TRACE)
    assert request.resource_spans[0].scope_spans[0].scope.name == "dapr-diagnostics"
    assert metadata["x-key"] == "k"
