"""One engine, several apps, restarts and ends: nothing accepted is lost, nothing leaks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.protocol.http import Exchange, HttpRequest
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.connect import make_channel
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.runtime import Runtime
from tests.helpers.recording import DONE, NOT_FOUND, Answer, Call, RecordingApp, serve
from tests.helpers.sidecar import Components, in_process_sidecar, resources
from tests.helpers.subscribers import DURABLE, PUBSUB, Subscribed, subscribed
from tests.helpers.timing import until

HELD = {"topic": "held", "route": "/held", "deadLetterTopic": "dead"}
DEAD = {"topic": "dead", "route": "/dead"}


@pytest.mark.row("I-SH", "R-18")
@pytest.mark.parametrize("components", [PUBSUB, DURABLE], ids=["in-memory", "durable"])
async def test_r_18_the_end_dead_letters_nothing(tmp_path: Path, components: Components) -> None:
    """R-18: an event in flight at the end of a sidecar is not pushed to the dead letter topic."""
    async with subscribed(tmp_path, [HELD, DEAD], components, data_dir=tmp_path) as found:
        hold = found.app.held["/held"] = asyncio.Event()
        await found.publish("held", 1)
        await found.app.wait_for("/held")
        await found.sidecar.runtime.close(0.05)
        hold.set()
        assert found.app.to("/dead") == []
    async with subscribed(tmp_path, [HELD, DEAD], components, data_dir=tmp_path) as again:
        if components is DURABLE:
            assert (await again.arrived("/held"))[0].json()["data"] == 1
        assert await again.settled("/dead") == []


@pytest.mark.row("FA-07", "I-SH")
async def test_an_ordered_end_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    """An event that is handled within the grace period is done and not delivered again."""
    async with subscribed(tmp_path, [HELD, DEAD], DURABLE, data_dir=tmp_path) as found:
        hold = found.app.held["/held"] = asyncio.Event()
        await found.publish("held", 1)
        await found.app.wait_for("/held")
        closing = asyncio.create_task(found.sidecar.runtime.close(10))
        hold.set()
        await closing
    async with subscribed(tmp_path, [HELD, DEAD], DURABLE, data_dir=tmp_path) as again:
        assert await again.settled("/held") == []


async def test_an_app_that_breaks_off_is_asked_ten_times(tmp_path: Path) -> None:
    """An event on which the app always breaks off counts its attempts, as a poison message must."""
    async with subscribed(tmp_path, [HELD, DEAD], DURABLE) as found:

        def crash(call: Call) -> Answer:
            raise AppUnreachable("the app is gone")

        found.app.computed["/held"] = crash
        await found.publish("held", 1)
        await found.arrived("/dead")
        assert len(found.app.to("/held")) == 10


@pytest.mark.row("FS-13")
async def test_reconnecting_reads_subscriptions_again(tmp_path: Path) -> None:
    """After a restart of the app its new subscriptions hold; queued events and state stay."""
    components: Components = {**DURABLE, "store": ("state.in-memory", {})}
    old = [{"pubsubname": "pubsub", "topic": "t", "route": "/old"}]
    new = [{"pubsubname": "pubsub", "topic": "t", "route": "/new"}]
    async with subscribed(tmp_path, [], components) as found:
        runtime = found.sidecar.runtime
        found.app.answers["/dapr/subscribe"] = Answer.of(old)
        await runtime.reconnect()
        await found.send("POST", "/v1.0/state/store", b'[{"key":"k","value":1}]')
        await runtime.pause()
        await found.publish("t", 1)
        await found.sidecar.engine.work.idle()
        assert found.app.to("/old") == []
        found.app.answers["/dapr/subscribe"] = Answer.of(new)
        await runtime.reconnect()
        await found.arrived("/new")
        assert (await found.send("GET", "/v1.0/state/store/k")).body == b"1"
        assert found.app.to("/old") == []


BAD_RULE = {
    "topic": "bad",
    "routes": {"rules": [{"match": "event.type ==", "path": "/x"}], "default": "/x"},
}


@pytest.mark.row("FS-17")
async def test_a_bad_rule_starts_no_subscription(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One rule that is no CEL leaves the app without subscriptions, and one line says so."""
    async with subscribed(tmp_path, [HELD, BAD_RULE]) as found:
        assert found.sidecar.runtime.subscriptions == ()
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "event.type ==" in errors[0]
    assert "\n" not in errors[0]


@pytest.mark.row("FS-17")
@pytest.mark.parametrize(
    "document",
    [
        Answer(404),
        Answer(500, b"boom"),
        Answer(200),
        Answer(200, b"null"),
        Answer(200, b"{"),
        Answer(200, b'{"topic":1}'),
        Answer(200, b'[{"pubsubname":1,"topic":2}]'),
        Answer(200, b"\xff"),
        Answer(200, b"[" * 100_000),
    ],
)
async def test_bad_documents(
    tmp_path: Path, document: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """Documents that cannot be read leave an app without subscriptions, and the sidecar ready."""
    async with subscribed(tmp_path, []) as found:
        found.app.answers["/dapr/subscribe"] = document
        found.app.answers["/dapr/config"] = document
        await found.sidecar.runtime.reconnect()
        assert found.sidecar.runtime.subscriptions == ()
        assert (await found.send("GET", "/v1.0/healthz")).status == 204
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert [record for record in caplog.records if record.exc_info] == []


async def test_concurrency_limit(tmp_path: Path) -> None:
    """No more calls are in the app at one time than it allows, and all get through."""
    app = RecordingApp()
    app.answers["/dapr/subscribe"] = Answer.of([{"pubsubname": "pubsub", **HELD}])
    hold = app.held["/held"] = asyncio.Event()
    async with serve(app) as port:
        options = RuntimeOptions("app1", app_port=port, app_max_concurrency=2)
        channel = make_channel(options)
        async with in_process_sidecar(
            tmp_path, DURABLE, options=options, channel=channel
        ) as sidecar:
            for number in range(10):
                body = b"%d" % number
                request = HttpRequest("POST", "/v1.0/publish/pubsub/held", (), body)
                await sidecar.exchange.send(request)
            await app.wait_for("/held", 2)
            assert not await app.wait_until(lambda: len(app.to("/held")) > 2, 0.1)
            hold.set()
            await app.wait_for("/held", 10)
            await sidecar.engine.work.idle()


@dataclass(frozen=True, slots=True)
class TwoApps:
    """Two apps with their sidecars on one engine."""

    clock: VirtualClock
    apps: Mapping[str, RecordingApp]
    exchanges: Mapping[str, Exchange]

    async def send(self, app_id: str, method: str, target: str, body: bytes = b"") -> Any:
        """Send a request to one app's sidecar."""
        headers = (("content-type", "application/json"), ("dapr-api-token", "caller's"))
        return await self.exchanges[app_id].send(HttpRequest(method, target, headers, body))


@contextlib.asynccontextmanager
async def two_apps(root: Path, components: Components) -> AsyncIterator[TwoApps]:
    """Start two apps that both subscribe to ``t``."""
    clock = VirtualClock()
    engine = Engine(clock, None, root)
    document = Answer.of([{"pubsubname": "pubsub", "topic": "t", "route": "/t"}])

    def default(call: Call) -> Answer:
        if call.path == "/dapr/subscribe":
            return document
        return DONE if call.method == "POST" else NOT_FOUND

    apps = {name: RecordingApp(default) for name in ("one", "two")}
    runtimes = {
        name: Runtime(
            engine,
            RuntimeOptions(name, app_port=1),
            resources(components),
            HttpApp(AsgiChannel(app)),
        )
        for name, app in apps.items()
    }
    for runtime in runtimes.values():
        await runtime.open()
        await runtime.connect()
    exchanges = {name: AsgiChannel(HttpApi(runtime)) for name, runtime in runtimes.items()}
    yield TwoApps(clock, apps, exchanges)
    for runtime in runtimes.values():
        await runtime.close(1.0)
    await engine.close()


@pytest.mark.parametrize("components", [PUBSUB, DURABLE], ids=["in-memory", "durable"])
async def test_each_app_gets_each_event(tmp_path: Path, components: Components) -> None:
    """Apps of one run are consumer groups of their own, whoever published."""
    async with two_apps(tmp_path, components) as run:
        for app_id in ("one", "two"):
            answer = await run.send(app_id, "POST", "/v1.0/publish/pubsub/t", b'"x"')
            assert answer.status == 204
        await until(run.clock, lambda: all(len(app.to("/t")) == 2 for app in run.apps.values()))
    for app in run.apps.values():
        assert sorted(call.json()["source"] for call in app.to("/t")) == ["one", "two"]


@pytest.mark.parametrize(
    ("prefix", "shared"), [("", False), ("appid", False), ("none", True), ("name", True)]
)
async def test_state_of_two_apps(tmp_path: Path, prefix: str, shared: object) -> None:
    """Apps of one run share a store, and its keys only where the prefix says so."""
    components: Components = {"store": ("state.in-memory", {"keyPrefix": prefix})}
    async with two_apps(tmp_path, components) as run:
        await run.send("one", "POST", "/v1.0/state/store", b'[{"key":"k","value":1}]')
        found = await run.send("two", "GET", "/v1.0/state/store/k")
    assert found.status == (200 if shared else 204)


async def test_invocation_between_apps(tmp_path: Path) -> None:
    """A call on another app carries who calls whom; a call on oneself does not."""
    async with two_apps(tmp_path, PUBSUB) as run:
        run.apps["two"].answers["/price"] = Answer(201, b"7", "text/x-price", {"x-own": "1"})
        answer = await run.send("one", "POST", "/v1.0/invoke/two/method/price?q=1", b"{}")
        own = await run.send("two", "POST", "/v1.0/invoke/two/method/price", b"{}")
    assert (answer.status, answer.body, answer.header("x-own")) == (201, b"7", "1")
    assert answer.header("content-type") == "text/x-price"
    assert own.status == 201
    remote, local = run.apps["two"].to("/price")
    names = ("dapr-caller-app-id", "dapr-caller-namespace", "dapr-callee-app-id")
    assert [remote.header(name) for name in names] == ["one", "default", "two"]
    assert [local.header(name) for name in names] == [None, None, None]
    assert remote.target == "/price?q=1"


async def fan_out(found: Subscribed, topics: Sequence[str]) -> None:
    """Publish to each topic at the same time."""
    await asyncio.gather(*(found.publish(topic, topic) for topic in topics))


@pytest.mark.row("FS-17", "FS-23")
async def test_thousand_topics(tmp_path: Path) -> None:
    """A thousand subscriptions of one app each get their own events."""
    topics = [f"t{number}" for number in range(1000)]
    subscriptions = [{"topic": topic, "route": f"/{topic}"} for topic in topics]
    async with subscribed(tmp_path, subscriptions, DURABLE) as found:
        await fan_out(found, topics)
        await found.sidecar.until(
            lambda: sum(call.path.startswith("/t") for call in found.app.calls) == 1000
        )
    for call in found.app.calls:
        if call.path.startswith("/t"):
            assert msgspec.json.decode(call.body)["data"] == call.path[1:]
