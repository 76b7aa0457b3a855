"""Subscriptions that files declare, and hot reload of what files define."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.documents import BulkSubscribe, Routes, Rule, Subscription
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.protocol.subscription_resource import SubscriptionResource
from daprflow.sidecar.components.base import Message, Receive
from daprflow.sidecar.resiliency.guard import unguarded
from daprflow.sidecar.resources import Resources
from tests.helpers.recording import Answer
from tests.helpers.sidecar import Components, resources
from tests.helpers.subscribers import DURABLE, PUBSUB, Subscribed, subscribed

STORE: Components = {"store": ("state.in-memory", {})}


def declared(route: str, topic: str = "t", **more: object) -> SubscriptionResource:
    """Return a file's subscription."""
    document = Subscription("pubsub", topic, route=route)
    return SubscriptionResource(
        f"{topic}-file", msgspec.structs.replace(document, **more), source="s.yaml:1"
    )


def component(name: str, kind: str, **metadata: str) -> ComponentResource:
    """Return a file's component."""
    items = tuple(MetadataItem(key, value) for key, value in metadata.items())
    return ComponentResource(name, kind, metadata=items, source=f"{name}.yaml:1")


async def reload(found: Subscribed, changed: Resources) -> tuple[str, ...]:
    """Have the sidecar take other files."""
    return await found.sidecar.runtime.reload(changed)


@pytest.mark.row("I-SU")
@pytest.mark.parametrize("components", [PUBSUB, DURABLE], ids=["in-memory", "durable"])
async def test_a_declared_subscription(tmp_path: Path, components: Components) -> None:
    """An app in any language gets the events a file subscribes it to, by rules, in bulk or not."""
    routes = Routes((Rule("/vip", 'event.type == "vip"'),), "/all")
    bulk = BulkSubscribe(enabled=True, max_messages_count=1)
    files = Resources(
        resources(components).components,
        subscriptions=(
            declared("", routes=routes),
            declared("/many", "many", bulk_subscribe=bulk),
        ),
    )
    async with subscribed(tmp_path, [], files=files) as found:
        found.app.answers["/dapr/subscribe"] = Answer(404)
        await found.sidecar.runtime.reconnect()
        await found.publish("t", 1)
        await found.publish("many", 2)
        assert (await found.arrived("/all"))[0].json()["data"] == 1
        assert (await found.arrived("/many"))[0].json()["entries"][0]["event"]["data"] == 2
        document = (await found.send("GET", "/v1.0/metadata")).body
    shown = msgspec.json.decode(document)["subscriptions"]
    assert [(each["topic"], each["type"]) for each in shown] == [
        ("t", "DECLARATIVE"),
        ("many", "DECLARATIVE"),
    ]
    assert shown[0]["rules"] == [
        {"match": 'event.type == "vip"', "path": "/vip"},
        {"path": "/all"},
    ]


@pytest.mark.row("I-SU")
async def test_the_apps_own_subscription_wins(tmp_path: Path) -> None:
    """A topic that the app itself subscribes to goes where the app says."""
    files = Resources(resources(PUBSUB).components, subscriptions=(declared("/file"),))
    async with subscribed(tmp_path, [{"topic": "t", "route": "/own"}], files=files) as found:
        await found.publish("t", 1)
        await found.arrived("/own")
        assert found.app.to("/file") == []


async def test_a_document_that_cannot_be_read_stops_files_too(tmp_path: Path) -> None:
    """When the app's own document is malformed no subscription starts, as in the real runtime."""
    files = Resources(resources(PUBSUB).components, subscriptions=(declared("/file"),))
    async with subscribed(tmp_path, [], files=files) as found:
        found.app.answers["/dapr/subscribe"] = Answer(200, b"{")
        await found.sidecar.runtime.reconnect()
        assert found.sidecar.runtime.subscriptions == ()


@pytest.mark.row("I-HR", "I-SU")
async def test_reload_of_subscriptions(tmp_path: Path) -> None:
    """A subscription file that comes, changes and goes is followed; the others run on."""
    base = resources(DURABLE)
    async with subscribed(tmp_path, [], files=base) as found:
        for route in ("/one", "/two"):
            changed = replace(base, subscriptions=(declared(route),))
            assert await reload(found, changed) == ()
            await found.publish("t", route)
            await found.arrived(route)
        assert await reload(found, base) == ()
        await found.publish("t", 3)
        assert await found.settled("/two") == found.app.to("/two")[:1]
        assert len(found.app.to("/dapr/subscribe")) == 1


@pytest.mark.row("I-HR")
async def test_reload_of_components(tmp_path: Path) -> None:
    """A component file that comes and goes is in use from then on and no longer."""
    base = resources({**PUBSUB, **STORE})
    async with subscribed(tmp_path, [], files=base) as found:
        late = component("late", "state.in-memory")
        more = replace(base, components=(*base.components, late))
        assert await reload(found, more) == ()
        answer = await found.send("POST", "/v1.0/state/late", b'[{"key":"a","value":1}]')
        assert answer.status == 204
        assert await reload(found, base) == ()
        answer = await found.send("GET", "/v1.0/state/late/a")
        assert (answer.status, b"state store late is not found" in answer.body) == (400, True)


@pytest.mark.row("I-HR")
async def test_the_first_broker(tmp_path: Path) -> None:
    """With the first pub/sub component the app is asked for its subscriptions."""
    base = resources(STORE)
    async with subscribed(tmp_path, [], files=base) as found:
        assert found.app.to("/dapr/subscribe") == []
        more = replace(base, components=(*base.components, *resources(PUBSUB).components))
        assert await reload(found, more) == ()
        assert await found.settled("/marks") == found.app.to("/marks")
        assert len(found.app.to("/marks")) == 1


@pytest.mark.row("FS-28", "I-HR")
async def test_a_component_that_cannot_open(tmp_path: Path) -> None:
    """Where a changed component fails to open the old one stays, and the error names the file."""
    base = resources(STORE)
    async with subscribed(tmp_path, [], files=base) as found:
        await found.send("POST", "/v1.0/state/store", b'[{"key":"a","value":1}]')
        bad = component("store", "state.sqlite", connectionString=str(tmp_path))
        (problem,) = await reload(found, replace(base, components=(bad,)))
        assert "'store' (store.yaml:1) cannot be opened" in problem
        assert (await found.send("GET", "/v1.0/state/store/a")).body == b"1"


async def test_metadata_that_do_not_suit_the_block(tmp_path: Path) -> None:
    """A key prefix that makes no sense is refused when it is saved, and nothing else changes."""
    base = resources({**PUBSUB, **STORE})
    async with subscribed(tmp_path, [], files=base) as found:
        bad = component("store", "state.in-memory", keyPrefix="a||b")
        changed = replace(base, components=(base.components[0], bad))
        (problem,) = await reload(found, changed)
        assert "||" in problem
        assert (await found.send("GET", "/v1.0/state/store/a")).status == 204
        assert await reload(found, base) == ()


@pytest.mark.row("I-HR")
async def test_calls_under_way_end_before_their_component(tmp_path: Path) -> None:
    """A component that is taken away is closed when the calls on it have ended, not before."""
    base = resources({**PUBSUB, **STORE})
    async with subscribed(tmp_path, [], files=base) as found:
        hold = found.app.held["/slow"] = asyncio.Event()
        call = asyncio.create_task(found.send("POST", "/v1.0/invoke/app1/method/slow"))
        await found.app.wait_for("/slow")
        without = replace(base, components=base.components[:1])
        reloading = asyncio.create_task(reload(found, without))
        await found.sidecar.until(lambda: not found.sidecar.runtime.loaded("state"))
        assert not reloading.done()
        hold.set()
        assert (await call).status == 200
        assert await reloading == ()


@pytest.mark.row("I-HR")
async def test_edits_under_load_lose_nothing(tmp_path: Path) -> None:
    """Every event that was accepted while a durable broker's file was edited arrives."""
    base = resources(DURABLE)
    edited = [
        replace(base, components=(component("pubsub", "pubsub.daprflow", ttlInSeconds=ttl),))
        for ttl in ("3600", "7200", "1800", "3600")
    ]
    async with subscribed(
        tmp_path, [{"topic": "t", "route": "/t"}], files=base, data_dir=tmp_path
    ) as found:
        published = 0

        async def publish() -> None:
            nonlocal published
            while True:
                await found.publish("t", published)
                published += 1
                await asyncio.sleep(0.001)

        publishing = asyncio.create_task(publish())
        for files in edited:
            await found.arrived("/t", len(found.app.to("/t")) + 10)
            assert await reload(found, files) == ()
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        await found.arrived("/t", published)
        values = {call.json()["data"] for call in found.app.to("/t")}
    assert values >= set(range(published))


async def test_reload_of_endpoints(tmp_path: Path) -> None:
    """An HTTPEndpoint file that comes and goes is known by its name from then on and no longer."""
    base = resources(STORE)
    endpoint = HttpEndpointResource("away", "http://127.0.0.1:1", source="e.yaml:1")
    async with subscribed(tmp_path, [], files=base) as found:
        assert await reload(found, replace(base, http_endpoints=(endpoint,))) == ()
        shown = msgspec.json.decode((await found.send("GET", "/v1.0/metadata")).body)
        assert shown["httpEndpoints"] == [{"name": "away"}]
        assert await reload(found, base) == ()
        shown = msgspec.json.decode((await found.send("GET", "/v1.0/metadata")).body)
        assert "httpEndpoints" not in shown


@pytest.mark.parametrize("kind", ["pubsub.in-memory", "pubsub.daprflow"])
async def test_topics_by_namespace(tmp_path: Path, kind: str) -> None:
    """A broker whose metadata name the namespace has it before each topic; apps do not see it."""
    broker = component("pubsub", kind, consumerID="{namespace}")
    files = Resources((broker,))
    async with subscribed(tmp_path, [{"topic": "t", "route": "/t"}], files=files) as found:
        sent: list[str] = []
        inner = unguarded(found.sidecar.runtime.loaded("pubsub")["pubsub"])
        stop = await inner.subscribe("defaultt", "spy", {}, sent_to(sent))  # type: ignore[attr-defined]
        await found.publish("t", 1)
        assert (await found.arrived("/t"))[0].json()["topic"] == "t"
        await found.sidecar.until(lambda: sent == ["defaultt"])
        await stop()


def sent_to(topics: list[str]) -> Receive:
    """Return what notes the topics of messages."""

    async def receive(message: Message) -> None:
        topics.append(message.topic)

    return receive
