"""``daprflow run`` as an operator sees it: one tree of app and sidecar, and the port of metrics."""

from pathlib import Path

import httpx2
import pytest

from tests.helpers.cli_run import Run
from tests.helpers.collector import Collector
from tests.helpers.own_ports import free_port

pytestmark = pytest.mark.sockets

APP = """
import msgspec
from daprflow import Client, DaprFlow, Topic


class Order(msgspec.Struct):
    id: str


orders = Topic("pubsub", "orders", Order)
app = DaprFlow("shop")


@app.invoke
async def buy(order: Order, *, client: Client) -> None:
    await client.publish(orders, order)


@app.topic(orders)
async def on_order(order: Order, *, client: Client) -> None:
    await client.state("statestore").set(order.id, order)
    print("kept", order.id, flush=True)
"""
TELLS_PORT = (
    APP
    + """
import os
print("metrics", os.environ.get("DAPR_METRICS_PORT"), flush=True)
"""
)
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def invoke(run: Run, method: str, body: object = None) -> str:
    """Invoke the app, as part of a trace, and return what it answered."""
    url = f"http://127.0.0.1:{run.port('Dapr HTTP')}/v1.0/invoke/shop/method/{method}"
    answer = httpx2.post(url, json=body, headers=PARENT, timeout=30)
    return answer.raise_for_status().text


def start(run: Run, workflow: str, instance_id: str, data: str) -> None:
    """Start a workflow over Dapr's own API, as part of a trace."""
    path = f"/v1.0/workflows/dapr/{workflow}/start?instanceID={instance_id}"
    url = f"http://127.0.0.1:{run.port('Dapr HTTP')}{path}"
    httpx2.post(url, content=data, headers=PARENT, timeout=30).raise_for_status()


def metrics(port: int) -> httpx2.Response:
    """Read the metrics."""
    return httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=30).raise_for_status()


def sent_to(collector: Collector) -> dict[str, str]:
    """Return the variables that have spans sent there."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
    }


def tree(collector: Collector) -> list[str]:
    """Return the spans below ours, each with its depth in points, in the order of their start."""
    spans: dict[str, list[tuple[str, str]]] = {}
    found = [span for span in collector.otlp if span.trace_id.hex() == TRACE]
    for span in sorted(found, key=lambda each: each.start_time_unix_nano):
        spans.setdefault(span.parent_span_id.hex(), []).append((span.span_id.hex(), span.name))

    def below(parent: str, depth: int) -> list[str]:
        lines: list[str] = []
        for own, name in spans.get(parent, []):
            lines += ["." * depth + name, *below(own, depth + 1)]
        return lines

    return below(SPAN, 0)


def test_one_tree_from_publisher_through_handler_to_store(tmp_path: Path) -> None:
    """App and sidecar send their spans to one collector, and each knows what it belongs to."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    with Collector() as collector:
        env = sent_to(collector)
        with Run(tmp_path, "run", "app.py", "--sidecar", "embedded", env=env) as run:
            invoke(run.ready(), "buy", {"id": "o1"})
            run.until("kept o1")
            run.send(2)
            assert run.ended() == 0, run.text
        assert tree(collector) == [
            "CallLocal/shop/buy",
            ".shop/buy",
            "..publish orders",
            ".../v1.0/publish/pubsub/orders",
            "....pubsub/orders",
            ".....process orders",
            "......state/save statestore",
            "......./v1.0/state/statestore",
        ]


@pytest.mark.row("S-29")
def test_metrics_are_served_on_loopback(tmp_path: Path) -> None:
    """The port is the wanted one, and the app is told of it."""
    port = free_port()
    (tmp_path / "app.py").write_text(TELLS_PORT, encoding="utf-8")
    words = ("run", "app.py", "--sidecar", "embedded", "--metrics-port", str(port))
    with Run(tmp_path, *words) as run:
        invoke(run.ready(), "buy", {"id": "o1"})
        run.until("kept o1")
        found = metrics(port)
        run.send(2)
        assert run.ended() == 0, run.text
    assert f"metrics {port}" in run.text
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'dapr_component_pubsub_egress_count{app_id="shop"' in found.text
    assert 'dapr_http_server_request_count{app_id="shop",method="POST"' in found.text


def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    """Then there is no such port, and the app is told of none."""
    (tmp_path / "app.py").write_text(TELLS_PORT, encoding="utf-8")
    words = ("run", "app.py", "--sidecar", "embedded", "--enable-metrics=false")
    with Run(tmp_path, *words) as run:
        run.ready()
        run.send(2)
        assert run.ended() == 0, run.text
    assert "metrics None" in run.text


WORK = (
    APP
    + """
from contextlib import suppress
from datetime import timedelta
from daprflow import Actor, NotFound, WorkflowContext


@app.actor(idle=timedelta(seconds=1))
class Cart(Actor[list[str]]):
    async def add(self, sku: str) -> int:
        await self.set_timer(self.tick, due=timedelta(milliseconds=1))
        return 1

    async def tick(self) -> None:
        print("ticked", flush=True)


@app.activity
async def charge(amount: int) -> int:
    return amount + 1


@app.workflow
async def checkout(ctx: WorkflowContext, amount: int) -> int:
    return await ctx.call(charge, amount)


@app.invoke
async def work(*, client: Client) -> int | None:
    await client.actor(Cart, "ann").add("sku")
    run = await client.start(checkout, 1)
    found = await run.result()
    await run.purge()
    with suppress(NotFound):
        await run.purge()
    return found


@app.invoke
async def ended(*, client: Client) -> int | None:
    return await client.workflow(checkout, "w1").result()
"""
)
CREATED = 'workflow_operation_count{app_id="shop",namespace="",operation="create_workflow",'
PURGED = CREATED.replace("create_workflow", "purge_workflow")
RAN = 'workflow_execution_count{app_id="shop",namespace="",status="success",'
CHARGED = 'workflow_activity_execution_count{activity_name="charge",app_id="shop",namespace="",'
WORKED = (
    f'{CREATED}status="success"}} 1',
    f'{PURGED}status="success"}} 1',
    f'{PURGED}status="failed"}} 1',
    f'{RAN}workflow_name="checkout"}} 1',
    f'{CHARGED}status="success"}} 1',
    "workflow_scheduling_latency_count{",
    'actor_timers_fired_total{actor_type="Cart",app_id="shop",success="true"} 1',
    'actor_pending_actor_calls{actor_type="Cart",app_id="shop"} 0',
    'component_loaded{app_id="shop"} ',
)


def test_workflows_are_in_the_tree_and_in_the_metrics(tmp_path: Path) -> None:
    """The sidecar has a span for the start, one for the workflow and one for each activity.

    What is started over Dapr's own API is part of that call, as with the real runtime.
    """
    (tmp_path / "app.py").write_text(WORK, encoding="utf-8")
    port = free_port()
    words = ("run", "app.py", "--sidecar", "embedded", "--metrics-port", str(port))
    with Collector() as collector:
        with Run(tmp_path, *words, env=sent_to(collector)) as run:
            assert invoke(run.ready(), "work") == "2"
            run.until("ticked")
            text = metrics(port).text
            start(run, "checkout", "w1", "7")
            assert invoke(run, "ended") == "8"
            run.send(2)
            assert run.ended() == 0, run.text
        lines = tree(collector)
    at = lines.index("...create_orchestration||checkout")
    assert lines[at : at + 4] == [
        "...create_orchestration||checkout",
        "....orchestration||checkout",
        ".....activity||charge",
        "......activity charge",
    ]
    at = lines.index("/v1.0/workflows/dapr/checkout/start")
    assert lines[at + 1 : at + 4] == [
        ".create_orchestration||checkout",
        "..orchestration||checkout",
        "...activity||charge",
    ]
    assert lines.count("...CallActor/Cart/add") == 1
    for line in WORKED:
        assert f"\ndapr_runtime_{line}" in text
