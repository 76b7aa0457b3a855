"""The wait for a sidecar, as the log tells it."""

import logging

import pytest

from daprflow.client.readiness import wait_until_ready
from daprflow.protocol.http import HttpRequest, HttpResponse


class Late:
    """A sidecar that is ready at the third question."""

    address = "here"

    def __init__(self) -> None:
        self.asked = 0

    async def send(self, _: HttpRequest, /) -> HttpResponse:
        """Answer."""
        self.asked += 1
        return HttpResponse(204 if self.asked > 2 else 500)

    async def close(self) -> None:
        """Do nothing."""


@pytest.mark.row("FA-02")
async def test_a_long_wait_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line says what is waited for and how long, another one that it is there."""
    caplog.set_level(logging.INFO, "daprflow.client.readiness")
    await wait_until_ready(Late(), 60, told_after=0)
    waiting, there = [record.getMessage() for record in caplog.records]
    assert waiting == (
        "waiting for the sidecar, 60 s at most (DAPR_HEALTH_TIMEOUT): the sidecar at here is not "
        "ready: it answered its health check with status 500"
    )
    assert there.startswith("the sidecar is ready; that took ")


async def test_a_short_wait_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """Most sidecars are there soon, and nobody reads of it."""
    caplog.set_level(logging.INFO, "daprflow.client.readiness")
    await wait_until_ready(Late(), 60)
    assert caplog.records == []
