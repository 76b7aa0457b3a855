"""How an app is told to be, and who is told when that changes."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from daprflow import Client, DaprFlow
from daprflow.health import HealthChange, HealthSettings, HealthStatus
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.settings import Settings
from tests.helpers.app_calls import Caller, running

READY, DEGRADED, DOWN = HealthStatus.READY, HealthStatus.DEGRADED, HealthStatus.DOWN
QUICK = HealthSettings(check_every=0.01, check_timeout=0.2)
METADATA = (
    b'{"id":"shop","components":[{"name":"pubsub","type":"pubsub.redis","version":"v1"},'
    b'{"name":"store","type":"state.redis","version":"v1"},'
    b'{"name":"settings","type":"configuration.redis","version":"v1"},'
    b'{"name":"locks","type":"lock.redis","version":"v1"}]}'
)


class Sidecar:
    """A sidecar whose answers a test chooses, by path; it counts what it was asked."""

    address = "here"

    def __init__(self) -> None:
        self.answers = {"/v1.0/metadata": HttpResponse(200, (), METADATA)}
        self.asked: list[str] = []

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Answer 204 where nothing else was chosen."""
        path = request.target.partition("?")[0]
        self.asked.append(f"{request.method} {path}")
        return self.answers.get(path, HttpResponse(204))

    async def close(self) -> None:
        """Do nothing."""


class Thing:
    """What a provider makes; its ``ping`` does what a test wants."""

    def __init__(self) -> None:
        self.raises: Exception | None = None
        self.pings = 0

    async def ping(self) -> bool:
        """Fail or not."""
        self.pings += 1
        if self.raises is not None:
            raise self.raises
        return True


def shop(sidecar: Sidecar, settings: HealthSettings = QUICK, *things: object) -> DaprFlow:
    """An app beside that sidecar."""
    app = DaprFlow("shop", settings=Settings(health_timeout=0), health=settings)
    app.client = Client(transport=sidecar)
    for thing in things:
        app.provide(providing(thing))

    @app.topic("pubsub", "orders", dead_letter="dead")
    async def on_order(order: str) -> None: ...

    return app


def providing(thing: object) -> Callable[[], AsyncIterator[object]]:
    """A provider of that thing."""

    async def make() -> AsyncIterator[object]:
        yield thing

    make.__annotations__["return"] = AsyncIterator[type(thing)]  # type: ignore[misc]  # made here
    return make


async def until(call: Caller, status: str) -> list[dict[str, str]]:
    """Ask for readiness until it has a status; return the causes."""
    async with asyncio.timeout(30):
        while (answer := await call.get("/readyz")).json["status"] != status:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)
    assert answer.status == (503 if status == "down" else 200)
    causes: list[dict[str, str]] = answer.json["causes"]
    return causes


async def test_nobody_is_asked_before_somebody_wants_to_know() -> None:
    """An app without probes and listeners makes no call for its health."""
    sidecar = Sidecar()
    async with running(shop(sidecar)) as call:
        assert (await call.get("/healthz")).json == {"status": "ok"}
        await asyncio.sleep(0.05)
        assert sidecar.asked == []
        assert (await call.get("/readyz")).json == {"status": "ready", "causes": []}
        assert sidecar.asked[0] == "GET /v1.0/healthz/outbound"


async def test_no_call_waits_for_the_start_of_a_sidecar_that_was_seen() -> None:
    """Probes have found it ready: when it is gone by the first call, that one fails at once."""
    sidecar = Sidecar()
    app = shop(sidecar, HealthSettings(check_every=3600))
    async with running(app) as call:
        await call.get("/readyz")
        sidecar.answers["/v1.0/healthz/outbound"] = HttpResponse(500)
        before = sidecar.asked.count("GET /v1.0/healthz/outbound")
        async with asyncio.timeout(10):  # of the 60 that a start may take
            assert await app.client.state("store").get("k", int) is None
        assert sidecar.asked.count("GET /v1.0/healthz/outbound") == before


async def test_probes_are_answered_from_what_is_known() -> None:
    """However often somebody asks, the sidecar is asked no more often than the settings say."""
    sidecar = Sidecar()
    async with running(shop(sidecar, HealthSettings(check_every=3600))) as call:
        for _ in range(50):
            assert (await call.get("/readyz")).status == 200
    assert len(sidecar.asked) == 2 + 3  # its health, its metadata, and three components


async def test_each_component_is_asked_what_changes_nothing() -> None:
    """State and configuration are read, a lock that nobody holds is given back; no more."""
    sidecar = Sidecar()
    async with running(shop(sidecar, HealthSettings(check_every=3600))) as call:
        await call.get("/readyz")
    assert sorted(sidecar.asked[2:]) == [
        "GET /v1.0/configuration/settings",
        "GET /v1.0/state/store/daprflow-health",
        "POST /v1.0-alpha1/unlock/locks",
    ]


async def test_a_sidecar_that_is_away_is_down_and_the_rest_degrades() -> None:
    """The causes are told, the worst first; what a component says is not."""
    sidecar = Sidecar()
    async with running(shop(sidecar)) as call:
        await until(call, "ready")
        failing = HttpResponse(500, (), b'{"errorCode":"ERR_STATE_GET","message":"pw=secret"}')
        sidecar.answers["/v1.0/state/store/daprflow-health"] = failing
        (cause,) = await until(call, "degraded")
        assert (cause["part"], cause["name"], cause["type"]) == (
            "component",
            "store",
            "state.redis",
        )
        assert "ERR_STATE_GET" in cause["reason"]
        assert "secret" not in cause["reason"]
        sidecar.answers["/v1.0/healthz/outbound"] = HttpResponse(500)
        (cause,) = await until(call, "down")
        assert (cause["part"], cause["name"]) == ("sidecar", "here")
        assert (await call.get("/healthz")).status == 200
        del sidecar.answers["/v1.0/healthz/outbound"]
        del sidecar.answers["/v1.0/state/store/daprflow-health"]
        await until(call, "ready")


async def test_a_component_that_a_handler_needs_must_be_loaded() -> None:
    """A subscription to a component that the sidecar does not have is a cause."""
    sidecar = Sidecar()
    sidecar.answers["/v1.0/metadata"] = HttpResponse(200, (), b'{"components":[]}')
    async with running(shop(sidecar)) as call:
        (cause,) = await until(call, "degraded")
    assert cause["name"] == "pubsub"
    assert "not loaded" in cause["reason"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_sidecar_that_does_not_let_an_app_ask_is_no_cause(status: int) -> None:
    """Where the API is switched off, what cannot be asked counts as loaded."""
    sidecar = Sidecar()
    sidecar.answers["/v1.0/state/store/daprflow-health"] = HttpResponse(status)
    async with running(shop(sidecar)) as call:
        await until(call, "ready")
    sidecar.answers["/v1.0/metadata"] = HttpResponse(status)
    app = shop(sidecar)
    async with running(app) as call:
        (cause,) = await until(call, "degraded")
        assert cause["name"] == "pubsub"


async def test_pings_of_providers() -> None:
    """One that raises, returns False or does not end degrades the app; its text is not told."""

    class Plain:
        free = threading.Event()

        def ping(self) -> bool:
            self.free.wait(30)
            return False

    class Other:
        def ping(self, host: str) -> None: ...

    thing, plain = Thing(), Plain()
    async with running(shop(Sidecar(), QUICK, thing, plain, Other())) as call:
        (cause,) = await until(call, "degraded")
        assert (cause["part"], cause["name"]) == ("provider", "Plain")
        assert "has not ended for" in cause["reason"]
        plain.free.set()
        async with asyncio.timeout(30):
            while "returned False" not in cause["reason"]:
                (cause,) = await until(call, "degraded")
                await asyncio.sleep(0.005)
        thing.raises = ValueError("pw=secret")
        async with asyncio.timeout(30):
            while len(causes := await until(call, "degraded")) < 2:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.005)
    assert {each["reason"] for each in causes} == {
        "its 'ping' raised ValueError",
        "its 'ping' returned False",
    }


async def test_changes_are_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    """Listeners get each change with its causes, async or not; it is logged and counted."""
    caplog.set_level(logging.INFO, "daprflow.health.service")
    sidecar = Sidecar()
    app = shop(sidecar)
    told: asyncio.Queue[HealthChange] = asyncio.Queue()
    plain: asyncio.Queue[HealthStatus] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    @app.on_health
    async def tell(change: HealthChange) -> None:
        told.put_nowait(change)

    @app.on_health
    def note(change: HealthChange) -> None:
        loop.call_soon_threadsafe(plain.put_nowait, change.status)
        raise ValueError("a listener that fails harms nobody")

    async with asyncio.timeout(30), running(app) as call:
        await until(call, "ready")
        sidecar.answers["/v1.0/healthz/outbound"] = HttpResponse(500)
        change = await told.get()
        assert (change.before, change.status) == (READY, DOWN)
        assert [each.part for each in change.report.causes] == ["sidecar"]
        assert app.health.sidecar_reachable is False
        del sidecar.answers["/v1.0/healthz/outbound"]
        change = await told.get()
        assert (change.before, change.status) == (DOWN, READY)
        assert app.health.alerts == {READY: 1, DEGRADED: 0, DOWN: 1}
        assert app.health.sidecar_reachable is True
        assert [await plain.get(), await plain.get()] == [DOWN, READY]
    assert told.empty()
    assert plain.empty()
    lines = [
        record.getMessage()
        for record in caplog.records
        if record.name == "daprflow.health.service" and record.exc_info is None
    ]
    assert lines[0].startswith("the app is down (it was ready): sidecar 'here' is down: ")
    assert lines[1] == "the app is ready (it was down): all is well"


async def test_a_start_alarms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A sidecar that comes after the app is waited for; the probe says 503 meanwhile."""
    sidecar = Sidecar()
    sidecar.answers["/v1.0/healthz/outbound"] = HttpResponse(500)
    app = shop(sidecar)
    app.settings = Settings(health_timeout=3600)
    told: list[HealthChange] = []
    app.on_health(told.append)
    async with running(app) as call:
        await until(call, "down")
        del sidecar.answers["/v1.0/healthz/outbound"]
        await until(call, "ready")
        assert app.health.alerts == dict.fromkeys(HealthStatus, 0)
    assert told == []
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_a_late_loop_degrades_the_app() -> None:
    """A blocked event loop is a cause for a while, with the handler that did it."""
    app = shop(Sidecar(), HealthSettings(blocked_after=0.1, check_every=0.01))

    @app.invoke
    async def quote() -> None:
        threading.Event().wait(0.3)

    async with running(app) as call:
        await until(call, "ready")
        await asyncio.create_task(call.post("/quote"))
        (cause,) = await until(call, "degraded")
    assert cause["part"] == "loop"
    assert "last blocked by invoke handler 'quote'" in cause["reason"]


async def test_a_stopping_app_refuses_and_says_so() -> None:
    """From the stop on it is not ready; a second run begins anew."""
    app = shop(Sidecar())
    for _ in range(2):
        async with running(app) as call:
            assert (await call.deliver("x")).verdict == "SUCCESS"
            await app.health.drain()
            answer = await call.get("/readyz")
            assert (answer.status, answer.json["causes"][0]["reason"]) == (503, "it is stopping")
            assert (await call.deliver("x")).verdict == "RETRY"
            assert (await call.get("/dapr/config")).status == 503
        assert (await call.get("/readyz")).status == 503
