"""Calls between apps: both sidecars have a span, and both count."""

from dataclasses import replace
from pathlib import Path

from daprflow.protocol.configuration_file import ConfigurationResource, TracingSpec
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.runtime import Runtime
from daprflow.sidecar.telemetry.exposition import exposed
from tests.helpers.collector import Collector
from tests.helpers.recording import RecordingApp
from tests.helpers.sidecar import resources

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def counted(runtime: Runtime) -> str:
    """Return the metrics of a sidecar."""
    assert runtime.telemetry.meters is not None
    return exposed(runtime.telemetry.meters.registry).decode()


async def test_a_call_of_another_app(tmp_path: Path) -> None:
    """The caller's span is of a client, the callee's of a server, and the app is below that."""
    app = RecordingApp()
    with Collector() as collector:
        tracing = TracingSpec("1", zipkin=f"{collector.url}/api/v2/spans")
        files = replace(resources({}), configuration=ConfigurationResource(tracing=tracing))
        engine = Engine(VirtualClock(1000.0), None, tmp_path)
        shop = Runtime(engine, RuntimeOptions("shop", metrics=True), files, None)
        options = RuntimeOptions("stock", app_port=1, metrics=True)
        stock = Runtime(engine, options, files, HttpApp(AsgiChannel(app)))
        for runtime in (shop, stock):
            await runtime.open()
        parent = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
        call = HttpRequest("GET", "/v1.0/invoke/stock/method/take/it?n=1", parent)
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
    assert f"dapr_runtime_service_invocation_{sent}" in told[0]
    received = 'req_recv_total{app_id="stock",src_app_id="shop"} 1'
    assert f"dapr_runtime_service_invocation_{received}" in told[1]
    status = f'status="{answer.status}",type="unary"}} 1'
    answered = f'res_recv_total{{app_id="shop",src_app_id="stock",{status}'
    assert f"dapr_runtime_service_invocation_{answered}" in told[0]
