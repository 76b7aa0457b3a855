"""Topics of apps that speak gRPC, over sockets; expectations as seen with a real runtime 1.18.3."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from daprflow.protocol import messages as m
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources, load_resources
from tests.helpers.grpc_app import (
    ALPHA,
    SERVICE,
    Answer,
    GrpcTestApp,
    RpcCall,
    always,
    grpc_app,
    refusing,
)
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.policies import with_policies
from tests.helpers.sidecar import Components, resources
from tests.helpers.topic_streams import publish, within

IN_MEMORY: Components = {"pubsub": ("pubsub.in-memory", {})}
DURABLE: Components = {"pubsub": ("pubsub.daprflow", {})}
EVENT, BULK, LIST = (
    f"{SERVICE}OnTopicEvent",
    f"{SERVICE}OnBulkTopicEvent",
    f"{SERVICE}ListTopicSubscriptions",
)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NO_PARENT = "00-00000000000000000000000000000000-0000000000000000-00"
DONE = always(m.TopicEventResponse())
DECLARED = """
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: {name: TOPIC}
spec: {pubsubname: pubsub, topic: TOPIC, routes: {default: from/a/file}}
"""
POLICY = """
  policies:
    retries:
      some: {policy: constant, duration: 1s, maxRetries: 2, matching: {gRPCStatusCodes: "13"}}
  targets: {components: {pubsub: {inbound: {retry: some}}}}
"""


def wants(topic: str, pubsub: str = "pubsub", **fields: Any) -> m.TopicSubscription:
    """One subscription as an app lists it."""
    return m.TopicSubscription(pubsub_name=pubsub, topic=topic, **fields)


def listing(*found: m.TopicSubscription) -> Answer:
    """Answer with subscriptions."""
    return always(m.ListTopicSubscriptionsResponse(subscriptions=found))


def answering(answers: Mapping[bytes, Answer]) -> Answer:
    """Answer an event by its data, any other with a success."""

    async def answer(event: m.TopicEventRequest, context: Any) -> m.Message:
        return await answers.get(event.data, DONE)(event, context)

    return answer


@contextlib.asynccontextmanager
async def running(
    root: Path,
    components: Components = IN_MEMORY,
    files: Resources | None = None,
    **answers: Answer,
) -> AsyncIterator[tuple[GrpcSidecar, GrpcTestApp]]:
    """A sidecar and its gRPC app, connected."""
    async with grpc_app(**answers) as app:
        options = RuntimeOptions(
            "app1", app_port=app.port, app_protocol="grpc", app_token="app-token"
        )
        async with grpc_sidecar(
            root, components, options=options, called=make_app(options), files=files
        ) as sidecar:
            yield sidecar, app


async def seen(
    sidecar: GrpcSidecar, app: GrpcTestApp, count: int, rpc: str = EVENT
) -> list[RpcCall]:
    """Wait for calls of a method."""
    await sidecar.inner.until(lambda: len(app.seen(rpc)) >= count)
    await within(sidecar, sidecar.inner.engine.work.idle())
    assert len(app.seen(rpc)) == count
    return app.seen(rpc)


async def listed(sidecar: GrpcSidecar) -> list[dict[str, Any]]:
    """What ``GET /v1.0/metadata`` says of subscriptions."""
    answer = await sidecar.inner.exchange.send(HttpRequest("GET", "/v1.0/metadata"))
    found: list[dict[str, Any]] = msgspec.json.decode(answer.body).get("subscriptions", [])
    return found


@pytest.mark.row("I-PS", "R-25")
async def test_an_event(tmp_path: Path) -> None:
    """An app gets the event, its path, the publisher's metadata, a trace context and its token."""
    async with running(
        tmp_path, ListTopicSubscriptions=listing(wants("orders")), OnTopicEvent=DONE
    ) as (sidecar, app):
        metadata = {"K": "v", "x-bin": "a", "dapr-api-token": "x", "bad name": "x", "uni": "\u00e9"}
        await publish(sidecar, b"hi", metadata=metadata)
        (call,) = await seen(sidecar, app, 1)
        event = call.request
        assert (event.data, event.topic, event.pubsub_name) == (b"hi", "orders", "pubsub")
        assert (event.path, event.source, event.data_content_type) == ("", "app1", "text/plain")
        sent = {name: values for name, values in call.metadata.items() if name != "user-agent"}
        assert sent == {
            "k": ["v"],
            "x-bin": [b"a"],
            "pubsubname": ["pubsub"],
            "traceparent": [NO_PARENT],
            "dapr-api-token": ["app-token"],
        }


async def test_the_trace_context_of_an_event(tmp_path: Path) -> None:
    """The publisher's trace goes on to the app."""
    async with running(
        tmp_path, ListTopicSubscriptions=listing(wants("orders")), OnTopicEvent=DONE
    ) as (sidecar, app):
        request = m.PublishEventRequest(pubsub_name="pubsub", topic="orders", data=b"1")
        await sidecar.stub.PublishEvent(request, metadata=(("traceparent", PARENT),))
        (call,) = await seen(sidecar, app, 1)
        assert call.metadata["traceparent"] == [PARENT]
        assert call.request.extensions["traceparent"] == PARENT


async def test_rules(tmp_path: Path) -> None:
    """The first rule that matches gives the path, as it is written; then comes the default."""
    routes = m.TopicRoutes(
        rules=[m.TopicRule(match='event.type == "vip"', path="vip//../x")], default="rest"
    )
    async with running(
        tmp_path, ListTopicSubscriptions=listing(wants("orders", routes=routes)), OnTopicEvent=DONE
    ) as (sidecar, app):
        await publish(sidecar, b"1", metadata={"cloudevent.type": "vip"})
        await publish(sidecar, b"2")
        calls = await seen(sidecar, app, 2)
        assert [call.request.path for call in calls] == ["vip//../x", "rest"]


async def test_an_event_that_no_rule_matches(tmp_path: Path) -> None:
    """It goes to the dead letter topic."""
    routes = m.TopicRoutes(rules=[m.TopicRule(match='event.type == "vip"', path="vip")])
    found = listing(wants("orders", routes=routes, dead_letter_topic="dead"), wants("dead"))
    async with running(tmp_path, ListTopicSubscriptions=found, OnTopicEvent=DONE) as (sidecar, app):
        await publish(sidecar, b"1")
        (call,) = await seen(sidecar, app, 1)
        assert (call.request.topic, call.request.data) == ("dead", b"1")


async def test_what_metadata_says_of_subscriptions(tmp_path: Path) -> None:
    """Subscriptions are listed with their rules; of two for one topic the later counts."""
    routes = m.TopicRoutes(rules=[m.TopicRule(match="true", path="a")], default="b")
    found = listing(
        wants("plain"),
        wants("empty", routes=m.TopicRoutes()),
        wants("rules", routes=routes, dead_letter_topic="dead", metadata={"k": "v"}),
        wants("twice"),
        wants("twice", routes=m.TopicRoutes(default="later")),
    )
    async with running(tmp_path, ListTopicSubscriptions=found) as (sidecar, _):
        assert [(each["topic"], each["rules"]) for each in await listed(sidecar)] == [
            ("plain", [{}]),
            ("empty", [{}]),
            ("rules", [{"match": "true", "path": "a"}, {"path": "b"}]),
            ("twice", [{"path": "later"}]),
        ]
        rules = (await listed(sidecar))[2]
        assert (rules["deadLetterTopic"], rules["metadata"]) == ("dead", {"k": "v"})


@pytest.mark.parametrize(
    ("answer", "topics", "text"),
    [
        (always(m.TopicEventResponse(status=m.TopicEventResponse.SUCCESS)), ["orders"], ""),
        (
            always(m.TopicEventResponse(status=m.TopicEventResponse.RETRY)),
            ["orders", "dead"],
            "the app answered RETRY",
        ),
        (
            always(m.TopicEventResponse(status=m.TopicEventResponse.DROP)),
            ["orders", "dead"],
            "the app answered DROP",
        ),
        (refusing(grpc.StatusCode.NOT_FOUND), ["orders", "dead"], "gRPC status 5: no"),
        (refusing(grpc.StatusCode.UNIMPLEMENTED), ["orders"], "got lost"),
    ],
    ids=["success", "retry", "drop", "error", "unimplemented"],
)
async def test_verdicts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Answer, topics: list[str], text: str
) -> None:
    """Errors count as failures, but a missing method acknowledges: such events are lost."""
    async with running(
        tmp_path,
        ListTopicSubscriptions=listing(wants("orders", dead_letter_topic="dead"), wants("dead")),
        OnTopicEvent=answering({b"bad": answer}),
    ) as (sidecar, app):
        await publish(sidecar, b"bad")
        await publish(sidecar, b"mark", topic="dead")
        calls = await seen(sidecar, app, len(topics) + 1)
        assert [call.request.topic for call in calls if call.request.data == b"bad"] == topics
        assert text in caplog.text


async def test_a_failed_event_comes_again(tmp_path: Path) -> None:
    """On a broker that delivers again an RPC error brings the event back until it is taken."""
    failures = iter([True, True, False])

    async def answer(event: m.TopicEventRequest, context: Any) -> m.Message:
        if next(failures):
            await context.abort(grpc.StatusCode.INTERNAL, "not now")
        return m.TopicEventResponse()

    async with running(
        tmp_path, DURABLE, ListTopicSubscriptions=listing(wants("orders")), OnTopicEvent=answer
    ) as (sidecar, app):
        await publish(sidecar, b"1")
        await seen(sidecar, app, 3)


async def test_an_event_waits_for_an_app_that_is_away(tmp_path: Path) -> None:
    """What cannot be delivered is kept, uses up no attempt, and comes when the app is back."""
    async with running(
        tmp_path, DURABLE, ListTopicSubscriptions=listing(wants("orders")), OnTopicEvent=DONE
    ) as (sidecar, app):
        await app.stop()
        await publish(sidecar, b"1")
        await sidecar.inner.until(lambda: sidecar.inner.engine.work.count == 0)
        assert app.seen(EVENT) == []
        await app.start()
        await seen(sidecar, app, 1)


@pytest.mark.row("I-RE")
@pytest.mark.parametrize(
    ("code", "attempts"), [(grpc.StatusCode.INTERNAL, 3), (grpc.StatusCode.NOT_FOUND, 1)]
)
async def test_a_policy_that_matches_statuses(
    tmp_path: Path, code: grpc.StatusCode, attempts: int
) -> None:
    """A retry policy looks at the app's gRPC status, of single events and of whole batches."""
    bulk = m.BulkSubscribeConfig(enabled=True, max_messages_count=1)
    files = with_policies(tmp_path / "files", IN_MEMORY, POLICY)
    async with running(
        tmp_path,
        files=files,
        ListTopicSubscriptions=listing(wants("orders"), wants("bulk", bulk_subscribe=bulk)),
        OnTopicEvent=refusing(code),
        OnBulkTopicEvent=refusing(code),
    ) as (sidecar, app):
        await publish(sidecar, b"1")
        await seen(sidecar, app, attempts)
        await publish(sidecar, b"1", topic="bulk")
        await seen(sidecar, app, attempts, BULK)


# ---- batches ------------------------------------------------------------------------------------


def judging(verdicts: Mapping[bytes, Any]) -> Answer:
    """Give the entries of a batch verdicts by their data; those without one are left out."""

    async def answer(batch: m.TopicEventBulkRequest, _context: Any) -> m.Message:
        statuses = [
            m.TopicEventBulkResponseEntry(
                entry_id=entry.entry_id, status=verdicts[entry.cloud_event.data]
            )
            for entry in batch.entries
            if entry.cloud_event.data in verdicts
        ]
        return m.TopicEventBulkResponse(statuses=statuses)

    return answer


def bulk(count: int = 3) -> m.TopicSubscription:
    """A subscription to batches."""
    config = m.BulkSubscribeConfig(
        enabled=True, max_messages_count=count, max_await_duration_ms=100
    )
    return wants("bulk", bulk_subscribe=config, dead_letter_topic="dead", metadata={"k": "v"})


async def test_a_batch(tmp_path: Path) -> None:
    """Events come together, each with a verdict of its own; one without a verdict comes again."""
    statuses = m.TopicEventResponse
    verdicts = {b"0": statuses.SUCCESS, b"1": statuses.DROP}
    async with running(
        tmp_path,
        DURABLE,
        ListTopicSubscriptions=listing(bulk(), wants("dead")),
        OnBulkTopicEvent=judging(verdicts),
        OnTopicEvent=DONE,
    ) as (sidecar, app):
        await publish(sidecar, b"0", b"1", b"2", topic="bulk", metadata={"m": "n"})
        await sidecar.inner.until(lambda: len(app.seen(BULK)) >= 2)
        first, second = (call.request for call in app.seen(BULK)[:2])
        assert (first.topic, first.pubsub_name, first.path) == ("bulk", "pubsub", "")
        assert (first.type, dict(first.metadata)) == (
            "com.dapr.event.sent.bulk",
            {"pubsubName": "pubsub"},
        )
        assert [entry.cloud_event.data for entry in first.entries] == [b"0", b"1", b"2"]
        assert [dict(entry.metadata) for entry in first.entries] == [{"m": "n"}] * 3
        assert [entry.cloud_event.data for entry in second.entries] == [b"2"]
        sent = app.seen(BULK)[0].metadata
        assert (sent["pubsubname"], sent["traceparent"]) == (["pubsub"], [NO_PARENT])
        await sidecar.inner.until(lambda: len(app.seen(EVENT)) == 1)
        assert app.seen(EVENT)[0].request.data == b"1"


async def test_a_batch_of_raw_payloads(tmp_path: Path) -> None:
    """Raw payloads are bytes in a batch, and no trace context goes with it."""
    found = bulk(1)
    found.metadata["rawPayload"] = "true"
    async with running(
        tmp_path,
        ListTopicSubscriptions=listing(found),
        OnBulkTopicEvent=always(m.TopicEventBulkResponse()),
    ) as (sidecar, app):
        await publish(sidecar, b"\x00", topic="bulk", metadata={"rawPayload": "true"})
        (call,) = await seen(sidecar, app, 1, BULK)
        assert call.request.entries[0].bytes == b"\x00"
        assert "traceparent" not in call.metadata


async def test_an_older_app_gets_batches_by_the_older_method(tmp_path: Path) -> None:
    """An app without ``OnBulkTopicEvent`` is asked by the alpha method."""
    async with running(
        tmp_path,
        ListTopicSubscriptions=listing(bulk(1)),
        OnBulkTopicEventAlpha1=judging({b"1": m.TopicEventResponse.SUCCESS}),
    ) as (sidecar, app):
        await publish(sidecar, b"1", topic="bulk")
        await seen(sidecar, app, 1, f"{ALPHA}OnBulkTopicEventAlpha1")


async def test_an_app_without_a_method_for_batches_loses_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As really happens; a line of the log says so."""
    async with running(
        tmp_path, DURABLE, ListTopicSubscriptions=listing(bulk(1), wants("dead")), OnTopicEvent=DONE
    ) as (sidecar, app):
        await publish(sidecar, b"1", topic="bulk")
        await sidecar.inner.until(lambda: "OnBulkTopicEvent" in caplog.text)
        await publish(sidecar, b"mark", topic="dead")
        (call,) = await seen(sidecar, app, 1)
        assert call.request.data == b"mark"
        assert "got lost" in caplog.text


async def test_an_event_of_a_batch_that_cannot_be_told(tmp_path: Path) -> None:
    """An empty entry stands in its place, and it goes to the dead letter topic."""
    async with running(
        tmp_path,
        ListTopicSubscriptions=listing(bulk(1), wants("dead")),
        OnBulkTopicEvent=judging({}),
        OnTopicEvent=DONE,
    ) as (sidecar, app):
        event = b'{"id":"x","data":5,"datacontenttype":"text/plain"}'
        await publish(sidecar, event, topic="bulk", content_type="application/cloudevents+json")
        (call,) = await seen(sidecar, app, 1, BULK)
        assert list(call.request.entries) == [m.TopicEventBulkRequestEntry()]


# ---- the start ----------------------------------------------------------------------------------


async def test_an_app_that_lists_nothing(tmp_path: Path) -> None:
    """An app without ``ListTopicSubscriptions`` has no subscriptions of its own."""
    async with running(tmp_path) as (sidecar, _):
        assert await listed(sidecar) == []


async def test_the_listing_is_asked_for_again(tmp_path: Path) -> None:
    """An error other than UNIMPLEMENTED is tried again."""
    failures = iter([True, True, False])

    async def answer(_request: m.Empty, context: Any) -> m.Message:
        if next(failures):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return m.ListTopicSubscriptionsResponse(subscriptions=[wants("orders")])

    async with grpc_app(ListTopicSubscriptions=answer) as app:
        options = RuntimeOptions("app1", app_port=app.port, app_protocol="grpc")
        async with grpc_sidecar(
            tmp_path, IN_MEMORY, options=options, called=make_app(options), connect=False
        ) as sidecar:
            await within(sidecar, sidecar.inner.runtime.connect())
            assert [each["topic"] for each in await listed(sidecar)] == ["orders"]
            assert len(app.seen(LIST)) == 3


async def test_an_app_that_never_answers_gets_no_events(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When the tries are used up an error says so, and no subscription is started."""
    async with grpc_app(ListTopicSubscriptions=refusing(grpc.StatusCode.INTERNAL)) as app:
        options = RuntimeOptions("app1", app_port=app.port, app_protocol="grpc")
        async with grpc_sidecar(
            tmp_path, IN_MEMORY, options=options, called=make_app(options), connect=False
        ) as sidecar:
            await within(sidecar, sidecar.inner.runtime.connect())
            assert await listed(sidecar) == []
            assert "did not answer ListTopicSubscriptions" in caplog.text


async def test_a_rule_that_is_no_expression(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad rule keeps every subscription from starting, as with the real runtime."""
    routes = m.TopicRoutes(rules=[m.TopicRule(match="not (", path="x")])
    found = listing(wants("good"), wants("bad", routes=routes))
    async with running(tmp_path, ListTopicSubscriptions=found) as (sidecar, _):
        assert await listed(sidecar) == []
        assert "no subscription was started" in caplog.text


async def test_a_subscription_of_a_file(tmp_path: Path) -> None:
    """A Subscription resource is for gRPC apps, too; the app's own word goes before it."""
    folder = tmp_path / "files"
    folder.mkdir()
    for topic in ("orders", "both"):
        (folder / f"{topic}.yaml").write_text(DECLARED.replace("TOPIC", topic), encoding="utf-8")
    found = load_resources([folder])
    files = dataclasses.replace(found, components=resources(IN_MEMORY).components)
    async with running(
        tmp_path, files=files, ListTopicSubscriptions=listing(wants("both")), OnTopicEvent=DONE
    ) as (sidecar, app):
        await publish(sidecar, b"1")
        await publish(sidecar, b"2", topic="both")
        calls = await seen(sidecar, app, 2)
        assert [(call.request.topic, call.request.path) for call in calls] == [
            ("orders", "from/a/file"),
            ("both", ""),
        ]


@pytest.mark.row("I-SH")
async def test_deliveries_in_flight_end_with_the_sidecar(tmp_path: Path) -> None:
    """A handler that does not end is cut off, and its event is kept."""
    begun = asyncio.Event()

    async def answer(_request: m.TopicEventRequest, _context: Any) -> m.Message:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with running(
        tmp_path, DURABLE, ListTopicSubscriptions=listing(wants("orders")), OnTopicEvent=answer
    ) as (sidecar, _):
        await publish(sidecar, b"1")
        await begun.wait()
        await sidecar.inner.runtime.close(0.05)
        assert sidecar.inner.engine.work.count == 0
