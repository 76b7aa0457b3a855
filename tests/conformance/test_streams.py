"""Streaming subscriptions on every broker, with real clients over sockets."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from daprflow.protocol import messages as m
from daprflow.sidecar.blocks.pubsub_streams import CONCURRENCY, DRAIN
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.policies import policy_files, with_policies
from tests.helpers.recording import Answer, RecordingApp
from tests.helpers.servers import redis_server
from tests.helpers.sidecar import Components, resources
from tests.helpers.topic_streams import (
    DROP,
    RETRY,
    SUCCESS,
    initial,
    publish,
    stream,
    verdict,
    within,
)

IN_MEMORY: Components = {"pubsub": ("pubsub.in-memory", {})}
DURABLE: Components = {"pubsub": ("pubsub.daprflow", {})}
TWICE = """
  policies: {retries: {twice: {policy: constant, duration: 1s, maxRetries: 2}}}
  targets: {components: {pubsub: {inbound: {retry: twice}}}}
"""
IMPATIENT = """
  policies:
    timeouts: {short: 1s}
    retries: {once: {policy: constant, duration: 1s, maxRetries: 1}}
  targets: {components: {pubsub: {inbound: {timeout: short, retry: once}}}}
"""


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar whose broker keeps events until they are handled."""
    async with grpc_sidecar(tmp_path, DURABLE) as running:
        yield running


@pytest.fixture(params=["in-memory", "memory", "file", "redis"])
async def sidecar(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with each of the brokers in turn."""
    async with contextlib.AsyncExitStack() as stack:
        components, data_dir = DURABLE, None
        if request.param == "in-memory":
            components = IN_MEMORY
        elif request.param == "file":
            data_dir = tmp_path / "data"
            data_dir.mkdir()
        elif request.param == "redis":
            server = await stack.enter_async_context(redis_server())
            metadata = {**server.metadata, "processingTimeout": "0"}
            components = {"pubsub": ("pubsub.redis", metadata)}
        yield await stack.enter_async_context(grpc_sidecar(tmp_path, components, data_dir=data_dir))


def open_streams(sidecar: GrpcSidecar) -> list[tuple[str, str]]:
    """What the sidecar says of its subscriptions: topic and type."""
    return [
        (wanted.document.topic, wanted.origin.value)
        for wanted in sidecar.inner.runtime.subscriptions
    ]


@pytest.mark.row("I-SU")
async def test_events_come_in_order(sidecar: GrpcSidecar) -> None:
    """Each event comes once, in the order of publishing, while it is acknowledged."""
    client = await stream(sidecar)
    bodies = [b"%d" % number for number in range(20)]
    publishing = asyncio.ensure_future(publish(sidecar, *bodies))
    assert await client.handle(20) == bodies
    await publishing
    await sidecar.inner.engine.work.idle()


@pytest.mark.row("I-SU")
async def test_an_event_has_its_attributes(sidecar: GrpcSidecar) -> None:
    """An event names its topic, its component and the path of all streams."""
    client = await stream(sidecar)
    await publish(sidecar, b'{"n":1}', content_type="application/json")
    event = await client.next()
    assert (event.topic, event.pubsub_name, event.path) == ("orders", "pubsub", "/")
    assert (event.source, event.type, event.data) == ("app1", "com.dapr.event.sent", b'{"n":1}')
    await client.judge(event)


@pytest.mark.row("I-SU")
async def test_a_dropped_event_goes_to_the_dead_letter_topic(sidecar: GrpcSidecar) -> None:
    """DROP ends an event, and its bytes go on to the topic that the stream named."""
    dead = await stream(sidecar, "dead")
    client = await stream(sidecar, dead_letter="dead")
    await publish(sidecar, b"bad")
    first = await client.next()
    await client.judge(first, DROP)
    await publish(sidecar, b"good")
    assert await client.handle(1) == [b"good"]
    buried = await dead.next()
    assert (buried.id, buried.topic, buried.data) == (first.id, "dead", b"bad")
    await dead.judge(buried)


@pytest.mark.row("I-SU")
async def test_a_failed_event_is_the_brokers_matter(sidecar: GrpcSidecar) -> None:
    """RETRY brings an event back where the broker delivers again; elsewhere it is lost."""
    client = await stream(sidecar)
    await publish(sidecar, b"again")
    await client.judge(await client.next(), RETRY)
    await sidecar.inner.engine.work.idle()
    if sidecar.inner.runtime.components[0].resource.type == "pubsub.daprflow":
        assert await client.handle(1) == [b"again"]
        return
    await publish(sidecar, b"mark")
    assert await client.handle(1) == [b"mark"]


@pytest.mark.parametrize("status", [3, 7])
async def test_an_unknown_verdict_means_again(durable: GrpcSidecar, status: int) -> None:
    """A status that is none of the three counts as RETRY."""
    client = await stream(durable)
    await publish(durable, b"1")
    await client.judge(await client.next(), status)
    assert await client.handle(1) == [b"1"]


async def test_no_status_is_a_success(durable: GrpcSidecar) -> None:
    """An answer that only names the event acknowledges it."""
    client = await stream(durable)
    await publish(durable, b"1")
    event = await client.next()
    answer = m.SubscribeTopicEventsRequestAlpha1()
    answer.event_processed.id = event.id
    await client.call.write(answer)
    await within(durable, durable.inner.engine.work.idle())


async def test_verdicts_are_told_apart_by_the_events_id(durable: GrpcSidecar) -> None:
    """Several events may be with the client; what is said of one says nothing of another."""
    client = await stream(durable, dead_letter="dead")
    dead = await stream(durable, "dead")
    await publish(durable, b"0", b"1", b"2")
    events = await client.take(3)
    await client.judge(events[2])
    await client.judge(events[1], DROP)
    await client.judge(events[0])
    assert await dead.handle(1) == [b"1"]
    await within(durable, durable.inner.engine.work.idle())


@pytest.mark.row("I-SU")
async def test_of_events_with_one_id_the_oldest_is_judged_first(durable: GrpcSidecar) -> None:
    """Two events with the same id that are with the client at one time both get a verdict."""
    client = await stream(durable, dead_letter="dead")
    dead = await stream(durable, "dead")
    same = {"cloudevent.id": "same"}
    await publish(durable, b"first", b"second", metadata=same)
    assert [event.id for event in await client.take(2)] == ["same", "same"]
    await client.call.write(verdict("same", DROP))
    await client.call.write(verdict("same", SUCCESS))
    assert await dead.handle(1) == [b"first"]
    await within(durable, durable.inner.engine.work.idle())


async def test_a_verdict_on_nothing(durable: GrpcSidecar, caplog: pytest.LogCaptureFixture) -> None:
    """A verdict on an event that is not with the client is named in the log, and harmless."""
    client = await stream(durable)
    await client.call.write(verdict("strange"))
    await publish(durable, b"1")
    assert await client.handle(1) == [b"1"]
    assert "verdict on event 'strange'" in caplog.text


@pytest.mark.row("I-SU")
async def test_what_a_leaving_client_had_goes_back(sidecar: GrpcSidecar) -> None:
    """Events without a verdict come to another stream, or are lost where nothing is kept."""
    client = await stream(sidecar)
    await publish(sidecar, b"held")
    await client.next()
    await client.leave()
    await sidecar.inner.engine.work.idle()
    following = await stream(sidecar)
    await publish(sidecar, b"new")
    if sidecar.inner.runtime.components[0].resource.type == "pubsub.daprflow":
        assert await following.handle(2) == [b"held", b"new"]
        return
    assert await following.handle(1) == [b"new"]  # of Redis the other one comes after its timeout


async def test_a_leaving_client_uses_up_no_attempt(durable: GrpcSidecar) -> None:
    """However often clients leave with an event, it does not become a dead letter by that."""
    await publish(durable, b"held")
    for _ in range(12):
        client = await stream(durable, dead_letter="dead")
        await client.next()
        await client.leave()
    client = await stream(durable, dead_letter="dead")
    assert await client.handle(1) == [b"held"]


@pytest.mark.row("I-SU")
async def test_two_streams_of_one_topic_share_its_events(durable: GrpcSidecar) -> None:
    """Both streams belong to the app's group: each event comes to one of them, in turns."""
    first, second = await stream(durable), await stream(durable)
    await publish(durable, b"0", b"1", b"2", b"3")
    assert await first.handle(2) == [b"0", b"2"]
    assert await second.handle(2) == [b"1", b"3"]


async def test_in_memory_both_streams_get_every_event(tmp_path: Path) -> None:
    """``pubsub.in-memory`` knows no groups, as the real one."""
    async with grpc_sidecar(tmp_path, IN_MEMORY) as sidecar:
        first, second = await stream(sidecar), await stream(sidecar)
        await publish(sidecar, b"0")
        assert await first.handle(1) == await second.handle(1) == [b"0"]


async def test_events_of_one_partition_key_wait_for_each_other(durable: GrpcSidecar) -> None:
    """The second event of a key comes when the first has its verdict; others pass it."""
    client = await stream(durable)
    await publish(durable, b"a1", b"a2", metadata={"partitionKey": "a"})
    await publish(durable, b"b1", metadata={"partitionKey": "b"})
    first, other = await client.take(2)
    assert (first.data, other.data) == (b"a1", b"b1")
    await client.judge(first)
    await client.judge(other)
    assert await client.handle(1) == [b"a2"]


async def test_a_slow_client_is_given_so_many_and_no_more(durable: GrpcSidecar) -> None:
    """Without verdicts only so many events are on their way; the rest stays with the broker."""
    client = await stream(durable)
    await publish(durable, *(b"%d" % number for number in range(CONCURRENCY + 20)))
    events = await client.take(CONCURRENCY)
    assert durable.inner.engine.work.count == CONCURRENCY
    for event in events:
        await client.judge(event)
    assert len(await client.handle(20)) == 20


async def test_metadata_lists_streams(durable: GrpcSidecar) -> None:
    """Each stream is a subscription of its own, of the kind STREAMING, while it is open."""
    await stream(durable, "a", dead_letter="dead", metadata={"k": "v"})
    second = await stream(durable, "a")
    (first, _) = durable.inner.runtime.subscriptions
    assert (first.document.dead_letter_topic, first.document.metadata) == ("dead", {"k": "v"})
    assert open_streams(durable) == [("a", "STREAMING"), ("a", "STREAMING")]
    await second.leave()
    assert open_streams(durable) == [("a", "STREAMING")]


@pytest.mark.row("I-SU")
@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (initial("t", pubsub=""), "UNKNOWN", "pubsubName is required"),
        (initial(""), "UNKNOWN", "topic is required"),
        (initial("t", pubsub="zzz"), "INVALID_ARGUMENT", "pubsub zzz is not found"),
        (m.SubscribeTopicEventsRequestAlpha1(), "UNKNOWN", "initial request is required"),
        (verdict("x"), "UNKNOWN", "initial request is required"),
        (None, "UNKNOWN", "EOF"),
        (
            initial("t", pubsub="scoped"),
            "UNKNOWN",
            (
                "failed to create subscription for scoped: subscription to topic 't' on pubsub "
                "'scoped' is not allowed"
            ),
        ),
    ],
)
async def test_a_bad_beginning(
    tmp_path: Path, request_: m.SubscribeTopicEventsRequestAlpha1 | None, code: str, text: str
) -> None:
    """What cannot be subscribed to is refused as by the real runtime, and nothing stays behind."""
    scoped = ("pubsub.in-memory", {"subscriptionScopes": "app1=open"})
    async with grpc_sidecar(tmp_path, {**IN_MEMORY, "scoped": scoped}) as sidecar:
        call = sidecar.stub.SubscribeTopicEventsAlpha1()
        if request_ is None:
            await call.done_writing()
        else:
            await call.write(request_)
        assert (await call.code()).name == code
        assert await call.details() == text
        assert open_streams(sidecar) == []


@pytest.mark.parametrize(
    "second", [initial("orders"), m.SubscribeTopicEventsRequestAlpha1()], ids=["initial", "empty"]
)
async def test_a_second_beginning(
    durable: GrpcSidecar, second: m.SubscribeTopicEventsRequestAlpha1
) -> None:
    """Whatever is no verdict ends the stream."""
    client = await stream(durable)
    await client.call.write(second)
    assert await client.ended() == ("UNKNOWN", "duplicate initial request received")
    await durable.inner.until(lambda: not open_streams(durable))


async def test_a_client_that_says_its_last(durable: GrpcSidecar) -> None:
    """A client that closes its side ends the stream, and what it has goes back."""
    client = await stream(durable)
    await publish(durable, b"held")
    await client.next()
    await client.call.done_writing()
    assert await client.ended() == ("UNKNOWN", "EOF")
    assert await (await stream(durable)).handle(1) == [b"held"]


async def test_metadata_that_makes_no_sense(durable: GrpcSidecar) -> None:
    """With a ``rawPayload`` that is no boolean no event can be delivered, as really happens."""
    client = await stream(durable, metadata={"rawPayload": "maybe"}, dead_letter="dead")
    dead = await stream(durable, "dead")
    await publish(durable, b"1")
    assert await dead.handle(1) == [b"1"]
    await client.leave()


async def test_raw_payloads(durable: GrpcSidecar) -> None:
    """A stream for raw payloads gets each message as the data of an event made up for it."""
    client = await stream(durable, metadata={"rawPayload": "true"})
    await publish(durable, b"\x00raw", metadata={"rawPayload": "true"})
    event = await client.next()
    assert (event.data, event.data_content_type) == (b"\x00raw", "application/octet-stream")
    assert set(event.extensions) == {"topic", "pubsubname", "traceid", "tracestate"}
    await client.judge(event)


async def test_an_event_that_is_too_large(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An event beyond the limit on messages fails, and the stream goes on."""
    options = RuntimeOptions("app1", max_body_size=4_000)
    async with grpc_sidecar(tmp_path, IN_MEMORY, options=options) as sidecar:
        client = await stream(sidecar)
        large = b'"' + b"<" * 900 + b'"'  # each of which becomes six in JSON
        await publish(sidecar, large, b'"1"', content_type="application/json")
        assert await client.handle(1) == [b'"1"']
        assert "trying to send message larger than max" in caplog.text


@pytest.mark.row("I-SU")
async def test_the_apps_health_is_nothing_to_streams(tmp_path: Path) -> None:
    """Events come on streams though the app is not healthy."""
    app = RecordingApp(lambda _: Answer(500))
    options = RuntimeOptions("app1", app_port=1, enable_app_health_check=True)
    async with grpc_sidecar(tmp_path, IN_MEMORY, app, options=options) as sidecar:
        client = await stream(sidecar)
        await sidecar.inner.until(lambda: len(app.to("/healthz")) > 3)
        await publish(sidecar, b"1")
        assert await client.handle(1) == [b"1"]
        assert not sidecar.inner.runtime.app_healthy


# ---- what ends streams --------------------------------------------------------------------------


@pytest.mark.row("R-07")
async def test_nothing_stays_of_a_client_that_is_gone(durable: GrpcSidecar) -> None:
    """With a client's connection go its task, its queue and its subscription."""
    before = len(asyncio.all_tasks())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{durable.port}") as channel:
        other = dataclasses.replace(durable, stub=m.DaprStub(channel))
        for number in range(5):
            client = await stream(other, f"t{number}")
            await publish(durable, b"1", topic=f"t{number}")
            await client.next()
        assert len(open_streams(durable)) == 5
    await durable.inner.until(lambda: not open_streams(durable))
    await within(durable, durable.inner.engine.work.idle())
    await durable.inner.until(lambda: len(asyncio.all_tasks()) <= before)


@pytest.mark.row("R-07")
async def test_a_client_that_leaves_while_its_stream_is_opened(durable: GrpcSidecar) -> None:
    """However early a client goes, its subscription ends."""
    for _ in range(10):
        call = durable.stub.SubscribeTopicEventsAlpha1()
        await call.write(initial("orders"))
        call.cancel()
    await durable.inner.until(lambda: not open_streams(durable))
    client = await stream(durable)
    await publish(durable, b"1")
    assert await client.handle(1) == [b"1"]


@pytest.mark.row("I-HR")
async def test_another_component_ends_its_streams(durable: GrpcSidecar, tmp_path: Path) -> None:
    """A changed component ends its streams after the verdict that is owed; others stay."""
    other: Components = {"other": ("pubsub.in-memory", {})}
    runtime = durable.inner.runtime
    await runtime.reload(resources({**DURABLE, **other}))
    client = await stream(durable)
    call = durable.stub.SubscribeTopicEventsAlpha1()
    await call.write(initial("orders", pubsub="other"))
    await call.read()
    await publish(durable, b"1")
    event = await client.next()
    changed = {"pubsub": ("pubsub.daprflow", {"subscriptionScopes": "app1=orders"})}
    reloading = asyncio.ensure_future(runtime.reload(resources({**changed, **other})))
    await durable.inner.until(lambda: len(open_streams(durable)) == 1)
    await client.judge(event)
    assert await client.ended() == ("UNKNOWN", "stream closed")
    assert await reloading == ()
    assert open_streams(durable) == [("orders", "STREAMING")]
    following = await stream(durable)
    await publish(durable, b"2")
    assert await following.handle(1) == [b"2"]


@pytest.mark.row("R-07")
async def test_a_change_does_not_wait_for_ever(durable: GrpcSidecar) -> None:
    """A client that gives no verdict loses its event to the next stream after some seconds."""
    client = await stream(durable)
    await publish(durable, b"1")
    await client.next()
    changed: Components = {"pubsub": ("pubsub.daprflow", {"subscriptionScopes": "app1=orders"})}
    started = durable.inner.clock.now()
    await within(durable, durable.inner.runtime.reload(resources(changed)))
    assert durable.inner.clock.now() - started >= DRAIN
    assert await client.ended() == ("UNKNOWN", "stream closed")
    assert await (await stream(durable)).handle(1) == [b"1"]


async def test_a_component_that_goes_takes_its_streams(durable: GrpcSidecar) -> None:
    """A component whose file is gone leaves no stream."""
    client = await stream(durable)
    await within(durable, durable.inner.runtime.reload(resources({})))
    assert await client.ended() == ("UNKNOWN", "stream closed")
    assert open_streams(durable) == []


@pytest.mark.row("I-SH")
async def test_the_end_of_the_sidecar(tmp_path: Path) -> None:
    """At the end an owed verdict still counts, the stream is closed, and none begins any more."""
    async with grpc_sidecar(tmp_path, DURABLE, data_dir=tmp_path) as sidecar:
        client = await stream(sidecar)
        await publish(sidecar, b"1", b"2")
        event, _ = await client.take(2)
        closing = asyncio.ensure_future(sidecar.inner.runtime.close(0.2))
        await sidecar.inner.until(lambda: not open_streams(sidecar))
        await client.judge(event)
        late = sidecar.stub.SubscribeTopicEventsAlpha1()
        await late.write(initial("orders"))
        assert (await late.code()).name == "INVALID_ARGUMENT"
        assert await late.details() == (
            "failed deserializing metadata. Error: subscriber is closed"
        )
        await closing
        assert await client.ended() == ("UNKNOWN", "stream closed")
    async with grpc_sidecar(tmp_path, DURABLE, data_dir=tmp_path) as again:
        assert await (await stream(again)).handle(1) == [b"2"]


# ---- policies -----------------------------------------------------------------------------------


@pytest.mark.row("I-RE", "I-SU")
async def test_an_inbound_retry_policy(tmp_path: Path) -> None:
    """A policy has an event come as often as it says, then it goes to the dead letter topic."""
    files = with_policies(tmp_path / "files", IN_MEMORY, TWICE)
    async with grpc_sidecar(tmp_path, {}, files=files) as sidecar:
        dead = await stream(sidecar, "dead")
        client = await stream(sidecar, dead_letter="dead")
        await publish(sidecar, b"bad")
        for _ in range(3):
            await client.judge(await client.next(), RETRY)
        assert await dead.handle(1) == [b"bad"]


@pytest.mark.row("FA-16")
async def test_an_inbound_timeout(tmp_path: Path) -> None:
    """An attempt whose verdict is late counts as failed, and the event comes again."""
    files = with_policies(tmp_path / "files", IN_MEMORY, IMPATIENT)
    async with grpc_sidecar(tmp_path, {}, files=files) as sidecar:
        client = await stream(sidecar)
        await publish(sidecar, b"1")
        first, second = await client.take(2)
        assert first.id == second.id
        await client.judge(second)
        await within(sidecar, sidecar.inner.engine.work.idle())


async def test_other_policies_end_streams(durable: GrpcSidecar, tmp_path: Path) -> None:
    """Streams are ended by a change of policies; those opened anew are under the new ones."""
    client = await stream(durable)
    policies = policy_files(tmp_path / "files", TWICE).resiliencies
    await within(durable, durable.inner.runtime.reload_resiliency(policies))
    assert await client.ended() == ("UNKNOWN", "stream closed")
    following = await stream(durable, dead_letter="dead")
    dead = await stream(durable, "dead")
    await publish(durable, b"bad")
    for _ in range(3):
        await following.judge(await following.next(), RETRY)
    assert await dead.handle(1) == [b"bad"]
