"""Deadlines of calls under way."""

import asyncio

import pytest

from daprflow.client import Client
from daprflow.errors import SidecarUnavailable
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings


class Slow:
    """A transport that answers nobody."""

    address = "nowhere"

    def __init__(self) -> None:
        self.waiting = 0

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        self.waiting += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting -= 1
        raise AssertionError

    async def close(self) -> None:
        """Hold nothing."""


def client_of(line: Slow, timeout: float) -> Client:
    """Return a client that does not ask for health."""
    return Client(Settings(health_timeout=0, http_timeout=timeout), transport=line)


@pytest.mark.row("FA-04")
async def test_each_call_has_its_own_limit() -> None:
    """The shorter one ends first, whichever came first, and neither ends the other."""
    line = Slow()
    client = client_of(line, 30)
    patient = asyncio.create_task(client.publish("p", "t", 1))
    await asyncio.sleep(0)
    with pytest.raises(SidecarUnavailable, match=r"POST /v1\.0/publish/\.\.\. within 0\.01 s"):
        await client.with_options(timeout=0.01).publish("p", "t", 1)

    assert not patient.done()
    assert line.waiting == 1
    patient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await patient
    await client.close()


async def test_calls_that_begin_later_end_later() -> None:
    """The one timer is set anew for whoever is next."""
    line = Slow()
    client = client_of(line, 0.02)
    for _ in range(3):
        with pytest.raises(SidecarUnavailable):
            await client.publish("p", "t", 1)
    assert line.waiting == 0
    await client.close()


async def test_a_limit_around_the_call_is_the_callers() -> None:
    """``asyncio.timeout`` and cancellation stay what they are."""
    client = client_of(Slow(), 30)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await client.publish("p", "t", 1)
    await client.close()


async def test_building_blocks_have_a_limit_of_their_own() -> None:
    """``DAPR_API_TIMEOUT_SECONDS`` is for them, ``DAPR_HTTP_TIMEOUT_SECONDS`` for invocations."""
    settings = Settings.from_env(
        {
            "DAPR_API_TIMEOUT_SECONDS": "0.01",
            "DAPR_HTTP_TIMEOUT_SECONDS": "0.02",
            "DAPR_HEALTH_TIMEOUT": "0",
        }
    )
    client = Client(settings, transport=Slow())
    with pytest.raises(SidecarUnavailable, match=r"within 0\.01 s"):
        await client.publish("p", "t", 1)
    with pytest.raises(SidecarUnavailable, match=r"within 0\.02 s"):
        await client.request("a", "m")
    await client.close()


def test_a_client_may_serve_one_loop_after_another() -> None:
    """A transport without connections knows no loop, and neither does a limit."""
    client = client_of(Slow(), 0.01)
    for _ in range(2):
        with pytest.raises(SidecarUnavailable):
            asyncio.run(client.publish("p", "t", 1))
    asyncio.run(client.close())


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_a_limit_that_leaves_no_time_is_refused(timeout: float) -> None:
    """It is no way to say "for ever"."""
    with pytest.raises(ValueError, match="leaves no time"):
        Client().with_options(timeout=timeout)
