"""An app that speaks gRPC: its bindings, jobs, health and configuration, and calls over HTTP."""

import contextlib
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages
from daprflow.protocol.grpc_codes import Code
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.app.base import NotTaken
from daprflow.sidecar.app.connect import make_app
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_app import (
    ALPHA,
    HEALTH,
    SERVICE,
    GrpcTestApp,
    always,
    grpc_app,
    refusing,
)
from tests.helpers.policies import with_policies
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar

TICK: Components = {"tick": ("bindings.cron", {"schedule": "@every 10s"})}
NOTHING = messages.BindingEventResponse()
LISTED = always(messages.ListInputBindingsResponse(bindings=["tick"]))


@contextlib.asynccontextmanager
async def sidecar_for(
    root: Path, app: GrpcTestApp, components: Components | None = None, **more: Any
) -> AsyncIterator[InProcessSidecar]:
    """Start a sidecar whose app listens already."""
    settings = {name: more.pop(name) for name in list(more) if name not in {"files", "connect"}}
    options = RuntimeOptions("app1", app_port=app.port, app_protocol="grpc", **settings)
    called = make_app(options)
    async with in_process_sidecar(
        root, components or {}, options=options, called=called, **more
    ) as sidecar:
        yield sidecar


async def settle(sidecar: InProcessSidecar, seconds: float) -> None:
    """Let time pass, each event being over before the next is due."""
    clock = sidecar.clock
    end = clock.now() + seconds
    while (due := clock.due()) is not None and due <= end:
        clock.move_to(due)
        await sidecar.engine.work.idle()
    clock.move_to(end)
    await sidecar.engine.work.idle()


# ---- input bindings -----------------------------------------------------------------------------


async def test_events_of_listed_bindings_reach_the_app(tmp_path: Path) -> None:
    """By name, with the metadata as the component gives them, the token and no trace."""
    async with grpc_app(ListInputBindings=LISTED, OnBindingEvent=always(NOTHING)) as app:
        other = ("bindings.cron", {"schedule": "@every 1s"})
        components = {**TICK, "other": other}
        async with sidecar_for(tmp_path, app, components, app_token="t") as sidecar:
            await settle(sidecar, 25)
    first, second = app.seen(f"{SERVICE}OnBindingEvent")
    assert (first.request.name, second.request.name) == ("tick", "tick")
    assert first.request.data == b""
    assert first.request.metadata["readTimeUTC"].endswith(" +0000 UTC")
    assert first.metadata["dapr-api-token"] == ["t"]
    assert first.metadata["traceparent"] == [f"00-{'0' * 32}-{'0' * 16}-00"]


async def test_a_direction_stands_for_the_list(tmp_path: Path) -> None:
    """A binding that says it is an input is started though the app lists none."""
    components: Components = {
        "tick": ("bindings.cron", {"schedule": "@every 10s", "direction": "input"})
    }
    async with grpc_app(OnBindingEvent=always(NOTHING)) as app:
        async with sidecar_for(tmp_path, app, components) as sidecar:
            await settle(sidecar, 10)
        assert len(app.seen(f"{SERVICE}OnBindingEvent")) == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL])
async def test_an_app_that_lists_nothing_gets_nothing(
    tmp_path: Path, code: grpc.StatusCode
) -> None:
    """Whatever goes wrong with the list, no binding is started and the sidecar goes on."""
    async with grpc_app(ListInputBindings=refusing(code), OnBindingEvent=always(NOTHING)) as app:
        async with sidecar_for(tmp_path, app, TICK) as sidecar:
            await settle(sidecar, 30)
            assert sidecar.runtime.health.ready
        assert app.seen(f"{SERVICE}OnBindingEvent") == []


@pytest.mark.parametrize("parallel", [False, True])
async def test_the_answer_goes_to_output_bindings(tmp_path: Path, parallel: bool) -> None:  # noqa: FBT001 - a table's column
    """``to`` and ``data`` count, the data as Go writes JSON; state in an answer is left alone."""
    kind = messages.BindingEventResponse
    reply = kind(
        to=["one", "two"],
        data=b'{"b": 1.0, "a": "<"}',
        concurrency=kind.PARALLEL if parallel else kind.SEQUENTIAL,
        store_name="store",
        states=[messages.StateItem(key="k", value=b"v")],
    )
    components: Components = {
        **TICK,
        "one": ("bindings.localstorage", {"rootPath": str(tmp_path / "one")}),
        "two": ("bindings.localstorage", {"rootPath": str(tmp_path / "two")}),
        "store": ("state.in-memory", {}),
    }
    async with (
        grpc_app(ListInputBindings=LISTED, OnBindingEvent=always(reply)) as app,
        sidecar_for(tmp_path, app, components) as sidecar,
    ):
        await settle(sidecar, 10)
        assert await sidecar.runtime.state.get("store", "k") is None
    written = [next((tmp_path / name).iterdir()).read_bytes() for name in ("one", "two")]
    assert written == [b'{"a":"\\u003c","b":1}'] * 2


@pytest.mark.parametrize("parallel", [False, True])
async def test_an_output_binding_that_fails_is_a_line_in_the_log(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    parallel: bool,  # noqa: FBT001 - a table's column
) -> None:
    """The event itself counts as taken; of several in turn those after the failed one are left."""
    kind = messages.BindingEventResponse
    concurrency = kind.PARALLEL if parallel else kind.SEQUENTIAL
    reply = kind(to=["nowhere", "one"], data=b"no json", concurrency=concurrency)
    components: Components = {
        **TICK,
        "one": ("bindings.localstorage", {"rootPath": str(tmp_path / "one")}),
    }
    async with (
        grpc_app(ListInputBindings=LISTED, OnBindingEvent=always(reply)) as app,
        sidecar_for(tmp_path, app, components) as sidecar,
    ):
        await settle(sidecar, 10)
    assert "couldn't find output binding nowhere" in caplog.text
    written = [path.read_bytes() for path in (tmp_path / "one").glob("*")]
    assert written == ([b64decode(b"null")] if parallel else [])  # a file store decodes it


async def test_a_policy_tries_an_event_again(tmp_path: Path) -> None:
    """An error of the app is a failed attempt with its code, which a policy may match."""
    spec = """
  policies:
    retries:
      again: {policy: constant, duration: 1s, maxRetries: 3, matching: {gRPCStatusCodes: "13"}}
  targets:
    components:
      tick: {inbound: {retry: again}}
"""
    codes = [Code.INTERNAL, Code.INTERNAL, Code.NOT_FOUND, Code.OK]
    by_number = {code.value[0]: code for code in grpc.StatusCode}

    async def answer(_request: object, context: Any) -> messages.BindingEventResponse:
        code = codes.pop(0)
        if code is not Code.OK:
            await context.abort(by_number[code], "no")
        return NOTHING

    async with grpc_app(ListInputBindings=LISTED, OnBindingEvent=answer) as app:
        files = with_policies(tmp_path / "policies", TICK, spec)
        async with sidecar_for(tmp_path, app, files=files) as sidecar:
            await settle(sidecar, 15)
        assert codes == [Code.OK]


# ---- jobs ---------------------------------------------------------------------------------------


async def schedule(sidecar: InProcessSidecar, body: bytes) -> None:
    """Schedule the job ``report``."""
    request = HttpRequest("POST", "/v1.0-alpha1/jobs/report", (), body)
    assert (await sidecar.exchange.send(request)).status == 204


async def test_a_tick_has_the_data_of_its_job(tmp_path: Path) -> None:
    """The name, the JSON as a protobuf value with its type, and what an HTTP app would see."""
    async with (
        grpc_app(OnJobEvent=always(messages.JobEventResponse())) as app,
        sidecar_for(tmp_path, app) as sidecar,
    ):
        await schedule(sidecar, b'{"dueTime": "1s", "data": {"a": [1, "x", null]}}')
        await settle(sidecar, 5)
    (tick,) = app.calls
    event = tick.request
    assert (event.name, event.method) == ("report", "job/report")
    assert event.http_extension.verb == messages.HTTPExtension.POST
    assert event.content_type == event.data.type_url
    value = messages.Value()
    assert event.data.Unpack(value)
    assert messages.MessageToDict(value) == {"a": [1.0, "x", None]}


async def test_a_job_without_data_has_none(tmp_path: Path) -> None:
    """Neither data nor a type are made up."""
    async with (
        grpc_app(OnJobEvent=always(messages.JobEventResponse())) as app,
        sidecar_for(tmp_path, app) as sidecar,
    ):
        await schedule(sidecar, b'{"dueTime": "1s"}')
        await settle(sidecar, 5)
    event = app.calls[0].request
    assert not event.HasField("data")
    assert event.content_type == ""


async def test_older_apps_have_another_method(tmp_path: Path) -> None:
    """``OnJobEventAlpha1`` is asked where ``OnJobEvent`` is not implemented."""
    async with (
        grpc_app(OnJobEventAlpha1=always(messages.JobEventResponse())) as app,
        sidecar_for(tmp_path, app) as sidecar,
    ):
        await schedule(sidecar, b'{"dueTime": "1s"}')
        await settle(sidecar, 60)
    assert [call.rpc for call in app.calls] == [f"{ALPHA}OnJobEventAlpha1"]


@pytest.mark.parametrize(
    ("code", "calls"), [(grpc.StatusCode.NOT_FOUND, 1), (grpc.StatusCode.INTERNAL, 4)]
)
async def test_a_failed_tick(tmp_path: Path, code: grpc.StatusCode, calls: int) -> None:
    """NOT_FOUND is final; any other error is tried again three times."""
    async with grpc_app(OnJobEvent=refusing(code)) as app, sidecar_for(tmp_path, app) as sidecar:
        await schedule(sidecar, b'{"dueTime": "1s"}')
        await settle(sidecar, 60)
    assert len(app.seen(f"{SERVICE}OnJobEvent")) == calls


async def test_an_app_without_jobs_fails_them(tmp_path: Path) -> None:
    """UNIMPLEMENTED of both methods is a failure, tried again like any other."""
    async with (
        grpc_app(OnInvoke=always(messages.InvokeResponse())) as app,
        sidecar_for(tmp_path, app) as sidecar,
    ):
        await schedule(sidecar, b'{"schedule": "@every 1s", "repeats": 1}')
        await settle(sidecar, 60)
        answer = await sidecar.exchange.send(HttpRequest("GET", "/v1.0-alpha1/jobs/report"))
    assert answer.status == 500


async def test_ticks_wait_for_an_app_that_is_away(tmp_path: Path) -> None:
    """A tick that reached nobody is no attempt; the app gets it when it is back."""
    async with (
        grpc_app(OnJobEvent=always(messages.JobEventResponse())) as app,
        sidecar_for(tmp_path, app) as sidecar,
    ):
        await schedule(sidecar, b'{"dueTime": "1s"}')
        await app.stop()
        await settle(sidecar, 30)
        assert app.calls == []
        await app.start()
        await sidecar.runtime.reconnect()
        await sidecar.until(lambda: len(app.calls) == 1)


# ---- health -------------------------------------------------------------------------------------


async def test_health_decides_on_deliveries(tmp_path: Path) -> None:
    """They begin with the first healthy answer and stop when the app is not healthy any more."""
    healthy = False

    async def health(_request: object, context: Any) -> messages.Empty:
        if not healthy:
            await context.abort(grpc.StatusCode.INTERNAL, "ill")
        return messages.Empty()

    async with (
        grpc_app(
            HealthCheck=health, ListInputBindings=LISTED, OnBindingEvent=always(NOTHING)
        ) as app,
        sidecar_for(
            tmp_path,
            app,
            TICK,
            enable_app_health_check=True,
            app_health_probe_interval=1.0,
            app_health_probe_timeout=1.0,
            app_health_threshold=1,
            app_token="t",
        ) as sidecar,
    ):
        runtime = sidecar.runtime
        await sidecar.until(lambda: len(app.seen(f"{HEALTH}HealthCheck")) >= 3)
        assert not runtime.app_healthy
        assert app.seen(f"{SERVICE}ListInputBindings") == []
        healthy = True
        await sidecar.until(lambda: bool(app.seen(f"{SERVICE}OnBindingEvent")))
        assert runtime.app_healthy
        healthy = False
        await sidecar.until(lambda: not runtime.bindings.started)
        refused = await invoke(sidecar, "m")
    assert refused.status == 500
    assert b"code = Internal desc = app is not in a healthy state" in refused.body
    assert "dapr-api-token" not in app.seen(f"{HEALTH}HealthCheck")[0].metadata


async def test_an_app_without_health_is_not_healthy() -> None:
    """UNIMPLEMENTED counts as a failed check, as with the real runtime."""
    async with grpc_app(OnInvoke=always(messages.InvokeResponse())) as app:
        called = make_app(RuntimeOptions("a", app.port, app_protocol="grpc"))
        assert called is not None
        assert not await called.healthy("/healthz")
        app.answers[f"{HEALTH}HealthCheck"] = always(messages.Empty())
        assert await called.healthy("/healthz")
        await app.stop()
        assert not await called.healthy("/healthz")
        await called.close()


# ---- configuration ------------------------------------------------------------------------------


async def test_a_changed_item_reaches_the_method_of_its_path() -> None:
    """The app hears of it by ``OnInvoke``, and nothing that it answers counts as a yes."""
    async with grpc_app(OnInvoke=always(messages.InvokeResponse())) as app:
        called = make_app(RuntimeOptions("a", app.port, app_protocol="grpc"))
        assert called is not None
        with pytest.raises(NotTaken, match="SubscribeConfiguration"):
            await called.configuration_update("store", "key", b"{}")
        await called.close()
    (call,) = app.calls
    assert call.request.method == "/configuration/store/key"
    assert call.request.data.value == b"{}"
    assert call.request.content_type == "application/json"


# ---- service invocation over HTTP ---------------------------------------------------------------


async def invoke(
    sidecar: InProcessSidecar, method: str, verb: str = "POST", body: bytes = b"", **headers: str
) -> HttpResponse:
    """Invoke a method of the app over HTTP."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    path = f"/v1.0/invoke/app1/method/{method}"
    return await sidecar.exchange.send(HttpRequest(verb, path, pairs, body))


async def echo(request: messages.InvokeRequest, context: Any) -> messages.InvokeResponse:
    """Answer with what came."""
    await context.send_initial_metadata((("x-head", "1"), ("x-bin", b"\x00"), ("grpc-odd", "2")))
    return messages.InvokeResponse(data=request.data, content_type=request.content_type)


async def test_a_call_over_http(tmp_path: Path) -> None:
    """Method, query, verb, body and headers arrive as the real runtime sends them."""
    async with grpc_app(OnInvoke=echo) as app, sidecar_for(tmp_path, app) as sidecar:
        answer = await invoke(
            sidecar,
            "a%20b/c?q=1&r=a%20b",
            body=b'{"a":1}',
            content_type="application/json",
            content_length="7",
            x_mine="1",
            cookie="c=d",
            user_agent="x",
        )
    (call,) = app.calls
    assert call.request.method == "a b/c"
    assert call.request.http_extension.verb == messages.HTTPExtension.POST
    assert call.request.http_extension.querystring == "q=1&r=a%20b"
    assert (call.request.data.value, call.request.content_type) == (b'{"a":1}', "application/json")
    sent = {name: values for name, values in call.metadata.items() if name != "user-agent"}
    assert sent == {
        "dapr-content-length": ["7"],
        "dapr-content-type": ["application/json"],
        "dapr-cookie": ["c=d"],
        "traceparent": [f"00-{'0' * 32}-{'0' * 16}-00"],
        "x-mine": ["1"],
    }
    assert (answer.status, answer.body) == (200, b'{"a":1}')
    assert answer.header("content-type") == "application/json"
    assert (answer.header("x-head"), answer.header("dapr-grpc-odd")) == ("1", "2")
    assert answer.header("x-bin") == ""


async def test_a_typed_answer_is_protobuf(tmp_path: Path) -> None:
    """Data with a type has the content type of protobuf, whatever the app says."""
    reply = messages.InvokeResponse(content_type="text/plain")
    reply.data.Pack(messages.ErrorInfo(reason="x"))
    async with grpc_app(OnInvoke=always(reply)) as app, sidecar_for(tmp_path, app) as sidecar:
        answer = await invoke(sidecar, "m", "GET")
    assert answer.header("content-type") == "application/x-protobuf"
    assert messages.ErrorInfo.FromString(answer.body).reason == "x"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (1, 408), (2, 500), (3, 400), (4, 504), (5, 404), (6, 409), (7, 403), (8, 429), (9, 400),
        (10, 409), (11, 400), (12, 501), (13, 500), (14, 503), (15, 500), (16, 401),
    ],
)  # fmt: skip
async def test_an_error_over_http(tmp_path: Path, code: int, status: int) -> None:
    """Each code has its HTTP status, and the body is the status in protobuf's JSON."""
    by_number = {each.value[0]: each for each in grpc.StatusCode}

    async def answer(_request: object, context: Any) -> messages.InvokeResponse:
        rich = messages.RpcStatus(code=code, message="no")
        rich.details.add().Pack(messages.ErrorInfo(reason="R", domain="d", metadata={"a": "b"}))
        trailers = (("grpc-status-details-bin", rich.SerializeToString()),)
        await context.abort(by_number[code], "no", trailers)
        raise AssertionError

    async with grpc_app(OnInvoke=answer) as app, sidecar_for(tmp_path, app) as sidecar:
        found = await invoke(sidecar, "m")
    assert found.status == status
    assert json.loads(found.body) == {
        "code": code,
        "message": "no",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "R",
                "domain": "d",
                "metadata": {"a": "b"},
            }
        ],
    }
    assert found.header("content-type") == "text/plain; charset=utf-8"


async def test_an_app_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """A caller over HTTP gets 503 with the status, not an error of the sidecar's own."""
    async with grpc_app(OnInvoke=echo) as app, sidecar_for(tmp_path, app) as sidecar:
        await app.stop()
        answer = await invoke(sidecar, "m")
        assert answer.status == 503
        assert json.loads(answer.body)["code"] == 14
        await app.start()
        assert (await invoke(sidecar, "m")).status == 200


async def test_no_policy_takes_an_error_for_a_failure(tmp_path: Path) -> None:
    """As with the real runtime an answer over gRPC ends the attempts of a caller over HTTP."""
    spec = """
  policies:
    retries:
      again: {policy: constant, duration: 1s, maxRetries: 3}
  targets:
    apps:
      app1: {retry: again}
"""
    async with grpc_app(OnInvoke=refusing(grpc.StatusCode.INTERNAL)) as app:
        files = with_policies(tmp_path / "policies", {}, spec)
        async with sidecar_for(tmp_path, app, files=files) as sidecar:
            assert (await invoke(sidecar, "m")).status == 500
    assert len(app.calls) == 1
