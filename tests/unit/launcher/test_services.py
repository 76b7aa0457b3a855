"""Where a real runtime finds its placement and its scheduler."""

import asyncio
from dataclasses import replace

import pytest

from daprflow.launcher.services import PLACEMENT, SCHEDULER, address_of
from tests.helpers.own_ports import free_port


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("placed", "placed:50005"),
        ("10.0.0.1:7", "10.0.0.1:7"),
        ("one, two:7", "one:50005,two:7"),
        ("", None),
        (" ", None),
    ],
)
async def test_a_service_that_is_named(named: str, expected: str | None) -> None:
    """It gets the port of `dapr init` where it has none; an empty name is none."""
    assert await address_of(PLACEMENT, named) == expected


@pytest.mark.row("FC-10")
async def test_a_service_of_this_machine() -> None:
    """It is taken where it listens, for a runtime waits for ever for one that does not."""
    service = replace(PLACEMENT, port=free_port())
    assert await address_of(service, None) is None
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", service.port)
    async with server:
        assert await address_of(service, None) == f"127.0.0.1:{service.port}"


@pytest.mark.row("FC-10")
def test_what_an_app_lacks_is_said() -> None:
    """The note names what does not happen, where the service was looked for, and what to do."""
    assert PLACEMENT.missing({"topic", "job"}) == ""
    assert "no actor can be called" in PLACEMENT.missing({"actor"})
    note = SCHEDULER.missing({"job"})
    assert "no scheduler listens on 127.0.0.1:50006, so jobs" in note
    assert "--scheduler-host-address" in note
