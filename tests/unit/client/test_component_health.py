"""What a client tells of its sidecar, and how often it asks."""

import asyncio
from datetime import timedelta

import pytest

from daprflow import Client, SidecarUnavailable, SyncClient
from daprflow.client.component_health import sidecar_health
from daprflow.health import HealthStatus
from daprflow.protocol.http import HttpRequest, HttpResponse

METADATA = b"""{"components":[
    {"name":"store","type":"state.redis"}, {"name":"vault","type":"secretstores.local.file"},
    {"name":"sms","type":"bindings.twilio"}]}"""


class Sidecar:
    """Answers what a healthy sidecar does, or what a test wants; it counts."""

    address = "here"

    def __init__(self) -> None:
        self.asked = 0
        self.metadata = HttpResponse(200, (), METADATA)
        self.silent = False
        self.away = False

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer."""
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise SidecarUnavailable("no sidecar answered at here; start one")
        return self.metadata if request.target == "/v1.0/metadata" else HttpResponse(204)

    async def close(self) -> None:
        """Do nothing."""


async def test_every_component_is_told_asked_or_not() -> None:
    """What has no harmless question counts as loaded, and the report says that it was not asked."""
    async with Client(transport=Sidecar()) as client:
        report = await client.health()
    assert report.ready
    assert [(each.name, each.type, each.probed) for each in report.parts] == [
        ("here", "", True),
        ("store", "state.redis", True),
        ("vault", "secretstores.local.file", False),
        ("sms", "bindings.twilio", False),
    ]


async def test_a_report_is_kept_for_a_while() -> None:
    """Nobody asks again in that time, unless it is wanted, or other components are."""
    sidecar = Sidecar()
    async with Client(transport=sidecar) as client:
        first = await client.health()
        asked = sidecar.asked
        assert await client.health(max_age=timedelta(hours=1)) is first
        assert sidecar.asked == asked
        assert await client.health(max_age=0) is not first
        assert sidecar.asked == 2 * asked - 1  # without the wait for the sidecar
        report = await client.health(components=["nowhere"])
        assert [each.name for each in report.causes] == ["nowhere"]


async def test_a_sidecar_that_is_away_or_silent_is_down() -> None:
    """The reason is told without advice; nothing else is asked then."""
    sidecar = Sidecar()
    sidecar.away = True
    (part,) = await sidecar_health(sidecar, 1)
    assert (part.status, part.reason) == (HealthStatus.DOWN, "no sidecar answered at here")
    sidecar.away, sidecar.silent = False, True
    (part,) = await sidecar_health(sidecar, 0.01)
    assert (part.status, part.reason) == (
        HealthStatus.DOWN,
        "nothing was answered within 0.01 s",
    )
    assert sidecar.asked == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HttpResponse(500), "its metadata have status 500"),
        (HttpResponse(200, (), b"<html>"), "its metadata are not a sidecar's"),
    ],
)
async def test_metadata_that_cannot_be_read_degrade(answer: HttpResponse, reason: str) -> None:
    """Then nothing is known of components."""
    sidecar = Sidecar()
    sidecar.metadata = answer
    (part,) = await sidecar_health(sidecar, 1)
    assert (part.status, part.reason) == (HealthStatus.DEGRADED, reason)


def test_code_without_a_loop_asks_the_same() -> None:
    """The synchronous client gives the same report."""
    with SyncClient(transport=Sidecar()) as client:
        assert client.health().ready
        assert not client.health(components=["nowhere"]).ready
