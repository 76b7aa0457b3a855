"""The transactional outbox: what is published, when, and that no crash loses it."""

import json
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol import messages
from daprflow.protocol.http import HttpRequest
from daprflow.protocol.resources import ComponentResource
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import Message, StateStore, StateWrite
from tests.helpers.grpc_sidecar import grpc_sidecar
from tests.helpers.recording import Answer, RecordingApp
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar, resources

INTERNAL = "defaultapp1ordersoutbox"


class Seen:
    """Sees what is published; an `Observer`."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, dict[str, Any]]] = []

    def published(self, pubsub: str, message: Message, /) -> None:
        """Keep a message."""
        self.messages.append((pubsub, message.topic, json.loads(message.data)))

    def delivered(self, *_: object) -> None:
        """Pass over deliveries."""

    def on(self, topic: str) -> list[dict[str, Any]]:
        """Return the events of one topic."""
        return [event for _, name, event in self.messages if name == topic]


def components(pubsub: str = "pubsub.daprflow", **metadata: str) -> Components:
    """Return a store with an outbox, and its broker."""
    outbox = {"outboxPublishPubsub": "broker", "outboxPublishTopic": "orders", **metadata}
    return {
        "store": ("state.sqlite", {"connectionString": "state.db", **outbox}),
        "broker": (pubsub, {}),
    }


def watched(sidecar: InProcessSidecar) -> Seen:
    """Watch what a sidecar publishes."""
    seen = Seen()
    sidecar.runtime.pubsub.observer = seen
    return seen


async def transact(
    sidecar: InProcessSidecar, *operations: tuple[str, dict[str, Any]], status: int = 204
) -> bytes:
    """Do a transaction."""
    body = {"operations": [{"operation": kind, "request": item} for kind, item in operations]}
    answer = await sidecar.exchange.send(
        HttpRequest("POST", "/v1.0/state/store/transaction", (), json.dumps(body).encode())
    )
    assert answer.status == status, answer.body
    return answer.body


async def stored(sidecar: InProcessSidecar, key: str) -> bytes | None:
    """Return what the store has under a whole key."""
    store: StateStore = sidecar.runtime.loaded("state")["store"]  # type: ignore[assignment]
    found = await store.get(key)
    return None if found is None else found.data


def json_item(key: str, value: object, **metadata: str) -> dict[str, Any]:
    """Return a write whose value is published as JSON."""
    return {
        "key": key,
        "value": value,
        "metadata": {"contentType": "application/json", **metadata},
    }


@pytest.mark.row("I-OB")
@pytest.mark.parametrize("pubsub", ["pubsub.daprflow", "pubsub.in-memory"])
async def test_i_ob_a_transaction_is_published_once(tmp_path: Path, pubsub: str) -> None:
    """I-OB: each value is published once, after its marker was found, and without any app."""
    async with in_process_sidecar(tmp_path, components(pubsub)) as sidecar:
        seen = watched(sidecar)
        await transact(sidecar, ("upsert", json_item("a", {"n": 1})))
        (inner,) = seen.on(INTERNAL)
        marker = inner["id"]
        assert marker.startswith("outbox-")
        assert await stored(sidecar, marker) == b'"0"'
        assert await stored(sidecar, "app1||a") == b'{"n":1}'
        assert seen.on("orders") == []

        await sidecar.until(lambda: len(seen.on("orders")) == 1)
        await sidecar.engine.work.idle()

        assert await stored(sidecar, marker) is None
        (event,) = seen.on("orders")
        assert event == {
            "data": {"n": 1},
            "datacontenttype": "application/json",
            "contentType": "application/json",
            "id": marker,
            "source": "app1",
            "specversion": "1.0",
            "type": "com.dapr.event.sent",
            "topic": "orders",
            "pubsubname": "broker",
            "time": inner["time"],
            "traceid": "",
            "traceparent": "",
            "tracestate": "",
        }
        assert inner["topic"] == ""


@pytest.mark.row("I-OB")
async def test_i_ob_projections_and_deletes(tmp_path: Path) -> None:
    """I-OB: a projection is published and not stored; a delete publishes nothing."""
    async with in_process_sidecar(tmp_path, components()) as sidecar:
        seen = watched(sidecar)
        projection = json_item("a", {"public": 1}, **{"outbox.projection": "true"})
        await transact(
            sidecar,
            ("upsert", projection),
            ("upsert", {"key": "a", "value": {"secret": 2}}),
            ("delete", {"key": "b"}),
        )
        await sidecar.until(lambda: bool(seen.on("orders")))
        assert [event["data"] for event in seen.on("orders")] == [{"public": 1}]
        assert await stored(sidecar, "app1||a") == b'{"secret":2}'
        await transact(sidecar, ("delete", {"key": "a"}))
        assert len(seen.on(INTERNAL)) == 1


async def test_metadata_become_attributes(tmp_path: Path) -> None:
    """An operation's metadata override and add attributes, but not data and id."""
    async with in_process_sidecar(tmp_path, components()) as sidecar:
        seen = watched(sidecar)
        item = json_item("a", 1, type="mine", source="me", custom="x", id="no", data="no")
        await transact(sidecar, ("upsert", item))
        await sidecar.until(lambda: bool(seen.on("orders")))
        (event,) = seen.on("orders")
        assert (event["type"], event["source"], event["custom"]) == ("mine", "me", "x")
        assert event["data"] == 1
        assert event["id"].startswith("outbox-")


@pytest.mark.parametrize(
    ("value", "text"), [({"a": [1, "b"]}, "map[a:[1 b]]"), ("plain", "plain"), (1e6, "1e+06")]
)
async def test_values_without_content_type_are_text(
    tmp_path: Path, value: object, text: str
) -> None:
    """A value that is not said to be JSON is published as the text that Go makes of it."""
    async with in_process_sidecar(tmp_path, components()) as sidecar:
        seen = watched(sidecar)
        await transact(sidecar, ("upsert", {"key": "a", "value": value}))
        (event,) = seen.on(INTERNAL)
        assert (event["data"], event["datacontenttype"]) == (text, "text/plain")


async def test_another_broker_for_internal_events(tmp_path: Path) -> None:
    """``outboxPubsub`` carries the internal events, in place of the broker that is published to."""
    parts = {**components(outboxPubsub="inner"), "inner": ("pubsub.daprflow", {})}
    async with in_process_sidecar(tmp_path, parts) as sidecar:
        seen = watched(sidecar)
        await transact(sidecar, ("upsert", json_item("a", 1)))
        await sidecar.until(lambda: bool(seen.on("orders")))
        assert [(pubsub, topic) for pubsub, topic, _ in seen.messages] == [
            ("inner", INTERNAL),
            ("broker", "orders"),
        ]
        assert seen.on("orders")[0]["pubsubname"] == "broker"


async def test_a_refused_transaction_publishes_nothing(tmp_path: Path) -> None:
    """What was not stored is never published; the internal event is dropped if so asked."""
    parts = components(outboxDiscardWhenMissingState="true")
    async with in_process_sidecar(tmp_path, parts) as sidecar:
        seen = watched(sidecar)
        body = await transact(sidecar, ("upsert", {"key": "a", "etag": "x"}), status=500)
        assert b"ERR_STATE_TRANSACTION" in body
        assert len(seen.on(INTERNAL)) == 1
        sidecar.clock.move_to(sidecar.clock.now() + 1)
        await sidecar.until(lambda: sidecar.clock.due() is None)
        assert seen.on("orders") == []


async def test_a_missing_marker_is_waited_for(tmp_path: Path) -> None:
    """An internal event without its marker is offered again, until the marker is there."""
    async with in_process_sidecar(tmp_path, components()) as sidecar:
        seen = watched(sidecar)
        event = json.dumps({"id": "outbox-1", "data": 1, "datacontenttype": "application/json"})
        await sidecar.runtime.pubsub.forward("broker", Message(INTERNAL, event.encode()))
        before = sidecar.clock.now()
        await sidecar.until(lambda: sidecar.clock.now() > before + 30)
        assert seen.on("orders") == []
        store: StateStore = sidecar.runtime.loaded("state")["store"]  # type: ignore[assignment]
        await store.write(StateWrite("outbox-1", b'"0"'))
        await sidecar.until(lambda: bool(seen.on("orders")))


async def test_an_absent_broker_refuses_the_transaction(tmp_path: Path) -> None:
    """A transaction whose outbox cannot publish is not done."""
    parts = {"store": components()["store"]}
    async with in_process_sidecar(tmp_path, parts) as sidecar:
        body = json.loads(await transact(sidecar, ("upsert", json_item("a", 1)), status=500))
        assert body["errorCode"] == "ERR_PUBLISH_OUTBOX"
        assert body["message"] == "error while publishing outbox message: pubsub 'broker' not found"
        assert body["details"][0]["reason"] == "DAPR_PUBSUB_OUTBOX"
        assert await stored(sidecar, "app1||a") is None


@pytest.mark.row("S-31")
async def test_scopes_hold_for_the_outbox(tmp_path: Path) -> None:
    """S-31: a topic that the app may not publish to is not reached through the outbox."""
    parts = {
        **components(),
        "broker": ("pubsub.daprflow", {"publishingScopes": "app1=other"}),
    }
    async with in_process_sidecar(tmp_path, parts) as sidecar:
        body = await transact(sidecar, ("upsert", json_item("a", 1)), status=500)
        assert b"topic defaultapp1ordersoutbox is not allowed for app id app1" in body


@pytest.mark.row("I-OB")
@pytest.mark.parametrize("when", ["before the scan", "while it looks"])
async def test_a_stop_after_the_commit_loses_nothing(tmp_path: Path, when: str) -> None:
    """A sidecar that ends between commit and publishing publishes when it is started again."""
    clock, data = VirtualClock(), tmp_path / "data"
    async with in_process_sidecar(tmp_path, components(), clock=clock, data_dir=data) as sidecar:
        seen = watched(sidecar)
        await transact(sidecar, ("upsert", json_item("a", {"n": 1})))
        if when == "while it looks":
            clock.move_to(clock.now() + 0.9)
        assert seen.on("orders") == []
    async with in_process_sidecar(tmp_path, components(), clock=clock, data_dir=data) as sidecar:
        seen = watched(sidecar)
        await sidecar.until(lambda: bool(seen.on("orders")))
        assert [event["data"] for event in seen.on("orders")] == [{"n": 1}]
        await sidecar.engine.work.idle()
        before = clock.now()
        await sidecar.until(lambda: clock.due() is None or clock.now() > before + 120)
        assert len(seen.on("orders")) == 1


async def test_the_app_gets_what_the_outbox_publishes(tmp_path: Path) -> None:
    """The published event reaches a subscription as any other one."""
    app = RecordingApp()
    subscription = {"pubsubname": "broker", "topic": "orders", "route": "/orders"}
    app.answers["/dapr/subscribe"] = Answer.of([subscription])
    async with in_process_sidecar(tmp_path, components(), app) as sidecar:
        await transact(sidecar, ("upsert", json_item("a", {"n": 1})))
        await sidecar.until(lambda: bool(app.to("/orders")))
        (call,) = app.to("/orders")
        assert call.json()["data"] == {"n": 1}


async def test_a_broker_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """An event that could not be published is published later, with its marker kept meanwhile."""
    parts = {"store": components(outboxPubsub="inner")["store"], "inner": ("pubsub.daprflow", {})}
    async with in_process_sidecar(tmp_path, parts) as sidecar:
        seen = watched(sidecar)
        await transact(sidecar, ("upsert", json_item("a", 1)))
        before = sidecar.clock.now()
        await sidecar.until(lambda: sidecar.clock.now() > before + 30)
        assert seen.on("orders") == []
        assert await stored(sidecar, seen.on(INTERNAL)[0]["id"]) == b'"0"'

        await sidecar.runtime.add(ComponentResource("broker", "pubsub.daprflow"))

        await sidecar.until(lambda: bool(seen.on("orders")))
        await sidecar.engine.work.idle()
        assert await stored(sidecar, seen.on(INTERNAL)[0]["id"]) is None
        assert len(seen.on("orders")) == 1


async def test_an_outbox_moves_with_its_broker(tmp_path: Path) -> None:
    """After a reload with another broker internal events go and come there."""
    async with in_process_sidecar(tmp_path, components()) as sidecar:
        seen = watched(sidecar)
        other = {**components(), "broker": ("pubsub.in-memory", {})}
        assert await sidecar.runtime.reload(resources(other)) == ()
        await transact(sidecar, ("upsert", json_item("a", 1)))
        await sidecar.until(lambda: bool(seen.on("orders")))
        without = {**other, "store": ("state.sqlite", {"connectionString": "state.db"})}
        assert await sidecar.runtime.reload(resources(without)) == ()
        await transact(sidecar, ("upsert", json_item("b", 1)))
        assert len(seen.on(INTERNAL)) == 1


async def test_bytes_that_come_over_grpc_are_published_as_they_are(tmp_path: Path) -> None:
    """What is stored over gRPC need not be JSON, and is no JSON text in the event either."""
    async with grpc_sidecar(tmp_path, components()) as sidecar:
        seen = watched(sidecar.inner)
        item = messages.StateItem(key="k", value=b"val1")
        operation = messages.TransactionalStateOperation(operationType="upsert", request=item)
        request = messages.ExecuteStateTransactionRequest(storeName="store", operations=[operation])
        await sidecar.stub.ExecuteStateTransaction(request)
        await sidecar.inner.until(lambda: bool(seen.on("orders")))
        (event,) = seen.on("orders")
        assert (event["data"], event["datacontenttype"]) == ("val1", "text/plain")
