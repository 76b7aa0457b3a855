"""Jobs of an embedded sidecar behind its HTTP API: what a real runtime's own tests hold (I-JO)."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daprflow.protocol import operations
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.recording import DONE, Answer, RecordingApp
from tests.helpers.sidecar import InProcessSidecar, in_process_sidecar

NOW = 1_800_000_000.0


async def ask(
    sidecar: InProcessSidecar, verb: str, name: str, body: bytes = b"", version: str = "v1.0"
) -> HttpResponse:
    """Make one call about a job."""
    path = f"/{version}/jobs/{operations.segment(name)}"
    return await sidecar.exchange.send(HttpRequest(verb, path, (), body))


async def advance(sidecar: InProcessSidecar, seconds: float) -> None:
    """Let time pass, each tick being over before the next is due."""
    clock = sidecar.clock
    end = clock.now() + seconds
    while (due := clock.due()) is not None and due <= end:
        clock.move_to(due)
        await sidecar.engine.work.idle()
    clock.move_to(end)
    await sidecar.engine.work.idle()


@pytest.mark.row("I-JO", "R-27")
@pytest.mark.parametrize("version", ["v1.0", "v1.0-alpha1"])
@pytest.mark.parametrize(
    ("body", "seconds", "calls"),
    [
        (b'{"dueTime":"10s"}', 9.9, 0),
        (b'{"dueTime":"10s"}', 10, 1),
        (b'{"dueTime":"PT10S"}', 60, 1),
        (b'{"dueTime":"2027-01-15T08:00:10Z"}', 9, 0),
        (b'{"dueTime":"2027-01-15T08:00:10Z"}', 10, 1),
        (b'{"schedule":"@every 1s","repeats":2}', 60, 2),
        (b'{"schedule":"@every 1s","ttl":"5s"}', 60, 5),
        (b'{"schedule":"* * * * * *"}', 60, 60),
        (b'{"schedule":"CRON_TZ=Europe/Berlin 30 0 9 * * *"}', 30, 1),
        (b'{"schedule":"@hourly","dueTime":"1s"}', 3600, 2),
    ],
)
async def test_due(tmp_path: Path, version: str, body: bytes, seconds: float, calls: int) -> None:
    """Every form of due time, schedule, repeats and time to live, never early."""
    app = RecordingApp()
    clock = VirtualClock(NOW)  # 2027-01-15 08:00:00 UTC
    async with in_process_sidecar(tmp_path, {}, app, clock=clock) as sidecar:
        answer = await ask(sidecar, "POST", "a", body, version)
        assert (answer.status, answer.body) == (204, b"")
        await advance(sidecar, seconds)
        assert len(app.to("/job/a")) == calls


@pytest.mark.row("I-JO")
async def test_precision(tmp_path: Path) -> None:
    """Ten ticks come each at its second."""
    times: list[float] = []
    clock = VirtualClock(NOW)

    def answer(_: object) -> Answer:
        times.append(clock.now() - NOW)
        return DONE

    app = RecordingApp()
    app.computed["/job/a"] = answer
    async with in_process_sidecar(tmp_path, {}, app, clock=clock) as sidecar:
        await ask(sidecar, "POST", "a", b'{"schedule":"@every 1s","repeats":10}')
        await advance(sidecar, 60)
    assert times == pytest.approx(list(range(1, 11)))


@pytest.mark.row("I-JO")
@pytest.mark.parametrize(
    ("policy", "status", "calls"),
    [
        ("", 500, 4),
        ("", 503, 4),
        ("", 302, 4),
        ("", 404, 1),
        ("", 204, 1),
        ('"failurePolicy":{"drop":{}},', 500, 1),
        ('"failurePolicy":{"constant":{"interval":"2s","maxRetries":1}},', 500, 2),
        ('"failurePolicy":{"constant":{"interval":"60s"}},', 500, 11),
    ],
)
async def test_failures(tmp_path: Path, policy: str, status: int, calls: int) -> None:
    """Three retries where no policy is given, else what it says; 404 is final."""
    app = RecordingApp(lambda call: Answer(status) if call.path == "/job/a" else DONE)
    async with in_process_sidecar(tmp_path, {}, app) as sidecar:
        await ask(sidecar, "POST", "a", f'{{{policy}"dueTime":"0s"}}'.encode())
        await advance(sidecar, 601)
        assert len(app.to("/job/a")) == calls


@pytest.mark.row("I-JO")
@pytest.mark.parametrize(
    ("data", "body"),
    [
        ("", b""),
        (',"data":null', b"null"),
        (',"data":"x<y>&z"', b'"x<y>&z"'),
        (',"data":{"b":1.0,"a":[true]}', b'{"a":[true],"b":1}'),
        (',"data":12345678901234567890', b"12345678901234567000"),
    ],
)
async def test_data(tmp_path: Path, data: str, body: bytes) -> None:
    """Data goes to the app as JSON, in protobuf's form; no data is an empty body."""
    app = RecordingApp()
    options = RuntimeOptions("app1", app_port=1, app_token="apptok")
    async with in_process_sidecar(tmp_path, {}, app, options=options) as sidecar:
        await ask(sidecar, "POST", "a b", f'{{"dueTime":"0s"{data}}}'.encode())
        await advance(sidecar, 0)
    [call] = app.to("/job/a b")
    assert (call.method, call.target, call.body) == ("POST", "/job/a%20b", body)
    assert call.header("content-type") == "application/json"
    assert call.header("dapr-api-token") == "apptok"
    assert call.header("traceparent") is None


@pytest.mark.row("I-JO")
@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("a", b"{", 400, "ERR_MALFORMED_REQUEST"),
        ("a", b'{"name":"b","dueTime":"1s"}', 400, "DAPR_SCHEDULER_JOB_NAME"),
        (" ", b'{"dueTime":"1s"}', 400, "DAPR_SCHEDULER_JOB_NAME_EMPTY"),
        ("a", b"{}", 400, "DAPR_SCHEDULER_SCHEDULE_EMPTY"),
        ("a", b'{"schedule":"0 0 * * *"}', 500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
        ("a", b'{"schedule":"CRON_TZ=Moon/Sea 0 0 0 * * *"}', 500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
        ("a", b'{"schedule":"CRON_TZ=UTC @every 1s"}', 500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
        ("a", b'{"schedule":"CRON_TZ=UTC"}', 500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
        ("a", b'{"schedule":"CRON_TZ="}', 500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
        ("a", b'{"dueTime":"1s","ttl":"5s"}', 500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
        ("a/b", b'{"dueTime":"1s"}', 500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
        ("a#b", b'{"dueTime":"1s"}', 500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
        ("a" * 513, b'{"dueTime":"1s"}', 500, "DAPR_SCHEDULER_SCHEDULE_JOB"),
    ],
)
async def test_refusals(tmp_path: Path, name: str, body: bytes, status: int, code: str) -> None:
    """What is no job is refused with the runtime's status and code."""
    async with in_process_sidecar(tmp_path, {}) as sidecar:
        answer = await ask(sidecar, "POST", name, body)
        assert (answer.status, f'"errorCode":"{code}"'.encode() in answer.body) == (status, True)


@pytest.mark.row("I-JO", "R-10")
@given(name=st.text(min_size=1, max_size=40))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_names(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Whatever the name, a job that is accepted can be told, comes under that name, and ends."""
    app = RecordingApp()
    async with in_process_sidecar(tmp_path_factory.getbasetemp(), {}, app) as sidecar:
        accepted = await ask(sidecar, "POST", name, b'{"dueTime":"1s"}')
        assert accepted.status in {204, 400, 500}
        told = await ask(sidecar, "GET", name)
        if name == name.strip():
            assert (accepted.status == 204) == (told.status == 200)
        await advance(sidecar, 1)
        expected = [f"/job/{name.strip()}"] if accepted.status == 204 else []
        assert [call.path for call in app.calls if call.path.startswith("/job/")] == expected


async def test_other_paths(tmp_path: Path) -> None:
    """There is no list over HTTP, no other verb and no other version."""
    async with in_process_sidecar(tmp_path, {}) as sidecar:
        for verb, path in (
            ("GET", "/v1.0/jobs"),
            ("PUT", "/v1.0/jobs/a"),
            ("GET", "/v1.0/jobs/a/b"),
            ("GET", "/v1.0-beta1/jobs/a"),
        ):
            answer = await sidecar.exchange.send(HttpRequest(verb, path))
            assert (answer.status, b"ERR_DIRECT_INVOKE" in answer.body) == (404, True)


@pytest.mark.row("I-JO")
async def test_without_an_app(tmp_path: Path) -> None:
    """A job is accepted and kept where there is no app; it comes once there is one."""
    clock = VirtualClock(NOW)
    async with in_process_sidecar(tmp_path, {}, data_dir=tmp_path, clock=clock) as sidecar:
        assert (await ask(sidecar, "POST", "a", b'{"dueTime":"1s"}')).status == 204
        await advance(sidecar, 60)
        assert (await ask(sidecar, "GET", "a")).status == 200
    app = RecordingApp()
    async with in_process_sidecar(tmp_path, {}, app, data_dir=tmp_path, clock=clock) as sidecar:
        await advance(sidecar, 0)
        assert len(app.to("/job/a")) == 1
        assert (await ask(sidecar, "GET", "a")).status == 500


@pytest.mark.row("I-JO")
async def test_an_unhealthy_app(tmp_path: Path) -> None:
    """Ticks are held while the app is unhealthy."""
    app = RecordingApp()
    options = RuntimeOptions(
        "app1", app_port=1, enable_app_health_check=True, app_health_probe_interval=5
    )
    async with in_process_sidecar(tmp_path, {}, app, options=options) as sidecar:
        await sidecar.until(lambda: sidecar.runtime.app_healthy)
        await ask(sidecar, "POST", "a", b'{"schedule":"@every 10s"}')
        await sidecar.until(lambda: len(app.to("/job/a")) == 1)
        app.answers["/healthz"] = Answer(503)
        await sidecar.until(lambda: not sidecar.runtime.app_healthy)
        before = len(app.to("/job/a"))
        await advance(sidecar, 60)
        assert len(app.to("/job/a")) == before
        app.answers["/healthz"] = Answer(200)
        await sidecar.until(lambda: len(app.to("/job/a")) > before)


class Shaky(AsgiChannel):
    """A channel to an app that is away, or breaks, as told."""

    error: AppUnreachable | None = None

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app, if it is there."""
        if self.error is not None and request.target.startswith("/job/"):
            raise self.error
        return await super().send(request)


@pytest.mark.row("I-JO")
async def test_an_app_that_restarts(tmp_path: Path) -> None:
    """A tick that does not reach the app is no failure; it comes when the app is back."""
    app = RecordingApp()
    channel = Shaky(app)
    async with in_process_sidecar(tmp_path, {}, channel=channel) as sidecar:
        body = b'{"dueTime":"1s","failurePolicy":{"drop":{}}}'
        await ask(sidecar, "POST", "a", body)
        channel.error = AppAway("not listening")
        await advance(sidecar, 60)
        assert (await ask(sidecar, "GET", "a")).status == 200
        channel.error = None
        await advance(sidecar, 1)
        assert len(app.to("/job/a")) == 1


async def test_an_app_that_breaks_off(tmp_path: Path) -> None:
    """An app that ends while it handles a tick has failed that call."""
    channel = Shaky(RecordingApp())
    async with in_process_sidecar(tmp_path, {}, channel=channel) as sidecar:
        await ask(sidecar, "POST", "a", b'{"dueTime":"1s","failurePolicy":{"drop":{}}}')
        channel.error = AppUnreachable("connection lost")
        await advance(sidecar, 1)
        assert (await ask(sidecar, "GET", "a")).status == 500


async def test_an_app_that_fails_because_it_is_ended(tmp_path: Path) -> None:
    """A tick in work when the app is ended comes again, whatever its policy says of failures."""
    app = RecordingApp()
    app.answers["/job/a"] = Answer(500)
    cut = app.held["/job/a"] = asyncio.Event()
    async with in_process_sidecar(tmp_path, {}, app) as sidecar:
        await ask(sidecar, "POST", "a", b'{"dueTime":"1s","failurePolicy":{"drop":{}}}')
        sidecar.clock.move_to(sidecar.clock.now() + 1)
        await sidecar.until(lambda: bool(app.to("/job/a")))
        pausing = asyncio.create_task(sidecar.runtime.pause())
        await asyncio.wait({pausing}, timeout=0.01)
        assert not pausing.done()  # it waits for what is under way
        cut.set()
        await pausing
        assert (await ask(sidecar, "GET", "a")).status == 200
        await sidecar.runtime.reconnect()
        await advance(sidecar, 1)
        assert len(app.to("/job/a")) == 2


@pytest.mark.parametrize("durable", [False, True])
async def test_an_app_paused_and_back(tmp_path: Path, durable: bool) -> None:  # noqa: FBT001 - pytest gives it
    """Ticks that were due while the app was started anew come as one, and then in step."""
    app = RecordingApp()
    data_dir: Mapping[bool, Path | None] = {False: None, True: tmp_path}
    async with in_process_sidecar(tmp_path, {}, app, data_dir=data_dir[durable]) as sidecar:
        await ask(sidecar, "POST", "a", b'{"schedule":"@every 10s"}')
        await advance(sidecar, 25)
        await sidecar.runtime.pause()
        await advance(sidecar, 100)
        assert len(app.to("/job/a")) == 2
        await sidecar.runtime.reconnect()
        await advance(sidecar, 0)
        assert len(app.to("/job/a")) == 3
        await advance(sidecar, 5)
        assert len(app.to("/job/a")) == 4
