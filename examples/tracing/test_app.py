import pytest

from daprflow import WorkflowFailed
from daprflow.testing import TestSidecar
from examples.tracing.app import Order, app, buy, checkout


async def test_an_order_is_one_trace() -> None:
    """From the invocation to the activity, everything belongs to one tree."""
    async with TestSidecar(app, spans=True) as dapr:
        await dapr.invoke(buy, Order("o1", 5))
        assert await dapr.workflow(checkout, "o1").result() == 5
    assert dapr.spans.tree().splitlines() == [
        "tracing-example/buy",
        "  publish orders",
        "    process orders",
        "      state/save statestore",
        "      workflows/start checkout",
        "        workflow checkout",
        "        activity charge",
        "        workflow checkout",
    ]


async def test_a_failure_is_told_where_it_happened() -> None:
    """The span of the activity has what it raised."""
    async with TestSidecar(app, spans=True) as dapr:
        await dapr.invoke(buy, Order("o2", -5))
        with pytest.raises(WorkflowFailed):
            await dapr.workflow(checkout, "o2").result()
    (event,) = dapr.spans.named("activity charge").events
    assert (event.attributes or {})["exception.message"] == "order 'o2' has a negative total"
