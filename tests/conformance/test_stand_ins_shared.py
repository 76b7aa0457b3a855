"""Stand-ins that several apps of one run use, that are edited, or whose app comes and goes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daprflow.client import Client
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.base import AppAway
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resiliency.guard import unguarded
from daprflow.sidecar.runtime import Runtime
from daprflow.testing.transport import InProcessTransport
from tests.conformance.test_stand_ins import App, sidecar_with
from tests.helpers.sidecar import Components, in_process_sidecar, resources
from tests.helpers.subscribers import subscribed
from tests.helpers.timing import until

KAFKA: Components = {"q": ("bindings.kafka", {"topics": "t", "publishTopic": "t"})}
RABBIT: Components = {"q": ("bindings.rabbitmq", {"queueName": "q"})}


@pytest.fixture(params=["disk", "memory"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """The data folder, and none."""
    if request.param == "memory":
        return None
    folder = tmp_path / ".daprflow"
    folder.mkdir()
    return folder


@contextlib.asynccontextmanager
async def on(
    engine: Engine, app_id: str, components: Components, app: Any
) -> AsyncIterator[Client]:
    """One more app of a run, and a client of its sidecar."""
    options = RuntimeOptions(app_id, app_port=1)
    runtime = Runtime(engine, options, resources(components), HttpApp(AsgiChannel(app)))
    await runtime.open()
    await runtime.connect()
    try:
        async with Client(transport=InProcessTransport(HttpApi(runtime))) as client:
            yield client
    finally:
        await runtime.close(1.0)


async def run_two(root: Path, data: Path | None, components: Components) -> tuple[App, App]:
    """Put ten messages into the queue of two apps, and return both once all are handled."""
    clock = VirtualClock(1000.0)
    engine = Engine(clock, data, root)
    one, two = App(), App()
    async with on(engine, "one", components, one) as client, on(engine, "two", components, two):
        for number in range(10):
            await client.bind("q", "create", number)
        await until(clock, lambda: len(one.taken) + len(two.taken) >= 10)
        await engine.work.idle()
    await engine.close()
    return one, two


async def test_apps_of_one_run_compete_for_a_queue(tmp_path: Path, data: Path | None) -> None:
    """Each message goes to one of them, and none to both."""
    one, two = await run_two(tmp_path, data, RABBIT)
    assert sorted(int(body) for body, _ in (*one.taken, *two.taken)) == list(range(10))


async def test_each_consumer_group_gets_everything(tmp_path: Path, data: Path | None) -> None:
    """As with Kafka: a group is an app's id unless the file names one."""
    one, two = await run_two(tmp_path, data, KAFKA)
    wanted = [str(number).encode() for number in range(10)]
    assert [body for body, _ in one.taken] == wanted
    assert [body for body, _ in two.taken] == wanted


async def test_apps_of_one_group_compete(tmp_path: Path, data: Path | None) -> None:
    """A ``consumerGroup`` in the file makes them one group."""
    named = {"q": ("bindings.kafka", {"topics": "t", "publishTopic": "t", "consumerGroup": "g"})}
    one, two = await run_two(tmp_path, data, named)
    assert sorted(int(body) for body, _ in (*one.taken, *two.taken)) == list(range(10))


@pytest.mark.parametrize("other", ["pubsub.daprflow", "pubsub.rabbitmq", "pubsub.kafka"])
async def test_brokers_of_one_name_are_one(tmp_path: Path, data: Path | None, other: str) -> None:
    """Whatever type and metadata each app's file gives the name, nothing collides or is lost."""
    engine = Engine(VirtualClock(1000.0), data, tmp_path)
    first: Components = {"bus": ("pubsub.kafka", {"brokers": "x:9092", "clientID": "one"})}
    second: Components = {"bus": (other, {"authType": "none"})}
    async with on(engine, "a", first, App()) as one, on(engine, "b", second, App()) as two:
        for number in range(5):
            await one.publish("bus", "t", number)
            await two.publish("bus", "t", number)
    await engine.close()


async def test_items_of_one_store_reach_every_app(tmp_path: Path, data: Path | None) -> None:
    """One app's store is called etcd, the other's Azure: an item of that name is one item."""
    engine = Engine(VirtualClock(1000.0), data, tmp_path)
    first: Components = {"settings": ("configuration.azure.appconfig", {"host": "h"})}
    second: Components = {"settings": ("configuration.postgresql", {"table": "t"})}
    lock: Components = {"locks": ("lock.etcd", {"endpoints": "e"})}
    other_lock: Components = {"locks": ("lock.consul", {"keyPrefix": "appid"})}
    async with (
        on(engine, "a", {**first, **lock}, App()),
        on(engine, "b", {**second, **other_lock}, App()),
    ):
        one, two = (engine.runtimes[name].components for name in "ab")
        assert [unguarded(each.instance) for each in one] == [
            unguarded(each.instance) for each in two
        ]
    await engine.close()


async def test_apps_share_keys(tmp_path: Path, data: Path | None) -> None:
    """What one app encrypts another decrypts, as with a vault."""
    engine = Engine(VirtualClock(1000.0), data, tmp_path)
    vault: Components = {"vault": ("crypto.azure.keyvault", {"vaultName": "v"})}
    async with on(engine, "a", vault, App()) as one, on(engine, "b", vault, App()) as two:
        sealed = await one.encrypt("vault", b"x", key="k", algorithm="A256KW")
        assert await two.decrypt("vault", sealed) == b"x"
    await engine.close()


async def test_offsets_rise_over_restarts(tmp_path: Path) -> None:
    """C-BI-08: an offset is never given twice, also when nothing was waiting at the end."""
    folder = tmp_path / ".daprflow"
    folder.mkdir()
    app = App()
    for _ in range(3):
        done = len(app.taken) + 2
        async with sidecar_with(tmp_path, KAFKA, app, folder) as (client, sidecar):
            await client.bind("q", "create", 1)
            await client.bind("q", "create", 2)
            await sidecar.until(lambda done=done: len(app.taken) == done)  # type: ignore[misc]
    offsets = [int(headers["__offset"]) for _, headers in app.taken]
    assert offsets == list(range(6))


async def test_c_bi_08_an_expired_message_is_gone(tmp_path: Path, data: Path | None) -> None:
    """C-BI-08: ``ttlInSeconds`` counts from the call, also while nobody handles the queue."""
    clock, app = VirtualClock(1000.0), App()
    engine = Engine(clock, data, tmp_path)
    runtime = Runtime(
        engine, RuntimeOptions("a", app_port=1), resources(RABBIT), HttpApp(AsgiChannel(app))
    )
    await runtime.open()
    async with Client(transport=InProcessTransport(HttpApi(runtime))) as client:
        await client.bind("q", "create", 1, metadata={"ttlInSeconds": "5"})
        await client.bind("q", "create", 2, metadata={"ttlInSeconds": "50"})
        clock.move_to(1010.0)
        await runtime.connect()
        await until(clock, lambda: bool(app.taken))
        await engine.work.idle()
    await runtime.close(1.0)
    await engine.close()
    assert [body for body, _ in app.taken] == [b"2"]


async def test_a_queue_waits_for_its_app_without_a_longer_pause(tmp_path: Path) -> None:
    """However long an app is away, its first message is there half a second after its return."""
    clock, app = VirtualClock(1000.0), App()
    away = AwayChannel(app)
    async with (
        in_process_sidecar(tmp_path, RABBIT, clock=clock, channel=away) as sidecar,
        Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client,
    ):
        away.away = True
        await client.bind("q", "create", 1)
        await sidecar.until(lambda: clock.now() > 1100.0)
        away.away, back = False, clock.now()
        await sidecar.until(lambda: len(app.taken) == 1)
    assert clock.now() - back <= 0.5


class AwayChannel(AsgiChannel):
    """The channel to an app that is not always there."""

    away = False

    async def send(self, request: Any, /) -> Any:
        """Call the app, where it is there."""
        if self.away:
            raise AppAway("nobody listens")
        return await super().send(request)


async def test_edited_metadata_lose_nothing(tmp_path: Path) -> None:
    """A stand-in in memory keeps what it has when its file is edited."""
    engine = Engine(VirtualClock(1000.0), None, tmp_path)
    before: Components = {"db": ("state.mongodb", {"host": "a"})}
    async with on(engine, "a", before, App()) as client:
        await client.state("db").set("k", 1)
        problems = await engine.runtimes["a"].reload(
            resources({"db": ("state.mongodb", {"host": "b"})})
        )
        found = await client.state("db").get("k", int)
    await engine.close()
    assert (problems, found and found.value) == ((), 1)


async def test_a_queue_goes_on_after_its_file_was_edited(tmp_path: Path, data: Path | None) -> None:
    """What waits, and what failed before, comes in order through the new binding."""
    app = App(failures=1)
    async with sidecar_with(tmp_path, RABBIT, app, data) as (client, sidecar):
        for number in range(3):
            await client.bind("q", "create", number)
        await sidecar.until(lambda: len(app.taken) == 1)
        edited: Components = {"q": ("bindings.rabbitmq", {"queueName": "q", "durable": "true"})}
        assert await sidecar.runtime.reload(resources(edited)) == ()
        await sidecar.until(lambda: len(app.taken) == 4)
        await client.bind("q", "create", 3)
        await sidecar.until(lambda: len(app.taken) == 5)
    assert [body for body, _ in app.taken] == [b"0", b"0", b"1", b"2", b"3"]


async def test_a_topic_goes_on_after_its_file_was_edited(tmp_path: Path) -> None:
    """Another type in its place, and events are neither lost nor delivered twice."""
    before: Components = {"pubsub": ("pubsub.kafka", {"brokers": "a"})}
    after: Components = {"pubsub": ("pubsub.rabbitmq", {"hostname": "b"})}
    orders = {"topic": "orders", "route": "/orders"}
    async with subscribed(tmp_path, [orders], before) as found:
        await found.publish("orders", 1)
        await found.arrived("/orders")
        assert await found.sidecar.runtime.reload(resources(after)) == ()
        await found.publish("orders", 2)
        calls = await found.arrived("/orders", 2)
        await found.sidecar.engine.work.idle()
    assert [call.json()["data"] for call in calls] == [1, 2]


async def test_a_secret_can_be_added_meanwhile(tmp_path: Path) -> None:
    """The file is read again once it was saved; what it held before does not stay."""
    file = tmp_path / ".daprflow" / "secrets.json"
    file.parent.mkdir()
    vault: Components = {"vault": ("secretstores.hashicorp.vault", {})}
    async with sidecar_with(tmp_path, vault) as (client, _):
        assert await client.secrets("vault") == {}
        await asyncio.to_thread(file.write_text, json.dumps({"vault": {"dsn": "x"}}))
        assert await client.secret("vault", "dsn") == "x"
        await asyncio.to_thread(file.unlink)
        assert await client.secrets("vault") == {}


@pytest.mark.parametrize("pair", [("a b", "a_b"), ("..", "%2E."), ("x" * 300, "x" * 301)])
async def test_names_never_meet_nor_leave_their_folder(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    """Files are below the data folder, and of two components never the same."""
    folder = tmp_path / "inner" / ".daprflow"
    folder.mkdir(parents=True)
    for kind in ("state.mongodb", "bindings.aws.s3", "crypto.azure.keyvault"):
        components = {name: (kind, {"host": "h"}) for name in pair}
        async with sidecar_with(tmp_path / "inner", components, data=folder) as (client, _):
            if kind.startswith("state"):
                await client.state(pair[0]).set("k", 1)
                assert await client.state(pair[1]).get("k", int) is None
            elif kind.startswith("crypto"):
                sealed = await client.encrypt(pair[0], b"x", key="k", algorithm="AES")
                assert await client.decrypt(pair[0], sealed) == b"x"
            else:
                await client.bind(pair[0], "create", "x", metadata={"key": "o"})
    assert names(tmp_path) == ["inner"]
    assert names(tmp_path / "inner") == [".daprflow"]
    assert [len(names(folder / place)) for place in ("objects", "keys")] == [2, 2]
    assert len([name for name in names(folder / "stand-ins") if name.endswith(".db")]) == 2


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())
