"""Calls over real connections while one app hangs, and while the sidecar is away and back."""

import asyncio

import pytest

from daprflow.client import Client, TooManyCalls
from daprflow.errors import SidecarUnavailable
from daprflow.settings import Settings
from tests.helpers.hanging_sidecar import HangingSidecar, hanging_sidecar
from tests.helpers.own_ports import free_port
from tests.helpers.timing import eventually

PLACES = 8


async def call(client: Client, app: str) -> None:
    """Call a method of an app, once."""
    await client.request(app, "it", verb="GET")


async def test_a_hung_app_holds_its_own_connections_and_no_others() -> None:
    """However many callers want it, others are answered, over few connections."""
    async with hanging_sidecar() as sidecar:
        settings = Settings(
            http_endpoint=f"http://127.0.0.1:{sidecar.port}", calls_per_target=PLACES
        )
        async with Client(settings) as client:
            hung = [asyncio.create_task(call(client, "slow")) for _ in range(600)]
            await eventually(lambda: sidecar.hanging == PLACES)
            for _ in range(20):
                await asyncio.gather(*(call(client, "quick") for _ in range(PLACES)))
            assert sidecar.hanging == PLACES
            assert sidecar.connections <= 2 * PLACES + 1
            load = next(each for each in client.loads if each.target == "slow")
            assert (load.in_flight, load.waiting) == (PLACES, 600 - PLACES)
            sidecar.go_on.set()
            await asyncio.gather(*hung)


async def test_streams_take_places_until_they_are_closed() -> None:
    """A body that nobody reads is a call under way."""
    async with hanging_sidecar() as sidecar:
        endpoint = f"http://127.0.0.1:{sidecar.port}"
        settings = Settings(http_endpoint=endpoint, calls_per_target=1, calls_wait=0.02)
        async with Client(settings) as client:
            async with client.stream("quick", "it", verb="GET"):
                with pytest.raises(TooManyCalls):
                    await call(client, "quick")
            await call(client, "quick")


async def test_calls_work_again_soon_after_the_sidecar_is_back() -> None:
    """Away, calls fail at once; then the first one that is due finds it (G8)."""
    port = free_port()
    sidecar = HangingSidecar()
    settings = Settings(http_endpoint=f"http://127.0.0.1:{port}", circuit_failures=3)
    server = await asyncio.start_server(sidecar.serve, "127.0.0.1", port)
    async with Client(settings) as client:
        await call(client, "quick")
        server.close()
        await client._caller.way.transport.close()  # type: ignore[union-attr]
        await server.wait_closed()
        for _ in range(3):
            with pytest.raises(SidecarUnavailable):
                await client.publish("pubsub", "orders", 1)
        with pytest.raises(SidecarUnavailable, match="has been away since"):
            await client.publish("pubsub", "orders", 1)
        away = client.circuit
        server = await asyncio.start_server(sidecar.serve, "127.0.0.1", port)
        try:
            await asyncio.sleep(away.retry_in)
            await call(client, "quick")
        finally:
            server.close()
        assert (away.state, client.circuit.state) == ("open", "closed")
