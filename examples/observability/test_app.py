from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from daprflow import InvocationError
from daprflow.testing import TestSidecar
from examples.observability import collector, shop, warehouse
from tests.helpers.asgi import call_asgi


@pytest.fixture(autouse=True)
def observed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what dapr.yaml sets, but for the traces, which the test collects."""
    monkeypatch.setenv("DAPRFLOW_LOG_FORMAT", "json")
    monkeypatch.setenv("DAPRFLOW_METRICS", "on")


@asynccontextmanager
async def running() -> AsyncIterator[TestSidecar]:
    """Run both services."""
    async with TestSidecar(shop.app, peers=[warehouse.app], spans=True) as dapr:
        yield dapr


def lines(text: str) -> Iterator[dict[str, Any]]:
    """Return the log lines of both services."""
    return (msgspec.json.decode(line) for line in text.splitlines() if line.startswith("{"))


def counted(page: str, verdict: str) -> float:
    """Return how often ``buy`` ended so."""
    start = (
        f'daprflow_deliveries_total{{block="invoke",handler="buy",name="buy",verdict="{verdict}"}}'
    )
    return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(start))


async def test_an_order_is_one_trace_and_its_lines_say_which(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """From the shop through the warehouse to the store, and every line has the trace's id."""
    async with running() as dapr:
        assert await dapr.invoke(shop.buy, shop.Order("7", "tea")) == 300
    assert dapr.spans.tree().splitlines() == [
        "shop/buy",
        "  warehouse/reserve",
        "    warehouse/reserve",
        "  publish orders",
        "    process orders",
        "      state/save statestore",
    ]
    (trace,) = {f"{span.context.trace_id:032x}" for span in dapr.spans if span.context}
    told = {line["msg"]: line["trace_id"] for line in lines(capfd.readouterr().err)}
    assert told["sold"] == told["packed"] == told["topic pubsub/orders: success"] == trace


async def test_a_failure_is_found_in_all_three(capfd: pytest.CaptureFixture[str]) -> None:
    """The count says that something fails, the line why, the trace where."""
    async with running() as dapr:
        before = counted((await call_asgi(shop.app, "GET", "/metrics")).body.decode(), "error")
        with pytest.raises(InvocationError):
            await dapr.invoke(shop.buy, shop.Order("8", "gold"))
        page = (await call_asgi(shop.app, "GET", "/metrics")).body.decode()
    assert counted(page, "error") == before + 1
    failed = [line for line in lines(capfd.readouterr().err) if line["level"] == "error"]
    first, _ = failed
    assert (first["app_id"], first["error"]["type"]) == ("warehouse", "KeyError")
    broken = [span for span in dapr.spans if span.events]
    assert [(span.events[0].attributes or {})["exception.type"] for span in broken] == [
        "daprflow.errors.InvocationError",
        "KeyError",
    ]


async def test_the_collector_draws_the_trace_of_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children stand below their parents in the order in which they began."""
    monkeypatch.setattr(collector, "QUIET", 0.0)
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = resource.scope_spans.add().spans
    root = spans.add(name="buy", trace_id=b"t", span_id=b"1", start_time_unix_nano=1)
    root.attributes.add(key="shop.order").value.string_value = "7"
    spans.add(
        name="later", trace_id=b"t", span_id=b"3", parent_span_id=b"1", start_time_unix_nano=9
    )
    failed = spans.add(
        name="sooner", trace_id=b"t", span_id=b"2", parent_span_id=b"1", start_time_unix_nano=5
    )
    failed.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="KeyError"))
    async with TestSidecar(collector.service, host=collector.app):
        taken = await call_asgi(
            collector.app, "POST", "/v1/traces", (), request.SerializeToString()
        )
        drawn = await call_asgi(collector.app, "GET", "/orders/7")
    assert taken.status == 200
    assert drawn.body.decode() == "shop: buy\n  shop: sooner  ! KeyError\n  shop: later"
