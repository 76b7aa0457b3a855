"""The fakes of other teams' workflows and activities, where something goes wrong."""

from pathlib import Path

import pytest

from daprflow.handlers.codecs import NO_CODECS
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine import Engine
from daprflow.testing.fake_worker import FakeWorker
from daprflow.testing.faults import Faults
from tests.helpers.sidecar import in_process_sidecar
from tests.helpers.timing import eventually


async def test_what_stops_fakes_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why the fakes of an app answer nothing more stands in the log."""

    async def workflows(_: Engine) -> None:
        raise ComponentError("the disk is gone")

    monkeypatch.setattr(Engine, "workflows", workflows)
    async with in_process_sidecar(tmp_path, {}) as sidecar:
        worker = FakeWorker("bills", NO_CODECS, Faults("bills", sidecar.runtime.engine.clock))
        worker.start(sidecar.runtime.engine)
        await eventually(lambda: "the fakes of app 'bills' failed" in caplog.text)
        await worker.stop()
    assert "the disk is gone" in caplog.text
