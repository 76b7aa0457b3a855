"""Actors behind the embedded sidecar: what its HTTP API answers, and what reaches the app."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.protocol.resiliency import (
    ActorTarget,
    BreakerSpec,
    PolicyNames,
    ResiliencyResource,
    RetrySpec,
)
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from daprflow.testing.settling import Settling
from tests.helpers.recording import Answer, Call, RecordingApp
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar, resources

STORE: Components = {"store": ("state.in-memory", {"actorStateStore": "true"})}
PLAIN = {"entities": ["T"], "actorIdleTimeout": "1m"}


def app_with(config: Mapping[str, object]) -> RecordingApp:
    """Return an app that says ``config`` of its actors and answers every call."""
    document = json.dumps(config).encode()

    def answer(call: Call) -> Answer:
        if call.path == "/dapr/config":
            return Answer(200, document, "application/json")
        return Answer(200, b'"done"', "application/json")

    return RecordingApp(answer)


@dataclass(frozen=True, slots=True)
class Bench:
    """A sidecar and its app."""

    inner: InProcessSidecar
    app: RecordingApp
    settling: Settling

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> HttpResponse:
        """Call the HTTP API below /v1.0/actors."""
        data = b"" if body is None else json.dumps(body).encode()
        pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        request = HttpRequest(method, f"/v1.0/actors/{path}", pairs, data)
        return await asyncio.wait_for(self.inner.exchange.send(request), 10)

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        await self.settling.advance(timedelta(seconds=seconds))

    @property
    def calls(self) -> list[str]:
        """What reached the app's actors."""
        return [f"{c.method} {c.target}" for c in self.app.calls if "/actors/" in c.target]


@asynccontextmanager
async def bench(
    root: Path,
    components: Components = STORE,
    config: Mapping[str, object] = PLAIN,
    *,
    files: Resources | None = None,
    data_dir: Path | None = None,
    clock: VirtualClock | None = None,
) -> AsyncIterator[Bench]:
    """Start a sidecar for an app with these actors; no call waits for a host."""
    app = app_with(config)
    async with in_process_sidecar(
        root, components, app, files=files, data_dir=data_dir, clock=clock
    ) as inner:
        inner.engine.placement.patience = 0.0
        yield Bench(inner, app, Settling(inner.clock, inner.engine.work))


async def rest() -> None:
    """Let everything go on that can."""
    for _ in range(100):
        await asyncio.sleep(0)


def error(response: HttpResponse) -> tuple[int, str]:
    """Return status and code of an error."""
    return response.status, json.loads(response.body)["errorCode"]


# ---- names and routes ---------------------------------------------------------------------------


@pytest.mark.row("I-AC", "I-AR")
@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "T/a%2Fb/method/m", (400, "ERR_BAD_REQUEST")),
        ("POST", "T/%2E%2E/method/m", (400, "ERR_BAD_REQUEST")),
        ("POST", "T/1/method/a%23b", (400, "ERR_BAD_REQUEST")),
        ("POST", "T/1/reminders/a%2Fb", (400, "ERR_BAD_REQUEST")),
        ("POST", "T/1/timers/a%0Ab", (400, "ERR_BAD_REQUEST")),
        ("POST", "dapr.internal.x/1/state", (403, "ERR_ACTOR_TYPE_RESERVED")),
        ("POST", "dapr.internal.x/1/reminders/r", (403, "ERR_ACTOR_TYPE_RESERVED")),
        ("GET", "dapr.internal.x/1/state/k", (403, "ERR_ACTOR_TYPE_RESERVED")),
        ("POST", "Ghost/1/reminders/r", (403, "ERR_ACTOR_REMINDER_NON_HOSTED")),
        ("GET", "Ghost/1/reminders/r", (403, "ERR_ACTOR_REMINDER_NON_HOSTED")),
        ("DELETE", "Ghost/1/reminders/r", (403, "ERR_ACTOR_REMINDER_NON_HOSTED")),
        ("POST", "Ghost/1/timers/t", (500, "ERR_ACTOR_TIMER_CREATE")),
        ("PATCH", "T/1/method/m", (404, "ERR_DIRECT_INVOKE")),
        ("POST", "T/1/method/a/b", (404, "ERR_DIRECT_INVOKE")),
    ],
)
async def test_refused_calls(
    tmp_path: Path, method: str, path: str, expected: tuple[int, str]
) -> None:
    """What could lead elsewhere, belongs to the runtime, or is not hosted here is refused."""
    async with bench(tmp_path) as it:
        body = {"dueTime": "1s"} if method == "POST" else None
        assert error(await it.ask(method, path, body)) == expected
        assert it.calls == []


@pytest.mark.row("I-AR", "R-10", "S-11")
@pytest.mark.parametrize("name", ["a b", "a|b||c", "a.b", "ä€", "a@b"])
async def test_unusual_names(tmp_path: Path, name: str) -> None:
    """Ids, methods and reminder names with bars, spaces, dots or other letters come whole."""
    async with bench(tmp_path) as it:
        part = quote(name, safe="")
        assert (await it.ask("POST", f"T/{part}/method/{part}")).status == 200
        body = {"dueTime": "1s"}
        assert (await it.ask("POST", f"T/{part}/reminders/{part}", body)).status == 204
        await it.advance(2)
        assert [unquote(call) for call in it.calls] == [
            f"PUT /actors/T/{name}/method/{name}",
            f"PUT /actors/T/{name}/method/remind/{name}",
        ]


@pytest.mark.parametrize("path", ["T/1/state", "T/1/reminders/r", "T/1/timers/t"])
async def test_bodies_that_are_no_json(tmp_path: Path, path: str) -> None:
    """They are refused as malformed."""
    async with bench(tmp_path) as it:
        for body in (b"", b"{", b"7"):
            request = HttpRequest("POST", f"/v1.0/actors/{path}", (), body)
            response = await it.inner.exchange.send(request)
            assert error(response) == (400, "ERR_MALFORMED_REQUEST")


@pytest.mark.row("I-AC", "S-33")
async def test_what_travels_in_headers(tmp_path: Path) -> None:
    """A caller's headers reach the actor, but for those that end here or say who calls."""
    async with bench(tmp_path) as it:
        it.app.answers["/actors/T/1/method/m"] = Answer(
            200, b"x", headers={"x-back": "1", "connection": "x-gone", "x-gone": "1"}
        )
        answer = await it.ask(
            "POST",
            "T/1/method/m",
            **{"x-a": "1", "connection": "x-b", "x-b": "2", "dapr-caller-app-id": "forged"},
        )
        sent = dict(it.app.calls[-1].headers)
        assert sent["x-a"] == "1"
        assert sent["dapr-caller-app-id"] == "app1"
        assert "x-b" not in sent
        assert answer.header("x-back") == "1"
        assert answer.header("x-gone") == ""


# ---- life ---------------------------------------------------------------------------------------


async def test_idle_actors_are_told(tmp_path: Path) -> None:
    """The document of metadata counts those that are active."""
    async with bench(tmp_path) as it:
        await it.ask("POST", "T/1/method/m")
        actors = it.inner.runtime.metadata.describe().actors
        assert [(each.type, each.count) for each in actors] == [("T", 1)]
        await it.advance(61)
        assert it.calls == ["PUT /actors/T/1/method/m", "DELETE /actors/T/1"]
        assert it.inner.runtime.metadata.describe().actors[0].count == 0


@pytest.mark.row("FS-13")
async def test_a_pause_ends_actors_and_a_new_process_has_them_again(tmp_path: Path) -> None:
    """A call while the app is away waits for it, and is answered by the next process."""
    async with bench(tmp_path) as it:
        await it.ask("POST", "T/1/method/m")
        await it.inner.runtime.pause()
        assert it.calls[-1] == "DELETE /actors/T/1"
        assert json.loads(it.inner.runtime.metadata.document())["actorRuntime"] == {
            "runtimeStatus": "INITIALIZING",
            "hostReady": False,
        }
        it.inner.engine.placement.patience = 5.0
        call = asyncio.create_task(it.ask("POST", "T/1/method/later"))
        await rest()
        assert not call.done()
        await it.inner.runtime.reconnect()
        assert (await call).status == 200


async def test_timers_outlive_a_pause(tmp_path: Path) -> None:
    """The sidecar that registered a timer goes on with it when its app is back."""
    async with bench(tmp_path) as it:
        await it.ask("POST", "T/1/timers/t", {"dueTime": "5s", "data": 1})
        await it.inner.runtime.reconnect()
        await it.advance(5)
        assert it.calls == ["PUT /actors/T/1/method/timer/t"]


async def test_a_tick_of_a_timer_waits_for_the_app(tmp_path: Path) -> None:
    """One that is due while the app is started anew comes when it is back, as a call does."""
    async with bench(tmp_path) as it:
        await it.ask("POST", "T/1/timers/t", {"dueTime": "5s", "period": "R2/PT10S"})
        it.inner.engine.placement.patience = 5.0
        await it.inner.runtime.pause()
        it.inner.clock.move_to(it.inner.clock.now() + 6)
        await rest()
        assert it.calls == []
        await it.inner.runtime.reconnect()
        await it.advance(8)
        assert it.calls == ["PUT /actors/T/1/method/timer/t"]
        await it.advance(1)
        assert it.calls == ["PUT /actors/T/1/method/timer/t"] * 2


async def test_a_call_that_waits_for_the_app_holds_no_reload_up(tmp_path: Path) -> None:
    """The files are read anew before the app is back that the call is for."""
    async with bench(tmp_path) as it:
        runtime = it.inner.runtime
        it.inner.engine.placement.patience = 5.0
        await runtime.pause()
        call = asyncio.create_task(it.ask("POST", "T/1/method/m"))
        await rest()
        assert await asyncio.wait_for(runtime.reload(runtime.resources), 5) == ()
        assert not call.done()
        await runtime.reconnect()
        assert (await call).status == 200


@pytest.mark.row("I-AL")
async def test_an_app_that_is_not_healthy_has_no_actors(tmp_path: Path) -> None:
    """Its actors leave without a word, and calls find no host until it is well again."""
    well = True

    def answer(call: Call) -> Answer:
        if call.path == "/dapr/config":
            return Answer(200, json.dumps(PLAIN).encode(), "application/json")
        return Answer(200 if well or call.path != "/healthz" else 500)

    app = RecordingApp(answer)
    options = RuntimeOptions("app1", app_port=1, enable_app_health_check=True)
    async with in_process_sidecar(tmp_path, STORE, app, options=options) as inner:
        inner.engine.placement.patience = 0.0
        it = Bench(inner, app, Settling(inner.clock, inner.engine.work))
        await inner.until(lambda: "T" in inner.engine.placement.types)
        assert (await it.ask("POST", "T/1/method/m")).status == 200
        well = False
        await inner.until(lambda: "T" not in inner.engine.placement.types)
        assert error(await it.ask("POST", "T/1/method/m")) == (500, "ERR_ACTOR_INVOKE_METHOD")
        assert "DELETE /actors/T/1" not in it.calls
        well = True
        await inner.until(lambda: "T" in inner.engine.placement.types)
        assert (await it.ask("POST", "T/1/method/m")).status == 200


@pytest.mark.row("I-AC")
async def test_actors_of_another_app(tmp_path: Path) -> None:
    """A call finds them, says who calls, and they are gone with their app."""
    async with bench(tmp_path) as it:
        other = app_with({"entities": ["Other"]})
        options = RuntimeOptions("app2", app_port=2)
        runtime = Runtime(it.inner.engine, options, resources(STORE), HttpApp(AsgiChannel(other)))
        await runtime.open()
        await runtime.connect()
        assert (await it.ask("POST", "Other/1/method/m")).status == 200
        assert other.calls[-1].header("dapr-caller-app-id") == "app1"
        write = [{"operation": "upsert", "request": {"key": "k", "value": 1}}]
        refused = await it.ask("POST", "Other/1/state", write)
        assert error(refused) == (400, "ERR_ACTOR_INSTANCE_MISSING")
        theirs = AsgiChannel(HttpApi(runtime))
        request = HttpRequest("POST", "/v1.0/actors/Other/1/state", (), json.dumps(write).encode())
        assert (await theirs.send(request)).status == 204
        await runtime.close(1.0)
        assert other.calls[-1].method == "DELETE"
        assert error(await it.ask("POST", "Other/1/method/m")) == (500, "ERR_ACTOR_INVOKE_METHOD")


@pytest.mark.row("I-AC")
async def test_a_client_that_leaves_frees_the_turn(tmp_path: Path) -> None:
    """A call that is given up ends at the app, and the next call has its turn."""
    async with bench(tmp_path) as it:
        held = asyncio.Event()
        inner_app = it.app

        class Slow:
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                if scope["path"].endswith("/slow"):
                    await held.wait()
                await inner_app(scope, receive, send)

        it.inner.runtime.app = HttpApp(AsgiChannel(Slow()))
        slow = asyncio.create_task(it.ask("POST", "T/1/method/slow"))
        await rest()
        later = asyncio.create_task(it.ask("POST", "T/1/method/m"))
        await rest()
        assert not later.done()
        slow.cancel()
        assert (await later).status == 200


# ---- state --------------------------------------------------------------------------------------


def upsert(key: str, value: object, **more: object) -> dict[str, object]:
    """Return a step of a transaction."""
    return {"operation": "upsert", "request": {"key": key, "value": value, **more}}


async def test_the_key_layout_of_the_real_store(tmp_path: Path) -> None:
    """State lies under app, type, id and key, whatever the component's prefix is."""
    components: Components = {
        "store": (
            "state.sqlite",
            {"connectionString": "s.db", "actorStateStore": "true", "keyPrefix": "none"},
        )
    }
    async with bench(tmp_path, components) as it:
        await it.ask("POST", "T/a||b/method/m")
        assert (
            await it.ask("POST", "T/a||b/state", [upsert("k", {"b": 1, "a": 1.0})])
        ).status == 204
        with closing(sqlite3.connect(tmp_path / "s.db")) as file:
            rows = file.execute("SELECT key, value FROM state").fetchall()
        assert rows == [("app1||T||a||b||k", '{"a":1,"b":1}')]


async def test_a_transaction_is_whole(tmp_path: Path) -> None:
    """When one step is refused nothing is written."""
    async with bench(tmp_path) as it:
        await it.ask("POST", "T/1/method/m")
        steps = [upsert("a", 1), upsert("b", 2, etag="never")]
        refused = await it.ask("POST", "T/1/state", steps)
        assert error(refused) == (500, "ERR_ACTOR_STATE_TRANSACTION_SAVE")
        assert (await it.ask("GET", "T/1/state/a")).status == 204


@pytest.mark.row("I-AL")
@pytest.mark.parametrize(
    ("step", "text"),
    [
        ({"operation": "upsert", "request": {"value": 1}}, "missing key"),
        ({"operation": "upsert"}, "request data is empty"),
        ({"request": {"key": "k"}}, "operation is empty"),
        ({"operation": "x", "request": {"key": "k"}}, "operation type x not supported"),
    ],
)
async def test_steps_that_make_no_sense(
    tmp_path: Path, step: Mapping[str, object], text: str
) -> None:
    """They are refused in the real runtime's words."""
    async with bench(tmp_path) as it:
        await it.ask("POST", "T/1/method/m")
        refused = await it.ask("POST", "T/1/state", [step])
        assert error(refused) == (500, "ERR_ACTOR_STATE_TRANSACTION_SAVE")
        assert text in refused.body.decode()


@pytest.mark.row("I-AL")
async def test_state_that_expires(tmp_path: Path) -> None:
    """With the feature on, a value with a time to live is gone after it."""
    feature = ConfigurationResource(features=(("ActorStateTTL", True),))
    files = replace(resources(STORE), configuration=feature)
    async with bench(tmp_path, files=files) as it:
        await it.ask("POST", "T/1/method/m")
        await it.ask("POST", "T/1/state", [upsert("k", 1, metadata={"ttlInSeconds": "5"})])
        found = await it.ask("GET", "T/1/state/k")
        assert found.body == b"1"
        assert found.header("metadata.ttlexpiretime").endswith("Z")
        await it.advance(6)
        assert (await it.ask("GET", "T/1/state/k")).status == 204


@pytest.mark.row("I-HR")
async def test_without_a_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No type is hosted, and the log says what is missing; a store that comes later mends it."""
    async with bench(tmp_path, {}) as it:
        assert "no state store has actorStateStore" in caplog.text
        assert error(await it.ask("POST", "T/1/method/m")) == (500, "ERR_ACTOR_INVOKE_METHOD")
        assert error(await it.ask("GET", "T/1/state/k")) == (500, "ERR_ACTOR_RUNTIME_NOT_FOUND")
        assert await it.inner.runtime.reload(resources(STORE)) == ()
        assert (await it.ask("POST", "T/1/method/m")).status == 200
        assert await it.inner.runtime.reload(resources({})) == ()
        assert it.calls[-1] == "DELETE /actors/T/1"
        assert error(await it.ask("POST", "T/1/method/m")) == (500, "ERR_ACTOR_INVOKE_METHOD")


@pytest.mark.row("I-HR")
async def test_two_stores_for_actors_are_refused(tmp_path: Path) -> None:
    """A reload that brings a second one changes nothing, and says which two there are."""
    two = {"one": STORE["store"], "two": STORE["store"]}
    async with bench(tmp_path) as it:
        [problem] = await it.inner.runtime.reload(resources(two))
        assert "detected duplicate actor state store: one and two" in problem
        assert (await it.ask("POST", "T/1/method/m")).status == 200


# ---- reminders ----------------------------------------------------------------------------------


@pytest.mark.row("I-AR")
async def test_a_failure_policy_over_http_does_not_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it says, a failed tick is tried again three times, and the log tells of it."""
    async with bench(tmp_path) as it:
        it.app.answers["/actors/T/1/method/remind/r"] = Answer(404)
        body = {"dueTime": "1s", "failurePolicy": {"drop": 7}}
        assert (await it.ask("POST", "T/1/reminders/r", body)).status == 204
        assert "reads one over gRPC alone" in caplog.text
        await it.advance(20)
        assert it.calls == ["PUT /actors/T/1/method/remind/r"] * 4


@pytest.mark.row("I-AR")
async def test_a_reminder_that_is_there(tmp_path: Path) -> None:
    """It is refused where it is not to be replaced; deleting it twice is fine."""
    async with bench(tmp_path) as it:
        body = {"dueTime": "1h", "overwrite": False}
        assert (await it.ask("PUT", "T/1/reminders/r", body)).status == 204
        refused = await it.ask("PUT", "T/1/reminders/r", body)
        assert error(refused) == (409, "ERR_ACTOR_REMINDER_ALREADY_EXISTS")
        for _ in range(2):
            assert (await it.ask("DELETE", "T/1/reminders/r")).status == 204


@pytest.mark.row("I-AT")
async def test_one_slow_actor_delays_no_reminder_of_others(tmp_path: Path) -> None:
    """While a tick of one actor is under way, those of the others come in time."""
    async with bench(tmp_path) as it:
        held = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            if "/slow/" in scope["path"]:
                await held.wait()
            await it.app(scope, receive, send)

        it.inner.runtime.app = HttpApp(AsgiChannel(slow))
        for actor_id in ("slow", "a", "b"):
            await it.ask("POST", f"T/{actor_id}/reminders/r", {"dueTime": "1s", "period": "1s"})
        for _ in range(3):
            it.inner.clock.move_to(it.inner.clock.now() + 1)
            await rest()
        assert it.calls.count("PUT /actors/T/a/method/remind/r") == 3
        assert it.calls.count("PUT /actors/T/b/method/remind/r") == 3
        held.set()


# ---- policies -----------------------------------------------------------------------------------


def policies(target: PolicyNames, scope: str = "type") -> Resources:
    """Return resources whose document has policies for calls of T."""
    document = ResiliencyResource(
        "r",
        timeouts={"quick": 1.0},
        retries={"twice": RetrySpec(duration=1.0, max_retries=2)},
        circuit_breakers={"cb": BreakerSpec(timeout=60.0, trip="consecutiveFailures >= 2")},
        actors={"T": ActorTarget(target, scope)},
    )
    return replace(resources(STORE), resiliencies=(document,))


@pytest.mark.row("I-AR")
@pytest.mark.parametrize(("status", "attempts"), [(500, 3), (404, 1)])
async def test_failed_calls_are_tried_again(tmp_path: Path, status: int, attempts: int) -> None:
    """As often as the policy says; a missing method is not, for that mends nothing."""
    async with bench(tmp_path, files=policies(PolicyNames(retry="twice"))) as it:
        it.app.answers["/actors/T/1/method/m"] = Answer(status)
        call = asyncio.create_task(it.ask("POST", "T/1/method/m"))
        await rest()
        await it.advance(5)
        assert error(await call) == (500, "ERR_ACTOR_INVOKE_METHOD")
        assert len(it.calls) == attempts


@pytest.mark.parametrize(("scope", "status"), [("type", 500), ("id", 200)])
async def test_breakers_are_for_types_or_ids(tmp_path: Path, scope: str, status: int) -> None:
    """After two failures calls are refused: of every actor of the type, or of that one alone."""
    async with bench(tmp_path, files=policies(PolicyNames(circuit_breaker="cb"), scope)) as it:
        it.app.answers["/actors/T/1/method/m"] = Answer(500)
        for _ in range(2):
            await it.ask("POST", "T/1/method/m")
        refused = await it.ask("POST", "T/1/method/m")
        assert "circuit breaker is open" in refused.body.decode()
        assert len(it.calls) == 2
        assert (await it.ask("POST", "T/2/method/m")).status == status


# ---- restarts -----------------------------------------------------------------------------------


@pytest.mark.row("I-AR")
async def test_reminders_come_after_a_restart(tmp_path: Path) -> None:
    """One registered before an end of the sidecar ticks after its next start, once if missed."""
    clock = VirtualClock(1_700_000_000.0)
    async with bench(tmp_path, data_dir=tmp_path, clock=clock) as it:
        await it.ask("POST", "T/1/reminders/r", {"dueTime": "5s", "period": "10s", "data": "x"})
        await it.ask("POST", "T/1/reminders/late", {"dueTime": "1h"})
        await it.advance(5)
        assert len(it.calls) == 1
    clock.move_to(clock.now() + 35)
    async with bench(tmp_path, data_dir=tmp_path, clock=clock) as it:
        await it.advance(0.5)
        assert it.calls == ["PUT /actors/T/1/method/remind/r"]
        assert it.app.calls[-1].json() == {"data": "x", "dueTime": "", "period": ""}
        await it.advance(10)
        assert len(it.calls) == 2
        assert (await it.ask("GET", "T/1/reminders/late")).status == 200


async def test_a_bad_duration_hosts_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An app whose idle timeout cannot be read has no actors, and the log says why."""
    config = {"entities": ["T"], "actorIdleTimeout": "PT1H"}
    async with bench(tmp_path, config=config) as it:
        assert error(await it.ask("POST", "T/1/method/m")) == (500, "ERR_ACTOR_INVOKE_METHOD")
    assert "app 'app1' hosts no actors" in caplog.text


async def test_types_of_the_next_process_count(tmp_path: Path) -> None:
    """After the app was started anew it hosts what its configuration says then."""
    async with bench(tmp_path) as it:
        it.app.answers["/dapr/config"] = Answer(200, b'{"entities":["U"]}', "application/json")
        await it.inner.runtime.reconnect()
        assert (await it.ask("POST", "U/1/method/m")).status == 200
        assert error(await it.ask("POST", "T/1/method/m")) == (500, "ERR_ACTOR_INVOKE_METHOD")
