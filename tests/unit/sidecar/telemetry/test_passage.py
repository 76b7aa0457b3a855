"""Calls between apps: both sidecars have a span, and both count."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from daprflow.protocol import messages
from daprflow.protocol.configuration_file import ConfigurationResource, TracingSpec
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from daprflow.sidecar.telemetry.exposition import exposed
from tests.helpers.collector import Collector
from tests.helpers.grpc_app import always, grpc_app
from tests.helpers.grpc_callers import callers, message
from tests.helpers.recording import RecordingApp
from tests.helpers.sidecar import resources

INVOCATION = "dapr_runtime_service_invocation_"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)


def counted(runtime: Runtime) -> str:
    """Return the metrics of a sidecar."""
    assert runtime.telemetry.meters is not None
    return exposed(runtime.telemetry.meters.registry).decode()


def traced(collector: Collector) -> Resources:
    """Return files that have every span sent to a collector."""
    tracing = TracingSpec("1", zipkin=f"{collector.url}/api/v2/spans")
    return replace(resources({}), configuration=ConfigurationResource(tracing=tracing))


async def test_a_call_of_another_app(tmp_path: Path) -> None:
    """The caller's span is of a client, the callee's of a server, and the app is below that."""
    app = RecordingApp()
    with Collector() as collector:
        files = traced(collector)
        engine = Engine(VirtualClock(1000.0), None, tmp_path)
        shop = Runtime(engine, RuntimeOptions("shop", metrics=True), files, None)
        options = RuntimeOptions("stock", app_port=1, metrics=True)
        stock = Runtime(engine, options, files, HttpApp(AsgiChannel(app)))
        for runtime in (shop, stock):
            await runtime.open()
        call = HttpRequest("GET", "/v1.0/invoke/stock/method/take/it?n=1", PARENT)
        answer = await AsgiChannel(HttpApi(shop)).send(call)
        told = counted(shop), counted(stock)
        await engine.close()
        spans = collector.zipkin
    (client,) = [span for span in spans if span["kind"] == "CLIENT"]
    (server,) = [span for span in spans if span["kind"] == "SERVER"]
    assert client["name"] == server["name"] == "CallLocal/stock/take/it"
    assert [span["localEndpoint"]["serviceName"] for span in (client, server)] == ["shop", "stock"]
    assert (client["parentId"], server["parentId"]) == (SPAN, client["id"])
    (taken,) = app.calls
    assert dict(taken.headers)["traceparent"] == f"00-{TRACE}-{server['id']}-01"
    assert answer.header("traceparent") == f"00-{TRACE}-{client['id']}-01"
    sent = 'req_sent_total{app_id="shop",dst_app_id="stock",type="unary"} 1'
    assert f"{INVOCATION}{sent}" in told[0]
    received = 'req_recv_total{app_id="stock",src_app_id="shop"} 1'
    assert f"{INVOCATION}{received}" in told[1]
    status = f'status="{answer.status}",type="unary"}} 1'
    answered = f'res_recv_total{{app_id="shop",src_app_id="stock",{status}'
    assert f"{INVOCATION}{answered}" in told[0]


async def test_a_message_for_another_app_over_grpc(tmp_path: Path) -> None:
    """``InvokeService``: both sides have a span, and the app is below the callee's."""
    with Collector() as collector:
        async with (
            grpc_app(OnInvoke=always(messages.InvokeResponse())) as app,
            callers(tmp_path, traced(collector), metrics=True, shop=None, stock=app) as made,
        ):
            found = await made["shop"].invoke("stock", message("take"), PARENT)
            told = counted(made["shop"].runtime), counted(made["stock"].runtime)
        spans = collector.zipkin
    assert found.code == "OK"
    (client,) = [span for span in spans if span["kind"] == "CLIENT"]
    (server,) = [span for span in spans if span["kind"] == "SERVER"]
    assert client["name"] == server["name"] == "CallLocal/stock/take"
    assert (client["parentId"], server["parentId"]) == (SPAN, client["id"])
    assert app.calls[-1].metadata["traceparent"] == [f"00-{TRACE}-{server['id']}-01"]
    answered = 'res_recv_total{app_id="shop",src_app_id="stock",status="0",type="unary"} 1'
    assert f"{INVOCATION}{answered}" in told[0]
    assert f'{INVOCATION}req_recv_total{{app_id="stock",src_app_id="shop"}} 1' in told[1]


async def refuse(_requests: object, context: Any) -> None:
    """Fail."""
    await context.abort(grpc.StatusCode.NOT_FOUND, "no such sku")


async def test_a_call_that_is_passed_on_over_grpc(tmp_path: Path) -> None:
    """Each side has a span named for the method; the app gets the caller's own context."""
    method = "/stock.Stock/Take"
    with Collector() as collector:
        async with (
            grpc_app(ListInputBindings=always(messages.ListInputBindingsResponse())) as app,
            callers(tmp_path, traced(collector), metrics=True, shop=None, stock=app) as made,
        ):
            app.streams[method] = refuse
            found = await made["shop"].pass_on(method, ("dapr-app-id", "stock"), *PARENT)
            told = counted(made["shop"].runtime)
        spans = [span for span in collector.zipkin if span["name"].lower() == method.lower()]
    assert (found.code, found.text) == ("NOT_FOUND", "no such sku")
    assert sorted(span["kind"] for span in spans) == ["CLIENT", "SERVER"]
    assert {span["parentId"] for span in spans} == {SPAN}
    (server,) = [span for span in spans if span["kind"] == "SERVER"]
    assert server["localEndpoint"]["serviceName"] == "stock"
    assert "no such sku" in str(server["tags"])
    assert app.seen(method)[-1].metadata["traceparent"] == [PARENT[0][1]]
    answered = 'res_recv_total{app_id="shop",src_app_id="stock",status="5",type="unary"} 1'
    assert f"{INVOCATION}{answered}" in told
