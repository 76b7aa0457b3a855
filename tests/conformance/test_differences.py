"""Every row of docs/reference/differences.md, as a fact about the embedded sidecar."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import cast

import msgspec
import pytest

from daprflow import ActorError
from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.configuration_file import ConfigurationResource, PipelineHandler
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef
from daprflow.sidecar.channel.base import AppAway
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError, Message, Nack, PubSub, Undelivered
from daprflow.sidecar.components.registry import COMPONENTS
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from daprflow.sidecar.workflows.problems import WorkflowProblem
from daprflow.testing import TestSidecar
from tests.helpers.actor_app import LedgerActor
from tests.helpers.actor_app import app as actor_app
from tests.helpers.components import context
from tests.helpers.http_client import RawClient
from tests.helpers.recording import RecordingApp, serve
from tests.helpers.scripted_worker import Stage, end, task, timer
from tests.helpers.servers import redis_server
from tests.helpers.sidecar import Components, in_process_sidecar, resources
from tests.helpers.subscribers import JSON, Subscribed, subscribed
from tests.helpers.workflow_rows import (
    START,
    begin,
    new_kinds,
    opened,
    raise_event,
    reply,
    state_of,
    status,
    waiting_for,
)
from tests.helpers.workflow_rows import start as start_workflow

STORE: Components = {"store": ("state.in-memory", {})}

STRANGERS = {
    "foreign host": ("host", "evil.example"),
    "foreign host with our port": ("host", "evil.example:3500"),
    "name that starts like ours": ("host", "localhost.evil.example"),
    "address of another machine": ("host", "192.0.2.1"),
    "page of another site": ("origin", "http://evil.example"),
    "page without an origin": ("origin", "null"),
    "browser's word for it": ("sec-fetch-site", "cross-site"),
}


@pytest.mark.parametrize("case", STRANGERS)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
async def test_row_1_strangers(tmp_path: Path, case: str, content_type: str) -> None:
    """Row 1: a foreign host or page neither writes state nor shuts the sidecar down."""
    async with (
        in_process_sidecar(tmp_path, STORE) as sidecar,
        serve(HttpApi(sidecar.runtime)) as port,
    ):
        client = RawClient(port)
        for target, body in (
            ("/v1.0/state/store", b'[{"key":"k","value":1}]'),
            ("/v1.0/shutdown", b""),
            ("/v1.0/healthz", b""),
        ):
            headers = (("content-type", content_type), STRANGERS[case])
            answer = await client.call("POST", target, body, *headers)
            assert answer.status == 403
            assert answer.body.count(b"\n") == 1
        assert not sidecar.runtime.shutdown_requested.is_set()
        assert (await client.call("GET", "/v1.0/state/store/k")).status == 204


@pytest.mark.parametrize("host", ["localhost:3500", "127.0.0.1", "[::1]:3500", "LOCALHOST"])
async def test_row_1_own_names(tmp_path: Path, host: str) -> None:
    """Row 1: every name of this machine's loopback is served."""
    async with (
        in_process_sidecar(tmp_path, STORE) as sidecar,
        serve(HttpApi(sidecar.runtime)) as port,
    ):
        answer = await RawClient(port).call("GET", "/v1.0/healthz", b"", ("host", host))
        assert answer.status == 204


async def bulk_publish(found: Subscribed) -> None:
    """Publish one event to the topic that no rule takes."""
    entries = [{"entryId": "1", "event": {}, "contentType": "application/json"}]
    body = msgspec.json.encode(entries)
    answer = await found.send("POST", "/v1.0/publish/bulk/pubsub/bulk", body, JSON)
    assert answer.status == 204


@pytest.mark.parametrize("dead_letter", ["", "dead"])
async def test_row_2_bulk_entry_without_route(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dead_letter: str
) -> None:
    """Row 2: a bulk entry that no rule takes is dead-lettered or dropped, with a warning."""
    bulk = {
        "topic": "bulk",
        "routes": {"rules": [{"match": 'event.type == "vip"', "path": "/vip"}]},
        "bulkSubscribe": {"enabled": True, "maxAwaitDurationMs": 10},
        **({"deadLetterTopic": dead_letter} if dead_letter else {}),
    }
    dead = {"topic": "dead", "route": "/dead"}
    with caplog.at_level(logging.WARNING, "daprflow"):
        async with subscribed(tmp_path, [bulk, dead]) as found:
            await bulk_publish(found)
            if dead_letter:
                await found.arrived("/dead")
            await found.sidecar.until(lambda: "pubsub/bulk" in caplog.text)
            await found.settled("/")
            paths = {call.path for call in found.app.calls if call.method == "POST"}
    assert paths == ({"/dead", "/marks"} if dead_letter else {"/marks"})


async def test_row_3_no_token_for_plain_hosts(tmp_path: Path) -> None:
    """Row 3: the app's token is sent to the app and not to a host invoked by its URL."""
    host, app = RecordingApp(), RecordingApp()
    options = RuntimeOptions("app1", app_port=1, app_token="t0k3n")
    async with (
        serve(host) as port,
        in_process_sidecar(tmp_path, STORE, app, options=options) as sidecar,
    ):
        url = f"/v1.0/invoke/http://127.0.0.1:{port}/method/x"
        assert (await sidecar.exchange.send(HttpRequest("POST", url))).status == 200
        own = HttpRequest("POST", "/v1.0/invoke/app1/method/x")
        assert (await sidecar.exchange.send(own)).status == 200
    assert host.calls[0].header("dapr-api-token") is None
    assert app.to("/x")[0].header("dapr-api-token") == "t0k3n"


async def test_row_4_one_grace_period(tmp_path: Path) -> None:
    """Row 4: a handler that never ends holds the end of a sidecar no longer than the grace."""
    async with subscribed(tmp_path, [{"topic": "held", "route": "/held"}]) as found:
        found.app.held["/held"] = asyncio.Event()
        await found.publish("held", 1)
        await found.app.wait_for("/held")
        await asyncio.wait_for(found.sidecar.runtime.close(0.05), 5)
        found.app.held["/held"].set()


def component(reference: SecretKeyRef, store: str = "") -> ComponentResource:
    """Return a state store whose connection is a secret."""
    item = MetadataItem("connectionString", secret_key_ref=reference)
    return ComponentResource("db", "state.sqlite", metadata=(item,), secret_store=store)


@pytest.mark.parametrize(
    ("reference", "store", "names"),
    [
        (SecretKeyRef("nope", "k"), "vault", ["'db'", "'connectionString'", "'nope'"]),
        (SecretKeyRef("token", "other"), "vault", ["'db'", "'connectionString'", "'other'"]),
        (SecretKeyRef("token"), "", ["'db'", "'kubernetes'", "'token'", "auth.secretStore"]),
        (SecretKeyRef("token"), "elsewhere", ["'db'", "'connectionString'", "'elsewhere'"]),
    ],
)
async def test_row_5_missing_secret(
    tmp_path: Path, reference: SecretKeyRef, store: str, names: list[str]
) -> None:
    """Row 5: a secret that cannot be resolved stops the start with one line that names it."""
    (tmp_path / "secrets.json").write_text('{"token": "t0k3n"}', encoding="utf-8")
    vault = ComponentResource(
        "vault", "secretstores.local.file", metadata=(MetadataItem("secretsFile", "secrets.json"),)
    )
    resources = Resources((component(reference, store), vault))
    engine = Engine(VirtualClock(), None, tmp_path)
    runtime = Runtime(engine, RuntimeOptions("app1"), resources, None)
    with pytest.raises(ComponentError) as refused:
        await runtime.open()
    await engine.close()
    text = str(refused.value)
    assert [name for name in names if name not in text] == []
    assert "\n" not in text
    assert "t0k3n" not in text


@pytest.mark.row("I-IN", "R-22")
async def test_row_6_dots_in_an_invocation(tmp_path: Path) -> None:
    """Row 6: dots are resolved in the whole path, so they can lead out of the method."""
    app = RecordingApp()
    async with in_process_sidecar(tmp_path, STORE, app) as sidecar:
        out = HttpRequest("GET", "/v1.0/invoke/app1/method/../x")
        assert (await sidecar.exchange.send(out)).status == 404
        within = HttpRequest("GET", "/v1.0/invoke/app1/method/a/../y")
        assert (await sidecar.exchange.send(within)).status == 200
    assert app.to("/x") == []
    assert len(app.to("/y")) == 1


async def test_row_6_percent_signs_in_a_method(tmp_path: Path) -> None:
    """Row 6: an escaped percent sign reaches the app as it came."""
    app = RecordingApp()
    async with in_process_sidecar(tmp_path, STORE, app) as sidecar:
        request = HttpRequest("GET", "/v1.0/invoke/app1/method/a%2541")
        assert (await sidecar.exchange.send(request)).status == 200
    assert app.calls[-1].target == "/a%2541"


async def test_row_5_a_component_edited_for_the_worse(tmp_path: Path) -> None:
    """Row 5: an edited component that cannot be opened leaves the one in use where it is."""
    async with in_process_sidecar(tmp_path, STORE) as sidecar:
        await sidecar.exchange.send(
            HttpRequest("POST", "/v1.0/state/store", JSON, b'[{"key":"a","value":1}]')
        )
        where = MetadataItem("connectionString", str(tmp_path))
        bad = ComponentResource("store", "state.sqlite", metadata=(where,), source="a.yaml:1")
        (problem,) = await sidecar.runtime.reload(Resources((bad,)))
        assert "a.yaml:1" in problem
        answer = await sidecar.exchange.send(HttpRequest("GET", "/v1.0/state/store/a"))
        assert answer.body == b"1"


async def test_row_7_a_call_that_came_back_too_deep() -> None:
    """Row 7: an actor whose call went too deep answers the next one."""
    async with TestSidecar(actor_app) as dapr:
        deep = dapr.actor(LedgerActor, "deep")
        with pytest.raises(ActorError, match="maximum stack depth exceeded"):
            await deep.chain(6)
        assert await deep.show() == []


async def test_row_8_one_of_the_missed_ticks(tmp_path: Path) -> None:
    """Of ticks that were missed while the app was away, one is made up for."""
    app = RecordingApp()
    async with in_process_sidecar(tmp_path, {}, app) as sidecar:
        body = b'{"schedule":"@every 10s"}'
        await sidecar.exchange.send(HttpRequest("POST", "/v1.0/jobs/a", (), body))
        await sidecar.runtime.pause()
        sidecar.clock.move_to(sidecar.clock.now() + 105)
        assert app.to("/job/a") == []
        await sidecar.runtime.reconnect()
        await sidecar.engine.work.idle()
        assert len(app.to("/job/a")) == 1


class Away(AsgiChannel):
    """The channel to an app that does not listen yet."""

    here = False

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app, once it is there."""
        if not self.here and request.target.startswith("/job/"):
            raise AppAway("nobody listens")
        return await super().send(request)


async def test_row_8_a_tick_that_finds_no_app(tmp_path: Path) -> None:
    """A tick waits for an app that is not there, also where no failure is to be retried."""
    app = RecordingApp()
    channel = Away(app)
    async with in_process_sidecar(tmp_path, {}, channel=channel) as sidecar:
        body = b'{"dueTime":"1s","failurePolicy":{"drop":{}}}'
        await sidecar.exchange.send(HttpRequest("POST", "/v1.0/jobs/a", (), body))
        start = sidecar.clock.now()
        await sidecar.until(lambda: sidecar.clock.now() > start + 60)
        assert app.to("/job/a") == []
        channel.here = True
        await sidecar.until(lambda: app.to("/job/a") != [])


async def test_row_9_nothing_is_lost_while_an_app_is_away(tmp_path: Path) -> None:
    """On Redis an event that did not get to the app stays pending; a refused one does not."""
    reached = {Undelivered: 1, Nack: 0}
    async with redis_server() as server:
        for outcome, pending in reached.items():
            seen = asyncio.Event()

            async def receive(
                message: Message, outcome: type[Nack] = outcome, seen: asyncio.Event = seen
            ) -> None:
                seen.set()
                raise outcome("not now")

            topic = outcome.__name__
            given = {**server.metadata, "consumerID": "app1"}
            made = context(tmp_path, VirtualClock(), "pubsub.redis", **given)
            pubsub = cast("PubSub", COMPONENTS["pubsub.redis"](made))
            await pubsub.open()
            stop = await pubsub.subscribe(topic, "app1", {}, receive)
            await pubsub.publish(Message(topic, b"x"))
            await asyncio.wait_for(seen.wait(), 10)
            await stop()
            await pubsub.close()
            assert (await server.client.xpending(topic, "app1"))["pending"] == pending


async def test_row_9_no_token_no_success(tmp_path: Path) -> None:
    """A call that needs a token, and gets none, is a failure to its caller."""
    metadata = {
        "clientID": "id",
        "clientSecret": "secret",
        "scopes": "a",
        "tokenURL": "http://127.0.0.1:1/",
        "headerName": "authorization",
    }
    given = resources({"m": ("middleware.http.oauth2clientcredentials", metadata)})
    handler = PipelineHandler("m", "middleware.http.oauth2clientcredentials")
    files = replace(given, configuration=ConfigurationResource(app_http_pipeline=(handler,)))
    app = RecordingApp()
    async with in_process_sidecar(tmp_path, {}, app, files=files) as sidecar:
        request = HttpRequest("GET", "/v1.0/invoke/app1/method/a")
        assert (await sidecar.exchange.send(request)).status == 500
    assert app.calls == []


@pytest.mark.row("FS-38")
@pytest.mark.parametrize("kind", ["sendEvent", "terminateWorkflow", "createDetachedWorkflow"])
async def test_row_10_an_action_without_effect(tmp_path: Path, kind: str) -> None:
    """A workflow that asks for what a real runtime never does fails, and is told what to do."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        await start_workflow(stage)
        action = wf.WorkflowAction(id=1)
        getattr(action, kind).SetInParent()
        await worker.answer(await worker.turn(), action)
        failure = (await state_of(stage)).failureDetails
        assert f"action '{kind}' is not supported by Dapr 1.18" in failure.errorMessage


@pytest.mark.row("FS-38")
async def test_row_10_an_empty_action_ends_nothing(tmp_path: Path) -> None:
    """An action that says nothing fails its instance alone."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        await start_workflow(stage)
        await worker.answer(await worker.turn(), wf.WorkflowAction(id=1))
        assert await status(stage) == "FAILED"


async def test_row_10_resuming_what_runs(tmp_path: Path) -> None:
    """Its worker, which would fail it, hears nothing of a resumption that nobody waits for."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        await begin(stage, worker)
        await stage.workflows().resume("i1", "", wait=True)
        assert await worker.nothing()
        assert await status(stage) == "RUNNING"


async def test_row_10_a_start_that_is_not_due(tmp_path: Path) -> None:
    """An event for an instance that is to begin later waits with it."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        request = wf.CreateInstanceRequest(instanceId="i1", name="w")
        request.scheduledStartTimestamp.seconds = int(START) + 60
        await stage.workflows().start(request)
        await raise_event(stage, "i1", "go")
        assert await worker.nothing()
        stage.clock.move_to(START + 60)
        assert new_kinds(await worker.turn()) == ["executionStarted", "eventRaised"]


async def test_row_10_a_version_with_patches(tmp_path: Path) -> None:
    """A version keeps its name though its code has patches: no other code goes on with it."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        await start_workflow(stage)
        turn = await worker.turn()
        await reply(stage, turn, waiting_for(1, "go"), patches=("p1",), version="v1")
        await raise_event(stage, "i1", "go")
        begun = (await worker.turn()).workflowRequest.pastEvents[0].workflowStarted
        assert (begun.version.name, list(begun.version.patches)) == ("v1", ["p1"])


async def test_row_10_an_id_with_bars(tmp_path: Path) -> None:
    """Instances are listed though the id of one has what separates the parts of a key."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        await begin(stage, worker, "a||b")
        await begin(stage, worker, "c")
        assert stage.workflows().ids("", 0).instance_ids == ["a||b", "c"]


async def test_row_10_a_purge_of_nothing(tmp_path: Path) -> None:
    """To purge by force what is not there fails, and nothing else."""
    async with opened(tmp_path) as stage:
        stage.worker()
        with pytest.raises(WorkflowProblem, match="no such instance exists"):
            await stage.workflows().purge("none", recursive=False, force=True)


async def test_row_10_no_actor_is_a_workflow(tmp_path: Path) -> None:
    """Whoever calls the actor that a workflow is in a real runtime finds nobody."""
    async with in_process_sidecar(tmp_path, {}) as sidecar:
        sidecar.engine.placement.patience = 0.0
        hub = await sidecar.engine.workflows()
        stage = Stage(sidecar.engine, sidecar.clock, hub)
        await begin(stage, stage.worker())
        target = "/v1.0/actors/dapr.internal.default.app1.workflow/i1/method/AddWorkflowEvent"
        response = await sidecar.exchange.send(HttpRequest("POST", target))
        assert response.status == 500
        assert b"did not find address for actor" in response.body
        assert await status(stage) == "RUNNING"


async def test_row_10_timers_of_a_rerun(tmp_path: Path) -> None:
    """A timer that fired before the event that runs again stays where it was, and fires no more."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        await start_workflow(stage)
        await worker.answer(await worker.turn(), timer(1, START + 1))
        stage.clock.move_to(START + 1)
        await worker.answer(await worker.turn(), task(2))
        await worker.done(await worker.task())
        await worker.answer(await worker.turn(), end(3))
        request = wf.RerunWorkflowFromEventRequest(
            sourceInstanceID="i1", eventID=2, newInstanceID="i2"
        )
        await stage.workflows().rerun(request)
        await worker.done(await worker.task())
        turn = await worker.turn()
        past = [event.WhichOneof("eventType") for event in turn.workflowRequest.pastEvents]
        assert past.index("timerCreated") < past.index("timerFired") < past.index("taskScheduled")
        await worker.answer(turn)
        assert await worker.nothing()


def test_page_and_tests_agree() -> None:
    """The page has the rows that are tested here, ten at most."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "differences.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = [
        line.split("|")[1].strip() for line in lines if line.startswith("| ") and "#" not in line
    ]
    tested = {name.split("_")[2] for name in globals() if name.startswith("test_row_")}
    assert rows == sorted(tested, key=int)
    assert len(rows) <= 10
