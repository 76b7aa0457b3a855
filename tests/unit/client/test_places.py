"""Calls in flight per target: one that hangs takes its own places, and no others'."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from daprflow.client import Client, TooManyCalls
from daprflow.client.describing import target_of
from daprflow.client.places import KEPT, Place, Places
from daprflow.errors import SidecarUnavailable
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from tests.helpers.grpc_beside import GrpcBeside
from tests.helpers.small_sidecar import SmallSidecar
from tests.helpers.timing import eventually


class Apps:
    """A transport whose app 'slow' answers when it is told to."""

    address = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.under_way = 0
        self.most = 0

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer; calls of one app wait."""
        if "/slow/" in request.target:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                await self.go_on.wait()
            finally:
                self.under_way -= 1
        await asyncio.sleep(0)
        return HttpResponse(204)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def apps() -> Apps:
    """Apps, one of which is slow."""
    return Apps()


@pytest.fixture
async def client(apps: Apps) -> AsyncIterator[Client]:
    """A client with two places for each app, and room for three that wait."""
    settings = Settings(calls_per_target=2, calls_waiting=3, calls_wait=0.05)
    async with Client(settings, transport=apps) as client:
        yield client


def calling(client: Client, times: int) -> "list[asyncio.Task[object]]":
    """Call the slow app."""
    return [asyncio.create_task(client.request("slow", "it")) for _ in range(times)]


async def test_a_hung_app_takes_its_own_places_only(client: Client, apps: Apps) -> None:
    """Calls of others go on, and no more than two of it are ever sent."""
    hung = calling(client, 4)
    await asyncio.sleep(0)
    for _ in range(50):
        await client.request("quick", "it")
    loads = {each.target: (each.in_flight, each.waiting, each.most) for each in client.loads}
    assert loads == {"slow": (2, 2, 2), "quick": (0, 0, 2)}
    apps.go_on.set()
    await asyncio.gather(*hung)
    assert apps.most == 2
    assert [each.in_flight for each in client.loads] == [0, 0]


async def test_who_waits_in_vain_is_told_for_whom(client: Client, apps: Apps) -> None:
    """The error names the app, how many are under way, how many wait, and for how long."""
    hung = calling(client, 2)
    await asyncio.sleep(0)
    with pytest.raises(
        TooManyCalls, match=r"app 'slow' has 2 calls under way.*waited 0\.\d s"
    ) as e:
        await client.request("slow", "it")
    found = e.value
    assert (found.block, found.target, found.in_flight, found.waiting) == ("invoke", "slow", 2, 0)
    assert found.waited >= 0.04
    assert not isinstance(found, SidecarUnavailable)
    apps.go_on.set()
    await asyncio.gather(*hung)
    assert [each.refused for each in client.loads] == [1]


async def test_no_more_than_so_many_wait(client: Client, apps: Apps) -> None:
    """The next one fails at once."""
    hung = calling(client, 5)
    await asyncio.sleep(0)
    with pytest.raises(TooManyCalls, match="3 others wait, and there is no room for more"):
        await client.request("slow", "it")
    apps.go_on.set()
    await asyncio.gather(*hung)


async def test_a_wait_counts_to_the_time_of_its_call(apps: Apps) -> None:
    """A call's own timeout ends its wait before the queue's does."""
    settings = Settings(calls_per_target=1, calls_wait=60)
    async with Client(settings, transport=apps) as client:
        hung = calling(client, 1)
        await asyncio.sleep(0)
        with pytest.raises(TooManyCalls):
            await client.request("slow", "it", timeout=0.02)
        apps.go_on.set()
        await asyncio.gather(*hung)


async def test_a_place_is_handed_to_whom_waits_longest(client: Client, apps: Apps) -> None:
    """And one whose caller was cancelled goes on to the next."""
    place = Place("invoke", "slow", most=1, room=5)
    place.busy = 1
    first, second, third = (asyncio.create_task(place.wait(5)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    place.leave()  # second has it now, in the same moment in which it is cancelled
    second.cancel()
    await asyncio.wait([first, second, third])
    assert first.cancelled()
    assert second.cancelled()
    assert third.result() >= 0
    place.leave()
    assert (place.busy, len(place.queue)) == (0, 0)


async def test_single_targets_have_numbers_of_their_own(apps: Apps) -> None:
    """``Settings(target_calls={"invoke/slow": 1})``; 0 is any number."""
    own = {"invoke/slow": 1, "invoke/free": 0}
    places = Places(8, 1, own)
    found = [places.of(f"/v1.0/invoke/{app}/method/it") for app in ("slow", "other", "free")]
    assert [None if each is None else each.most for each in found] == [1, 8, None]


async def test_a_turn_can_save_while_calls_of_its_type_have_every_place(apps: Apps) -> None:
    """They wait for such turns, and these for nobody's place."""
    places = Places(1, 0, {})
    calls = places.of("/v1.0/actors/Cart/ann/method/add")
    saves = places.of("/v1.0/actors/Cart/ann/state")
    assert calls is not None
    assert saves is not None
    calls.busy = 1
    assert saves.is_free


async def test_limits_come_from_the_environment(
    apps: Apps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And stay what they are while the client is open."""
    monkeypatch.setenv("DAPRFLOW_CALLS_PER_TARGET", "1")
    monkeypatch.setenv("DAPRFLOW_CALLS_WAITING", "0")
    async with Client(transport=apps) as client:
        hung = calling(client, 1)
        await asyncio.sleep(0.01)
        _ = client.channels  # gRPC reads the environment, too
        with pytest.raises(TooManyCalls):
            await client.request("slow", "it")
        apps.go_on.set()
        await asyncio.gather(*hung)


async def test_targets_that_are_no_longer_used_are_forgotten() -> None:
    """Not so one with calls under way."""
    places = Places(8, 1, {})
    busy = places.of("/v1.0/invoke/busy/method/it")
    assert busy is not None
    busy.busy = 1
    for number in range(3 * KEPT):
        places.of(f"/v1.0/invoke/app{number}/method/it")
    assert len(list(places.loads())) <= KEPT
    assert places.of("/v1.0/invoke/busy/method/it") is busy


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1.0/state/s/key/with/parts", ("state", "s")),
        ("/v1.0/state/s?metadata.a=b", ("state", "s")),
        ("/v1.0/publish/pubsub/a/b", ("publish", "pubsub")),
        ("/v1.0-alpha1/publish/bulk/pubsub/topic", ("publish", "pubsub")),
        ("/v1.0/publish/bulk/topic", ("publish", "bulk")),
        ("/v1.0/metadata", ("", "")),
        ("/v1.0/actors/Cart/ann/method/add", ("actors", "Cart")),
        ("/v1.0/actors/Cart/ann/state", ("actors' own", "Cart")),
        ("/v1.0/actors/Cart/ann/reminders/r", ("actors' own", "Cart")),
    ],
)
def test_the_target_of_a_request(path: str, expected: tuple[str, str]) -> None:
    """What stands in its path after the building block."""
    assert target_of(path) == expected


class SlowStore:
    """Stands where a sidecar's gRPC API is, and writes when it is told to."""

    def __init__(self) -> None:
        self.hold = asyncio.Event()
        self.writes = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        """Have a server answer writes."""
        handlers: dict[str, Any] = {"SaveState": grpc.unary_unary_rpc_method_handler(self.save)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("dapr.proto.runtime.v1.Dapr", handlers),)
        )

    async def save(self, _: bytes, __: object) -> bytes:
        """Write."""
        self.writes += 1
        await self.hold.wait()
        return b""


async def test_bytes_have_places_among_the_calls_of_their_store() -> None:
    """They are written over gRPC, and still count among the calls of the component."""
    slow = SlowStore()
    server = grpc.aio.server()
    slow.add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    settings = Settings(calls_per_target=1, calls_waiting=0)
    line = GrpcBeside(SmallSidecar(), port)
    async with Client(settings, transport=line) as client:
        store = client.state("s")
        first = asyncio.ensure_future(store.set("a", b"\x00"))
        await eventually(lambda: slow.writes == 1)
        with pytest.raises(TooManyCalls, match="state store 's' has 1 calls under way"):
            await store.set("b", b"\x00")
        slow.hold.set()
        await first
        await store.set("b", b"\x00")
    await server.stop(0)
    assert slow.writes == 2
