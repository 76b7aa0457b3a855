from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daprflow import InvocationError, Status
from daprflow.testing import OutputBinding, TestSidecar
from examples.bindings.app import Request, app, ask, report

RESOURCES = Path(__file__).parent / "resources"


@pytest.fixture
async def dapr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestSidecar]:
    """Run the app in a folder of the test's own, with the example's components."""
    monkeypatch.chdir(tmp_path)
    async with TestSidecar(app, resources_path=RESOURCES) as sidecar:
        yield sidecar


async def test_the_report_is_written_on_schedule(dapr: TestSidecar, tmp_path: Path) -> None:
    """Five seconds later the report lies in the folder that the component names."""
    await dapr.advance(timedelta(seconds=4))
    with pytest.raises(InvocationError):
        await dapr.invoke(report, name="report")
    await dapr.advance(timedelta(seconds=1))
    assert await dapr.invoke(report, name="report") == "all is well"
    assert (tmp_path / ".daprflow" / "reports" / "report.txt").is_file()


async def test_a_request_comes_through_the_queue(dapr: TestSidecar) -> None:
    """What is put into the queue is delivered to the handler of that name."""
    await dapr.invoke(ask, Request("ann"))
    await dapr.settle()
    assert await dapr.invoke(report, name="ann") == "for ann"


async def test_a_request_is_not_lost_where_its_report_cannot_be_written(dapr: TestSidecar) -> None:
    """The queue gets a failure for an answer, and keeps the request for another delivery."""
    dapr.fail(OutputBinding("reports", "create"), times=1)
    assert await dapr.trigger("requests", Request("bob")) is Status.RETRY
    assert await dapr.trigger("requests", Request("bob")) is Status.SUCCESS
    assert await dapr.invoke(report, name="bob") == "for bob"
