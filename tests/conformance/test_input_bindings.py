"""Input bindings in a sidecar: which are started, what the app gets, and what its health does."""

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.recording import DONE, NOT_FOUND, Answer, Call, RecordingApp
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar

EVERY_10 = {"schedule": "@every 10s"}


def app_with_options(status: Mapping[str, int]) -> RecordingApp:
    """Return an app that answers ``OPTIONS`` on each path as told, else with 404."""

    def answer(call: Call) -> Answer:
        if call.method == "OPTIONS":
            return Answer(status.get(call.path, 404))
        return DONE if call.method == "POST" else NOT_FOUND

    return RecordingApp(answer)


def advance(sidecar: InProcessSidecar, seconds: float) -> None:
    """Move time on."""
    sidecar.clock.move_to(sidecar.clock.now() + seconds)


@pytest.mark.parametrize(("status", "ticks"), [(200, 2), (204, 2), (405, 2), (404, 0), (500, 0)])
async def test_probe(tmp_path: Path, status: int, ticks: int) -> None:
    """An app takes a binding's events when it answers ``OPTIONS`` with 2xx or 405."""
    app = app_with_options({"/tick": status})
    async with in_process_sidecar(tmp_path, {"tick": ("bindings.cron", EVERY_10)}, app) as sidecar:
        advance(sidecar, 25)
        await sidecar.engine.work.idle()
    assert len([call for call in app.to("/tick") if call.method == "POST"]) == ticks


async def test_event(tmp_path: Path) -> None:
    """A tick is an empty JSON POST with its time and zone as headers."""
    app = app_with_options({"/tick": 200})
    async with in_process_sidecar(tmp_path, {"tick": ("bindings.cron", EVERY_10)}, app) as sidecar:
        await sidecar.until(lambda: app.to("/tick")[-1].method == "POST")
    tick = app.to("/tick")[-1]
    assert (tick.body, tick.header("content-type")) == (b"", "application/json")
    assert tick.header("timezone")
    read_time = tick.header("readtimeutc") or ""
    assert read_time.endswith(" +0000 UTC")


async def test_direction_and_route(tmp_path: Path) -> None:
    """A binding with a direction is not probed, and a route takes the place of its name."""
    app = app_with_options({})
    components: Components = {
        "in": ("bindings.cron", {**EVERY_10, "direction": "input", "route": "/here"}),
        "out": ("bindings.cron", {**EVERY_10, "direction": "output"}),
    }
    async with in_process_sidecar(tmp_path, components, app) as sidecar:
        await sidecar.until(lambda: bool(app.to("/here")))
        await sidecar.engine.work.idle()
    calls = {(call.method, call.path) for call in app.calls if not call.path.startswith("/dapr")}
    assert calls == {("POST", "/here")}


async def test_c_bi_06_shared_route_and_app_restart(tmp_path: Path) -> None:
    """C-BI-06: two schedules share a route; while the app restarts there are no ticks."""
    app = app_with_options({"/both": 200})
    components: Components = {
        "one": ("bindings.cron", {"schedule": "@every 10s", "route": "both"}),
        "two": ("bindings.cron", {"schedule": "@every 15s", "route": "both"}),
    }

    def ticks() -> int:
        return len([call for call in app.to("/both") if call.method == "POST"])

    async with in_process_sidecar(tmp_path, components, app) as sidecar:
        await sidecar.until(lambda: ticks() >= 5)
        await sidecar.runtime.pause()
        await sidecar.engine.work.idle()
        before = ticks()
        advance(sidecar, 100)
        await sidecar.engine.work.idle()
        assert ticks() == before
        await sidecar.runtime.reconnect()
        await sidecar.until(lambda: ticks() > before)


@pytest.mark.parametrize("answer", [Answer(500), Answer(404), Answer.of({"to": ["x"], "data": 1})])
async def test_answers_do_nothing(
    tmp_path: Path, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """What the app answers to a tick changes nothing about the next one."""
    app = app_with_options({"/tick": 200})
    with caplog.at_level(logging.WARNING, "daprflow"):
        async with in_process_sidecar(
            tmp_path, {"tick": ("bindings.cron", EVERY_10)}, app
        ) as sidecar:
            app.answers["/tick"] = answer
            await sidecar.until(lambda: len(app.to("/tick")) >= 4)
            await sidecar.engine.work.idle()
    assert [record for record in caplog.records if record.exc_info] == []


async def test_health_pauses_and_resumes(tmp_path: Path) -> None:
    """Ticks and events stop while the app is unhealthy; events that are kept come afterwards."""
    subscription = [{"pubsubname": "pubsub", "topic": "t", "route": "/t"}]
    app = app_with_options({"/tick": 200})
    app.answers["/dapr/subscribe"] = Answer.of(subscription)
    app.answers["/healthz"] = Answer(200)
    components: Components = {
        "tick": ("bindings.cron", {"schedule": "@every 1s"}),
        "pubsub": ("pubsub.daprflow", {}),
    }
    options = RuntimeOptions(
        "app1",
        app_port=1,
        enable_app_health_check=True,
        app_health_probe_interval=5,
        app_health_threshold=3,
    )

    async with in_process_sidecar(tmp_path, components, app, options=options) as sidecar:
        runtime = sidecar.runtime
        await sidecar.until(lambda: runtime.app_healthy and len(app.to("/tick")) >= 3)
        app.answers["/healthz"] = Answer(503)
        await sidecar.until(lambda: not runtime.app_healthy)
        await sidecar.engine.work.idle()
        ticks = len(app.to("/tick"))
        published = await publish(sidecar)
        advance(sidecar, 3)
        await sidecar.engine.work.idle()
        assert (published, len(app.to("/tick")), app.to("/t")) == (204, ticks, [])
        app.answers["/healthz"] = Answer(200)
        await sidecar.until(lambda: bool(app.to("/t")) and len(app.to("/tick")) > ticks)
    assert len(app.to("/dapr/subscribe")) == 1
    assert len([call for call in app.to("/tick") if call.method == "OPTIONS"]) == 2
    assert {call.header("dapr-api-token") for call in app.to("/healthz")} == {None}


async def publish(sidecar: InProcessSidecar) -> int:
    """Publish one event; gives the status."""
    request = HttpRequest("POST", "/v1.0/publish/pubsub/t", (), b"1")
    return (await sidecar.exchange.send(request)).status
