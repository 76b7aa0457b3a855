from datetime import timedelta
from pathlib import Path

import pytest

from daprflow.testing import TestSidecar
from examples.bindings.app import app, report

RESOURCES = Path(__file__).parent / "resources"


async def test_the_report_is_written_on_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five seconds later the report lies in the folder that the component names."""
    monkeypatch.chdir(tmp_path)
    async with TestSidecar(app, resources_path=RESOURCES) as dapr:
        await dapr.advance(timedelta(seconds=5))
        assert await dapr.invoke(report) == "all is well"
    assert (tmp_path / ".daprflow" / "reports" / "report.txt").is_file()
