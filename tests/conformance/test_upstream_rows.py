"""What a real runtime's own tests hold of events and of the end, beyond what is by the parts."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.documents import Subscription
from daprflow.protocol.http import HttpRequest
from daprflow.protocol.subscription_resource import SubscriptionResource
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from tests.helpers.grpc_sidecar import grpc_sidecar
from tests.helpers.recording import DONE, NOT_FOUND, Answer, Call, RecordingApp
from tests.helpers.sidecar import resources
from tests.helpers.subscribers import DURABLE, Subscribed, subscribed
from tests.helpers.topic_streams import publish, stream

ORDERS = {"topic": "orders", "route": "/orders", "deadLetterTopic": "dead"}
DEAD = {"topic": "dead", "route": "/dead"}
BATCHES = {
    "topic": "batches",
    "route": "/batches",
    "deadLetterTopic": "dead",
    "bulkSubscribe": {"enabled": True, "maxMessagesCount": 3, "maxAwaitDurationMs": 60_000},
}


def all_done(call: Call) -> Answer:
    """Acknowledge each entry of a batch."""
    entries = [{"entryId": e["entryId"], "status": "SUCCESS"} for e in call.json()["entries"]]
    return Answer.of({"statuses": entries})


# ---- publishing ---------------------------------------------------------------------------------


@pytest.mark.row("I-PS", "S-31")
@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ({"publishingScopes": "app1=other"}, 403),
        ({"publishingScopes": "app1=orders"}, 204),
        ({"allowedTopics": "other"}, 403),
        ({"protectedTopics": "orders"}, 403),
        ({"protectedTopics": "orders", "publishingScopes": "app1=orders"}, 204),
    ],
)
@pytest.mark.parametrize("path", ["publish", "publish/bulk"])
async def test_scopes_hold_for_one_event_and_for_many(
    tmp_path: Path, metadata: dict[str, str], status: int, path: str
) -> None:
    """A topic that is not the app's is refused alone and in bulk, and nothing is published."""
    components = {"pubsub": ("pubsub.in-memory", {"subscriptionScopes": "app1=orders", **metadata})}
    body: object = [{"entryId": "1", "event": 1, "contentType": "application/json"}]
    async with subscribed(tmp_path, [ORDERS], components) as found:
        body = msgspec.json.encode(body if path.endswith("bulk") else 1)
        answer = await found.send("POST", f"/v1.0/{path}/pubsub/orders", body)
        assert answer.status == status, answer.body
        if status != 204:
            assert msgspec.json.decode(answer.body)["errorCode"] == "ERR_PUBSUB_FORBIDDEN"
        await found.sidecar.engine.work.idle()
        assert all(call.json()["data"] == 1 for call in found.app.to("/orders"))
        if status != 204:
            assert found.app.to("/orders") == []


@pytest.mark.row("I-PS")
@pytest.mark.parametrize("name", ["my.pub-sub_1", "a b", "ä", "x%y", "a;b", "#1", "q?r", "a:b@c"])
async def test_odd_names_of_components(tmp_path: Path, name: str) -> None:
    """A component is found under whatever name it has, and its events name it."""
    document = [{"pubsubname": name, "topic": "orders", "route": "/orders"}]

    def answer(call: Call) -> Answer:
        return Answer.of(document) if call.path == "/dapr/subscribe" else DONE

    app = RecordingApp(answer)
    async with grpc_sidecar(tmp_path, {name: ("pubsub.in-memory", {})}, app) as sidecar:
        quoted = "".join(f"%{byte:02X}" for byte in name.encode())
        target = f"/v1.0/publish/{quoted}/orders"
        sent = await sidecar.inner.exchange.send(HttpRequest("POST", target, (), b"1"))
        assert sent.status == 204, sent.body
        (call,) = await app.wait_for("/orders")
        assert call.json()["pubsubname"] == name


@pytest.mark.row("I-JO", "I-PS")
async def test_the_apps_token_is_with_events_and_jobs(tmp_path: Path) -> None:
    """Whatever comes from the sidecar shows the app's token."""
    options = RuntimeOptions("app1", app_port=1, app_token="hush")
    async with subscribed(tmp_path, [ORDERS, BATCHES], DURABLE, options=options) as found:
        found.app.computed["/batches"] = all_done
        await found.publish("orders", 1)
        for number in range(3):
            await found.publish("batches", number)
        await found.send("POST", "/v1.0/jobs/j", b'{"dueTime":"1s"}')
        for path in ("/orders", "/batches", "/job/j"):
            (call,) = await found.arrived(path)
            assert call.header("dapr-api-token") == "hush"


# ---- subscriptions ------------------------------------------------------------------------------


@pytest.mark.row("I-SU")
async def test_subscriptions_of_all_kinds_beside_each_other(tmp_path: Path) -> None:
    """Those of the app, of files and of streams each get their events, and are listed."""
    document = [{"pubsubname": "pubsub", "topic": "listed", "route": "/listed"}]

    def answer(call: Call) -> Answer:
        if call.path == "/dapr/subscribe":
            return Answer.of(document)
        return DONE if call.method == "POST" else NOT_FOUND

    app = RecordingApp(answer)
    declared = Subscription("pubsub", "declared", route="/declared")
    files = Resources(
        resources(DURABLE).components,
        subscriptions=(SubscriptionResource("s", declared, source="s.yaml:1"),),
    )
    async with grpc_sidecar(tmp_path, DURABLE, app, files=files) as sidecar:
        client = await stream(sidecar, "streamed")
        for topic in ("listed", "declared", "streamed"):
            await publish(sidecar, topic.encode(), topic=topic)
        assert await client.handle(1) == [b"streamed"]
        for topic in ("listed", "declared"):
            (call,) = await app.wait_for(f"/{topic}")
            assert call.json()["data"] == topic
        kinds = {w.document.topic: w.origin.value for w in sidecar.inner.runtime.subscriptions}
        assert kinds == {
            "listed": "PROGRAMMATIC",
            "declared": "DECLARATIVE",
            "streamed": "STREAMING",
        }


@pytest.mark.row("I-SU")
async def test_streams_need_no_app(tmp_path: Path) -> None:
    """A sidecar without an app gives a stream its events."""
    async with grpc_sidecar(tmp_path, DURABLE, options=RuntimeOptions("app1")) as sidecar:
        client = await stream(sidecar)
        await publish(sidecar, b"1")
        assert await client.handle(1) == [b"1"]


# ---- the end ------------------------------------------------------------------------------------


async def ending(found: Subscribed, path: str) -> None:
    """End a sidecar while its app is at ``path``, and let the app go on then."""
    closing = asyncio.create_task(found.sidecar.runtime.close(10))
    await asyncio.sleep(0)
    assert not closing.done()
    found.app.held[path].set()
    await closing


@pytest.mark.row("I-SH")
async def test_a_batch_in_flight_ends(tmp_path: Path) -> None:
    """A batch that the app answers within the grace period is done, and buries nothing."""
    async with subscribed(tmp_path, [BATCHES, DEAD], DURABLE, data_dir=tmp_path) as found:
        found.app.computed["/batches"] = all_done
        found.app.held["/batches"] = asyncio.Event()
        for number in range(3):
            await found.publish("batches", number)
        await found.app.wait_for("/batches")
        await ending(found, "/batches")
        assert len(found.app.to("/batches")) == 1
    async with subscribed(tmp_path, [BATCHES, DEAD], DURABLE, data_dir=tmp_path) as again:
        assert await again.settled("/batches") == []
        assert again.app.to("/dead") == []


@pytest.mark.row("I-SH")
async def test_a_batch_that_waits_at_the_end_is_sent_or_kept(tmp_path: Path) -> None:
    """What was gathered and not sent yet is handled once, at the end or after the next start."""
    numbers: list[int] = []

    def note(call: Call) -> Answer:
        numbers.extend(entry["event"]["data"] for entry in call.json()["entries"])
        return all_done(call)

    for round_ in range(2):
        async with subscribed(tmp_path, [BATCHES, DEAD], DURABLE, data_dir=tmp_path) as found:
            found.app.computed["/batches"] = note
            if not round_:
                await found.publish("batches", 1)
                await found.publish("batches", 2)
                await found.sidecar.runtime.close(10)
            else:
                await found.settled("/batches")
            assert found.app.to("/dead") == []
    assert sorted(numbers) == [1, 2]


@pytest.mark.row("I-SH")
async def test_a_call_in_flight_ends(tmp_path: Path) -> None:
    """A caller gets its answer though the sidecar ends meanwhile, and later ones are refused."""
    async with subscribed(tmp_path, []) as found:
        found.app.held["/quote"] = asyncio.Event()
        found.app.answers["/quote"] = Answer.of(7)
        call = asyncio.create_task(found.send("POST", "/v1.0/invoke/app1/method/quote", b"1"))
        await found.app.wait_for("/quote")
        await ending(found, "/quote")
        answer = await call
        assert (answer.status, answer.body) == (200, b"7")


@pytest.mark.row("I-SH")
async def test_an_event_of_a_binding_in_flight_ends(tmp_path: Path) -> None:
    """A binding's event that the app is at counts as work in flight."""
    components = {
        **DURABLE,
        "tick": ("bindings.cron", {"schedule": "@every 1s", "direction": "input"}),
    }
    async with subscribed(tmp_path, [], components) as found:
        found.app.held["/tick"] = asyncio.Event()
        found.app.answers["/tick"] = DONE
        await found.sidecar.until(lambda: any(c.method == "POST" for c in found.app.to("/tick")))
        await ending(found, "/tick")
        assert found.sidecar.engine.work.count == 0
