"""One app's sidecar: start order, pause and reconnect, app health, shutdown."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.app_health import AppHealth
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.runtime import Runtime
from tests.helpers.recording import NOT_FOUND, Answer, RecordingApp
from tests.helpers.sidecar import Components, resources
from tests.helpers.timing import until

DURABLE: Components = {"pubsub": ("pubsub.daprflow", {})}
ORDERS = {"pubsubname": "pubsub", "topic": "orders", "route": "/orders"}


def app_with(*subscriptions: object) -> RecordingApp:
    """Return an app that subscribes."""
    app = RecordingApp()
    app.answers["/dapr/subscribe"] = Answer.of(list(subscriptions))
    app.answers["/dapr/config"] = NOT_FOUND
    return app


class SlowApp(AsgiChannel):
    """A channel whose app listens only from the third look on."""

    looks = 0

    async def probe(self) -> bool:
        self.looks += 1
        return self.looks > 2


@asynccontextmanager
async def sidecar(
    tmp_path: Path,
    app: RecordingApp,
    components: Components = DURABLE,
    options: RuntimeOptions | None = None,
) -> AsyncIterator[Runtime]:
    """Open a runtime, not connected yet."""
    engine = Engine(VirtualClock(1000.0), None, tmp_path)
    chosen = options or RuntimeOptions("app1", app_port=1)
    runtime = Runtime(engine, chosen, resources(components), HttpApp(AsgiChannel(app)))
    await runtime.open()
    yield runtime
    await runtime.close(1.0)
    await engine.close()


@asynccontextmanager
async def connected_in_time(
    folder: Path, channel: AsgiChannel
) -> AsyncIterator[tuple[Runtime, VirtualClock]]:
    """Run a sidecar from second 1000 on, moving the clock until it is connected."""
    clock = VirtualClock(1000.0)
    engine = Engine(clock, None, folder)
    runtime = Runtime(
        engine, RuntimeOptions("app1", app_port=1), resources(DURABLE), HttpApp(channel)
    )
    await runtime.open()
    connecting = asyncio.create_task(runtime.connect())
    while not connecting.done():
        await asyncio.sleep(0)
        if (due := clock.due()) is not None:
            clock.move_to(due)
    yield runtime, clock
    await runtime.close(1.0)
    await engine.close()


async def publish(runtime: Runtime, data: bytes) -> None:
    """Publish to the one topic."""
    await runtime.pubsub.publish("pubsub", "orders", data, "text/plain", {})


def bodies(app: RecordingApp, path: str = "/orders") -> list[str]:
    """Return the payloads that reached ``path``."""
    return [call.json()["data"] for call in app.to(path)]


async def test_the_app_is_asked_in_the_real_order(tmp_path: Path) -> None:
    """Configuration comes before subscriptions, both name the app, and then it is ready."""
    app = app_with(ORDERS)
    async with sidecar(tmp_path, app) as runtime:
        assert (runtime.health.outbound_ready, runtime.health.ready) == (True, False)
        await runtime.connect()
        assert runtime.health.ready
        assert [call.path for call in app.calls] == ["/dapr/config", "/dapr/subscribe"]
        assert {call.header("dapr-app-id") for call in app.calls} == {"app1"}
        assert [s.document.topic for s in runtime.subscriptions] == ["orders"]


async def test_subscriptions_are_asked_for_only_with_a_broker(tmp_path: Path) -> None:
    """Without a pub/sub component there is no ``GET /dapr/subscribe``."""
    app = app_with(ORDERS)
    async with sidecar(tmp_path, app, {"store": ("state.in-memory", {})}) as runtime:
        await runtime.connect()
        assert [call.path for call in app.calls] == ["/dapr/config"]


@pytest.mark.row("FA-02", "FA-45", "I-MI")
async def test_an_app_that_listens_late_is_waited_for(tmp_path: Path) -> None:
    """The port is looked at every tenth of a second, without limit."""
    async with connected_in_time(tmp_path, SlowApp(app_with(ORDERS))) as (_, clock):
        assert clock.now() == pytest.approx(1000.2)


async def test_without_an_app_the_sidecar_is_ready(tmp_path: Path) -> None:
    """No channel means nothing to wait for."""
    engine = Engine(VirtualClock(), None, tmp_path)
    runtime = Runtime(engine, RuntimeOptions("app1"), resources(DURABLE), None)
    await runtime.open()
    await runtime.connect()
    assert runtime.health.ready
    await runtime.close(0.0)
    await engine.close()
    assert not engine.runtimes


async def test_a_pause_keeps_events_for_the_reconnect(tmp_path: Path) -> None:
    """Events published meanwhile are delivered after the app was started anew, as attempt one."""
    app = app_with(ORDERS)
    async with sidecar(tmp_path, app) as runtime:
        await runtime.connect()
        await runtime.pause()
        assert runtime.subscriptions == ()
        await publish(runtime, b"a")
        await publish(runtime, b"b")
        app.answers["/dapr/subscribe"] = Answer.of([{**ORDERS, "route": "/moved"}])
        await runtime.reconnect()
        await runtime.engine.work.idle()
        assert bodies(app, "/moved") == ["a", "b"]
        assert not app.to("/orders")


async def test_a_pause_in_flight_counts_no_attempt(tmp_path: Path) -> None:
    """An event whose delivery fails while deliveries are stopped is as good as new."""
    app = app_with({**ORDERS, "deadLetterTopic": "dead"})
    held = app.held["/orders"] = asyncio.Event()
    app.answers["/orders"] = Answer(500)
    async with sidecar(tmp_path, app) as runtime:
        await runtime.connect()
        await publish(runtime, b"a")
        await app.wait_for("/orders")
        pausing = asyncio.create_task(runtime.pause())
        await asyncio.sleep(0)
        held.set()
        await pausing
        app.answers["/orders"] = Answer(200)
        await runtime.reconnect()
        await runtime.engine.work.idle()
        assert bodies(app) == ["a", "a"]
        clock = runtime.engine.clock
        assert isinstance(clock, VirtualClock)
        assert clock.due() is None


HEALTH = RuntimeOptions("app1", app_port=1, enable_app_health_check=True, app_health_threshold=2)


async def step(runtime: Runtime) -> None:
    """Let everything that can happen now happen, then move to the next probe."""
    clock = runtime.engine.clock
    assert isinstance(clock, VirtualClock)
    await until(clock, lambda: clock.due() is not None)
    clock.move_to(clock.due() or 0.0)
    await until(clock, lambda: clock.due() is not None)


@pytest.mark.row("I-PS", "I-SU")
async def test_health_checks_pause_and_resume_deliveries(tmp_path: Path) -> None:
    """An unhealthy app gets nothing, a healthy one what waited; documents are read once."""
    app = app_with(ORDERS)
    app.answers["/healthz"] = Answer(503)
    async with sidecar(tmp_path, app, options=HEALTH) as runtime:
        await runtime.connect()
        await step(runtime)
        assert (runtime.health.ready, runtime.app_healthy) == (True, False)
        assert {call.path for call in app.calls} == {"/healthz"}
        app.answers["/healthz"] = Answer(204)
        await step(runtime)
        assert runtime.app_healthy
        await publish(runtime, b"a")
        await app.wait_for("/orders")
        app.answers["/healthz"] = Answer(500)
        for _ in range(HEALTH.app_health_threshold):
            await step(runtime)
        assert not runtime.app_healthy
        await publish(runtime, b"b")
        assert bodies(app) == ["a"]
        app.answers["/healthz"] = Answer(200)
        await step(runtime)
        await app.wait_for("/orders", 2)
        assert bodies(app) == ["a", "b"]
        assert len(app.to("/dapr/subscribe")) == len(app.to("/dapr/config")) == 1


async def test_failed_probes_add_up_as_in_the_real_runtime(tmp_path: Path) -> None:
    """A success between two failures does not forget the first one."""
    app = app_with(ORDERS)
    app.answers["/healthz"] = Answer(200)
    async with sidecar(tmp_path, app, options=HEALTH) as runtime:
        await runtime.connect()
        await step(runtime)
        for status, healthy in ((500, True), (200, True), (500, False), (200, True)):
            app.answers["/healthz"] = Answer(status)
            await step(runtime)
            assert runtime.app_healthy is healthy


@pytest.mark.row("FS-17")
@pytest.mark.parametrize(
    ("answer", "log"),
    [
        (Answer(404), ""),
        (Answer(200), ""),
        (Answer(200, b"null"), ""),
        (Answer(500), "answered GET /dapr/subscribe with 500"),
        (Answer(200, b"[{"), "cannot be read"),
        (Answer(200, b"\xff"), "cannot be read"),
        (Answer(200, b'[{"pubsubname":1,"topic":"t"}]'), "cannot be read"),
        (Answer.of([ORDERS, {**ORDERS, "routes": {"rules": [{"match": "1 +", "path": "/x"}]}}]),
         "not a CEL expression"),
        (Answer.of([{**ORDERS, "pubsubname": "other"}]), "no pub/sub component 'other'"),
        (Answer.of([{"topic": "t", "route": "/t"}]), "no pub/sub component ''"),
        (Answer.of([{**ORDERS, "route": ""}]), "has no route"),
    ],
)  # fmt: skip
async def test_bad_subscriptions_are_one_clear_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Answer, log: str
) -> None:
    """Whatever the app answers the sidecar starts; what is wrong is said once."""
    app = app_with()
    app.answers["/dapr/subscribe"] = answer
    async with sidecar(tmp_path, app) as runtime:
        with caplog.at_level(logging.WARNING):
            await runtime.connect()
        assert runtime.health.ready
        assert runtime.subscriptions == ()
        assert len(caplog.records) == bool(log)
        assert log in caplog.text


async def test_documents_of_an_app_are_read_as_go_reads_json(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Null stands for nothing, as the official Go SDK sends it, and names come in any letters."""
    app = app_with({"pubsubName": "pubsub", "TOPIC": "orders", "route": "/x", "metadata": None})
    app.answers["/dapr/config"] = Answer.of(
        {"entities": None, "Reentrancy": {"enabled": True, "maxStackDepth": None}, "more": 1}
    )
    async with sidecar(tmp_path, app) as runtime:
        await runtime.connect()
        assert [s.document.route for s in runtime.subscriptions] == ["/x"]
    assert not caplog.records


@pytest.mark.row("FS-17", "I-SU")
async def test_a_good_subscription_survives_one_that_waits(tmp_path: Path) -> None:
    """An unknown component in one entry leaves the others alone; the last of a topic wins."""
    app = app_with({**ORDERS, "route": "/first"}, {**ORDERS, "pubsubname": "other"}, {**ORDERS})
    async with sidecar(tmp_path, app) as runtime:
        await runtime.connect()
        assert [s.document.route for s in runtime.subscriptions] == ["/orders"]


class Refusing(AsgiChannel):
    """A channel whose app drops the first connections."""

    refusals = 2

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        if self.refusals and request.target == "/dapr/subscribe":
            self.refusals -= 1
            raise AppAway("refused")
        return await super().send(request)


async def test_network_errors_on_subscribe_are_tried_again(tmp_path: Path) -> None:
    """``/dapr/subscribe`` is asked for up to four times when the connection fails."""
    async with connected_in_time(tmp_path, Refusing(app_with(ORDERS))) as (runtime, _):
        assert [s.document.topic for s in runtime.subscriptions] == ["orders"]


@pytest.mark.row("I-SH")
async def test_close_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    """Within the grace period a delivery ends as usual; twice is once."""
    app = app_with(ORDERS)
    held = app.held["/orders"] = asyncio.Event()
    async with sidecar(tmp_path, app) as runtime:
        await runtime.connect()
        await publish(runtime, b"a")
        await app.wait_for("/orders")
        closing = asyncio.create_task(runtime.close(5.0))
        await asyncio.sleep(0)
        assert not closing.done()
        held.set()
        await closing
        await runtime.close(5.0)
        assert runtime.engine.work.count == 0
        assert not runtime.health.outbound_ready


async def test_a_component_that_cannot_open_stops_the_start(tmp_path: Path) -> None:
    """The error names the component; what was open is closed again."""
    engine = Engine(VirtualClock(), None, tmp_path)
    components: Components = {"ok": ("state.in-memory", {}), "bad": ("stat.nothing", {})}
    runtime = Runtime(engine, RuntimeOptions("app1"), resources(components), None)
    with pytest.raises(ComponentError, match=r"component 'bad'.*'stat\.nothing'.*state\.sqlite"):
        await runtime.open()
    assert not engine.runtimes
    await engine.close()


async def test_config_is_read_and_its_mistakes_are_forgiven(tmp_path: Path) -> None:
    """The hosted actor types are known; a broken document counts as empty."""
    app = app_with()
    for answer, entities in (
        (Answer.of({"entities": ["Cart"], "drainRebalancedActors": True}), ("Cart",)),
        (Answer(200, b"{"), ()),
        (Answer(500), ()),
    ):
        app.answers["/dapr/config"] = answer
        async with sidecar(tmp_path, app) as runtime:
            await runtime.connect()
            assert runtime.config.entities == entities
            assert msgspec.json.encode(runtime.config)


class HangingApp(AsgiChannel):
    """A channel on which no delivery ends before the channel is closed."""

    def __init__(self, app: RecordingApp) -> None:
        super().__init__(app)
        self.delivering = asyncio.Event()
        self.closed = asyncio.Event()

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer documents; hold deliveries."""
        if request.method == "GET":
            return await super().send(request)
        self.delivering.set()
        await self.closed.wait()
        raise AppUnreachable("the connection is gone")

    async def close(self) -> None:
        """Cut every call."""
        self.closed.set()


async def test_a_close_that_was_given_up_goes_on_and_a_second_one_hurries_it(
    tmp_path: Path,
) -> None:
    """A second Ctrl-C cancels the patient close; nothing of the sidecar is left all the same."""
    engine = Engine(VirtualClock(1000.0), None, tmp_path)
    channel = HangingApp(app_with(ORDERS))
    runtime = Runtime(
        engine, RuntimeOptions("app1", app_port=1), resources(DURABLE), HttpApp(channel)
    )
    await runtime.open()
    await runtime.connect()
    await publish(runtime, b"1")
    await channel.delivering.wait()
    patient = asyncio.create_task(runtime.close(3600.0))
    await until(VirtualClock(), lambda: not runtime.health.ready)
    patient.cancel()
    await asyncio.wait({patient})
    assert not channel.closed.is_set()
    assert runtime.health.outbound_ready

    async with asyncio.timeout(10):
        await runtime.close(0.0)
    assert not engine.runtimes
    assert not runtime.health.outbound_ready
    await engine.close()


async def test_a_topic_that_a_reload_left_out_is_told_to_its_broker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker bounds what it keeps for a handler that is gone; other topics stay as they are."""
    caplog.set_level(logging.INFO)
    app = app_with(ORDERS, {**ORDERS, "topic": "old"})
    async with sidecar(tmp_path, app) as runtime:
        await runtime.connect()
        assert "subscribes no more" not in caplog.text
        app.answers["/dapr/subscribe"] = Answer.of([ORDERS])
        await runtime.reconnect()
    assert caplog.text.count("'app1' subscribes no more to 'pubsub/old'") == 1
    assert "no more to 'pubsub/orders'" not in caplog.text


async def test_probing_goes_on_when_what_follows_a_turn_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A mistake of ours while deliveries start shows at once and does not end the checks."""
    clock = VirtualClock(1000.0)
    turns: list[str] = []

    async def healthy() -> None:
        turns.append("healthy")
        raise RuntimeError("a mistake of ours")

    async def unhealthy() -> None:
        turns.append("unhealthy")

    app = app_with()
    options = RuntimeOptions("app1", app_port=1, app_health_threshold=1)
    health = AppHealth(
        HttpApp(AsgiChannel(app)), clock, options, healthy=healthy, unhealthy=unhealthy
    )
    health.start()
    await until(clock, lambda: len(turns) == 1)
    app.answers["/healthz"] = NOT_FOUND
    await until(clock, lambda: len(turns) == 2)
    await health.stop()
    assert turns == ["healthy", "unhealthy"]
    assert "a mistake of ours" in caplog.text


async def test_what_is_said_of_a_failed_event_names_the_app(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Several apps may share one log, and one topic."""
    app = app_with(ORDERS)
    app.answers["/orders"] = Answer.of({"status": "DROP"})
    async with sidecar(tmp_path, app) as runtime:
        await runtime.connect()
        await publish(runtime, b"1")
        await runtime.engine.work.idle()
    assert "an event on 'pubsub/orders' for app 'app1' is given up" in caplog.text
