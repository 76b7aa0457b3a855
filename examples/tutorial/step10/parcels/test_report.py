from datetime import timedelta

import pytest

from daprflow import DaprFlow
from daprflow.testing import TestSidecar

from .app import app
from .contracts import Scan, scans


@pytest.fixture
def dapr_app() -> DaprFlow:
    return app


async def test_the_report_comes_every_evening(
    dapr: TestSidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    """A parcel that was scanned twice is in it once; the next day begins with none."""
    for place in ("Lyon", "Basel"):
        await dapr.publish(scans, Scan("p1", place))
    await dapr.advance(timedelta(days=2))
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2:] == ["moved today: p1", "no parcel has moved today"]
