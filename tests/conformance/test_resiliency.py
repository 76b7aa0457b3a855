"""Resiliency policies as an app sees them: attempts, their times, answers and what is lost."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest
from daprflow.sidecar.app.http import HttpApp
from daprflow.sidecar.blocks.state import StateBlock
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError, StateWrite
from daprflow.sidecar.components.state_in_memory import InMemoryState
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.http_api import HttpApi
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime
from tests.helpers.components import context
from tests.helpers.policies import policy_files, with_policies
from tests.helpers.recording import DONE, Answer, Call, RecordingApp, serve
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar
from tests.helpers.subscribers import DURABLE, PUBSUB, Subscribed, subscribed
from tests.helpers.timing import until

POLICIES = """
  policies:
    timeouts: {short: 2s}
    retries:
      twice: {duration: 1s, maxRetries: 2}
      server: {duration: 1s, maxRetries: 2, matching: {httpStatusCodes: "500-599"}}
      always: {duration: 1s}
    circuitBreakers:
      cb: {timeout: 10s, trip: consecutiveFailures >= 2}
  targets:
"""
ORDERS = {"topic": "orders", "route": "/orders", "deadLetterTopic": "dead"}
DEAD = {"topic": "dead", "route": "/dead"}
BARE = {"topic": "bare", "route": "/bare"}
BULK = {
    "topic": "bulk",
    "route": "/bulk",
    "deadLetterTopic": "dead",
    "bulkSubscribe": {"enabled": True, "maxMessagesCount": 3, "maxAwaitDurationMs": 500},
}


@dataclass(slots=True)
class Attempts:
    """Answers as told, call by call, the last answer for ever; notes when it was called."""

    clock: VirtualClock
    answers: list[Answer]
    times: list[float] = field(default_factory=list)

    def __call__(self, _: Call) -> Answer:
        """Answer one attempt."""
        self.times.append(round(self.clock.now() - START, 3))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


START = 1_700_000_000.0
BOOM = Answer(500, b"boom", "text/plain")


# ---- calls on apps ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Apps:
    """Two apps; ``call`` invokes a method of one through the sidecar of ``one``."""

    engine: Engine
    clock: VirtualClock
    one: RecordingApp
    two: RecordingApp
    api: AsgiChannel

    async def call(
        self, app_id: str = "two", method: str = "m", body: bytes = b"x"
    ) -> HttpResponse:
        """Invoke while virtual time goes on."""
        target = f"/v1.0/invoke/{app_id}/method/{method}"
        task = asyncio.ensure_future(self.api.send(HttpRequest("POST", target, (), body)))
        await until(self.clock, task.done)
        return await task

    def answers(self, *answers: Answer, path: str = "/m") -> Attempts:
        """Have ``two`` answer like this."""
        attempts = Attempts(self.clock, list(answers))
        self.two.computed[path] = attempts
        return attempts

    async def message(self) -> str:
        """Return the text of the error that a call brings."""
        answer = await self.call()
        assert answer.status == 500
        error = msgspec.json.decode(answer.body)
        assert error["errorCode"] == "ERR_DIRECT_INVOKE"
        return str(error["message"])


@contextlib.asynccontextmanager
async def apps(root: Path, targets: str, policies: str = POLICIES) -> AsyncIterator[Apps]:
    """Start two apps, the first with policies."""
    clock = VirtualClock(START)
    engine = Engine(clock, None, root)
    found = policy_files(root / "files", policies + targets, app_id="one")
    assert found.problems == found.left_out == ()
    both = {"one": RecordingApp(), "two": RecordingApp()}
    for app_id, resources in (("one", found), ("two", Resources())):
        options = RuntimeOptions(app_id, app_port=1)
        await Runtime(engine, options, resources, HttpApp(AsgiChannel(both[app_id]))).open()
    yield Apps(
        engine, clock, both["one"], both["two"], AsgiChannel(HttpApi(engine.runtimes["one"]))
    )
    await engine.close()


@pytest.mark.row("I-IN", "I-RE")
async def test_a_call_is_tried_again(tmp_path: Path) -> None:
    """A failed call is made again with the same body until it succeeds."""
    async with apps(tmp_path, "    apps: {two: {retry: twice}}") as found:
        attempts = found.answers(BOOM, Answer(404), Answer.of("fine"))
        answer = await found.call(body=b"payload")
    assert (answer.status, answer.body) == (200, b'"fine"')
    assert attempts.times == [0.0, 1.0, 2.0]
    assert [call.body for call in found.two.to("/m")] == [b"payload"] * 3


@pytest.mark.row("I-RE")
async def test_the_last_answer_is_the_callers(tmp_path: Path) -> None:
    """When no attempt succeeds, the app's last answer comes back as it is."""
    async with apps(tmp_path, "    apps: {two: {retry: twice}}") as found:
        attempts = found.answers(BOOM, BOOM, Answer(503, b"late", "text/plain", {"x-app": "1"}))
        answer = await found.call()
    assert (answer.status, answer.body, answer.header("x-app")) == (503, b"late", "1")
    assert len(attempts.times) == 3


@pytest.mark.row("I-RE")
async def test_matching_keeps_a_call_from_being_made_again(tmp_path: Path) -> None:
    """A status that the policy does not match is passed on at once."""
    async with apps(tmp_path, "    apps: {two: {retry: server}}") as found:
        attempts = found.answers(Answer(404, b"no"))
        assert (await found.call()).status == 404
    assert len(attempts.times) == 1


@pytest.mark.row("I-RE")
async def test_a_hanging_app(tmp_path: Path) -> None:
    """Each attempt on an app that hangs is given up after the timeout."""
    async with apps(tmp_path, "    apps: {two: {retry: twice, timeout: short}}") as found:
        attempts = found.answers(DONE)
        found.two.held["/m"] = asyncio.Event()
        text = await found.message()
        assert found.clock.now() - START == pytest.approx(3 * 2.0 + 2 * 1.0)
    assert text == "failed to invoke, id: two, err: context deadline exceeded"
    assert len(found.two.to("/m")) == 3
    assert attempts.times == []


@pytest.mark.row("I-RE")
async def test_an_open_breaker_answers_at_once(tmp_path: Path) -> None:
    """An open breaker refuses without calling the app, for that method alone, until it closes."""
    async with apps(tmp_path, "    apps: {two: {retry: twice, circuitBreaker: cb}}") as found:
        attempts = found.answers(BOOM)
        assert await found.message() == "failed to invoke, id: two, err: circuit breaker is open"
        assert attempts.times == [0.0, 1.0]
        assert await found.message() == "failed to invoke, id: two, err: circuit breaker is open"
        assert len(attempts.times) == 2
        assert (await found.call(method="other")).status == 200
        found.clock.move_to(found.clock.now() + 10.0)
        attempts.answers = [DONE]
        assert (await found.call()).status == 200
        assert (await found.call()).status == 200


@pytest.mark.row("I-RE")
async def test_unmatched_statuses_count_for_the_breaker(tmp_path: Path) -> None:
    """The breaker counts an answer that the retries do not match: 404 is a failure to it."""
    async with apps(tmp_path, "    apps: {two: {retry: server, circuitBreaker: cb}}") as found:
        found.answers(Answer(404))
        assert [(await found.call()).status for _ in range(2)] == [404, 404]
        assert await found.message() == "failed to invoke, id: two, err: circuit breaker is open"


async def streamed(api: AsgiChannel) -> tuple[int, bytes]:
    """Invoke with a body of unknown length; return status and body of the answer."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"body"

    headers = (("transfer-encoding", "chunked"),)
    target = "/v1.0/invoke/two/method/m"
    request = StreamedRequest("POST", target, headers, chunks(), None)
    answer = await asyncio.wait_for(api.stream(request), 5.0)
    return answer.status, b"".join([chunk async for chunk in answer.chunks])


@pytest.mark.row("I-IN")
async def test_a_streamed_call_is_made_once(tmp_path: Path) -> None:
    """A body of unknown length is never sent twice; its failure is passed on, and counts."""
    async with apps(tmp_path, "    apps: {two: {retry: twice, circuitBreaker: cb}}") as found:
        attempts = found.answers(BOOM)
        answers = [await streamed(found.api) for _ in range(3)]
    assert [status for status, _ in answers] == [500, 500, 500]
    assert [body for _, body in answers[:2]] == [b"boom", b"boom"]
    assert b"circuit breaker is open" in answers[2][1]
    assert len(attempts.times) == 2


async def test_an_app_that_is_not_there(tmp_path: Path) -> None:
    """A target's own retries replace those that are built in, also for an unknown app."""
    async with apps(tmp_path, "    apps: {gone: {retry: twice}}") as found:
        answer = await found.call("gone")
        assert b"couldn't find service: gone" in answer.body
        assert found.clock.now() - START == pytest.approx(2.0)


async def test_calls_on_itself(tmp_path: Path) -> None:
    """A policy for the app's own id applies to what it invokes of itself."""
    async with apps(tmp_path, "    apps: {one: {retry: twice}}") as found:
        found.one.computed["/m"] = attempts = Attempts(found.clock, [BOOM, DONE])
        assert (await found.call("one")).status == 200
    assert attempts.times == [0.0, 1.0]


@pytest.mark.row("I-RE")
async def test_default_policy_of_apps(tmp_path: Path) -> None:
    """A policy called DefaultAppRetryPolicy applies to every app without a target."""
    text = "  policies:\n    retries: {DefaultAppRetryPolicy: {duration: 1s, maxRetries: 1}}\n"
    async with apps(tmp_path, "", text) as found:
        attempts = found.answers(BOOM)
        assert (await found.call()).status == 500
    assert attempts.times == [0.0, 1.0]


async def test_shutdown_ends_retries(tmp_path: Path) -> None:
    """A call that would be tried for ever ends when the sidecar closes."""
    async with apps(tmp_path, "    apps: {two: {retry: always}}") as found:
        attempts = found.answers(BOOM)
        target = "/v1.0/invoke/two/method/m"
        task = asyncio.ensure_future(found.api.send(HttpRequest("POST", target)))
        await until(found.clock, lambda: len(attempts.times) > 3)
        await found.engine.runtimes["one"].close(0.0)
        answer = await asyncio.wait_for(task, 1.0)
    assert (answer.status, answer.body) == (500, b"boom")


# ---- deliveries ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An app with subscriptions under a policy."""

    found: Subscribed
    clock: VirtualClock

    def answers(self, path: str, *answers: Answer) -> Attempts:
        """Have the app answer like this."""
        attempts = Attempts(self.clock, list(answers))
        self.found.app.computed[path] = attempts
        return attempts


Start = Callable[..., contextlib.AbstractAsyncContextManager[Subscriber]]


@pytest.fixture(params=["pubsub.in-memory", "pubsub.daprflow"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Start an app on each broker with a target for ``pubsub``."""
    components = PUBSUB if request.param == "pubsub.in-memory" else DURABLE

    @contextlib.asynccontextmanager
    async def begin(inbound: str) -> AsyncIterator[Subscriber]:
        text = f"{POLICIES}    components: {{pubsub: {{inbound: {inbound}}}}}"
        files = with_policies(tmp_path / "files", components, text)
        clock = VirtualClock(START)
        topics: list[dict[str, Any]] = [ORDERS, DEAD, BARE, BULK]
        async with subscribed(tmp_path, topics, files=files, clock=clock) as found:
            yield Subscriber(found, clock)

    return begin


@pytest.mark.row("I-RE")
@pytest.mark.parametrize("answer", [BOOM, Answer.of({"status": "RETRY"}), Answer(302)])
async def test_a_delivery_is_tried_again(start: Start, answer: Answer) -> None:
    """A failed delivery is tried as the policy says, then goes to the dead letter topic."""
    async with start("{retry: twice}") as app:
        attempts = app.answers("/orders", answer)
        await app.found.publish("orders", 1)
        await app.found.arrived("/dead")
        assert attempts.times == [0.0, 1.0, 2.0]
        (dead,) = await app.found.settled("/dead")
        assert dead.json()["data"] == 1
        assert len(attempts.times) == 3


@pytest.mark.row("I-RE")
@pytest.mark.parametrize(
    ("answer", "attempts"), [(BOOM, 3), (Answer(403), 1), (Answer.of({"status": "RETRY"}), 3)]
)
async def test_matching_of_deliveries(start: Start, answer: Answer, attempts: int) -> None:
    """A status that is not matched is not tried again; RETRY always is."""
    async with start("{retry: server}") as app:
        made = app.answers("/orders", answer)
        await app.found.publish("orders", 1)
        await app.found.arrived("/dead")
        assert len(made.times) == attempts


@pytest.mark.parametrize("answer", [Answer.of({"status": "DROP"}), Answer(404)])
async def test_a_drop_is_not_tried_again(start: Start, answer: Answer) -> None:
    """DROP and 404 go to the dead letter topic after one attempt."""
    async with start("{retry: twice}") as app:
        made = app.answers("/orders", answer)
        await app.found.publish("orders", 1)
        await app.found.arrived("/dead")
        assert len(made.times) == 1


async def test_a_delivery_that_succeeds_later(start: Start) -> None:
    """A delivery that succeeds at a further attempt is done."""
    async with start("{retry: twice}") as app:
        made = app.answers("/orders", BOOM, DONE)
        await app.found.publish("orders", 1)
        await app.found.arrived("/orders", 2)
        assert await app.found.settled("/dead") == []
        assert made.times == [0.0, 1.0]


@pytest.mark.row("FA-16", "FS-15")
async def test_a_hanging_handler(start: Start) -> None:
    """A handler that hangs longer than the timeout is a failed attempt."""
    async with start("{retry: twice, timeout: short}") as app:
        app.found.app.held["/orders"] = asyncio.Event()
        await app.found.publish("orders", 1)
        await app.found.arrived("/dead")
        assert len(app.found.app.to("/orders")) == 3
        assert app.clock.now() - START == pytest.approx(3 * 2.0 + 2 * 1.0)


async def test_an_open_breaker_of_a_subscription(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """While its component's breaker is open an event goes to the dead letter topic uncalled."""
    async with start("{retry: twice, circuitBreaker: cb}") as app:
        made = app.answers("/orders", BOOM)
        await app.found.publish("orders", 1)
        given_up = "goes to its dead letter topic 'dead': circuit breaker is open"
        await app.found.sidecar.until(lambda: given_up in caplog.text)
        assert made.times == [0.0, 1.0]


@pytest.mark.row("I-RE")
async def test_entries_of_a_batch_are_tried_again_alone(start: Start) -> None:
    """Of a batch only the entries that failed are sent again; after the last attempt they die."""

    def judge(call: Call) -> Answer:
        statuses = [
            {
                "entryId": entry["entryId"],
                "status": "SUCCESS" if entry["event"]["data"] != 2 else "RETRY",
            }
            for entry in call.json()["entries"]
        ]
        return Answer.of({"statuses": statuses})

    async with start("{retry: server}") as app:
        app.found.app.computed["/bulk"] = judge
        published = [asyncio.ensure_future(app.found.publish("bulk", n)) for n in (1, 2, 3)]
        await app.found.arrived("/dead")
        await asyncio.wait_for(asyncio.gather(*published), 5.0)
        (dead,) = await app.found.settled("/dead")
        assert dead.json()["data"] == 2
        batches = [
            [entry["event"]["data"] for entry in call.json()["entries"]]
            for call in app.found.app.to("/bulk")
        ]
        assert [batch for batch in batches if 2 in batch][1:] == [[2], [2]]
        assert sorted(number for batch in batches for number in batch) == [1, 2, 2, 2, 3]


# ---- what a durable broker keeps ----------------------------------------------------------------


@contextlib.asynccontextmanager
async def durable(root: Path, inbound: str) -> AsyncIterator[Subscriber]:
    """Start an app on the built-in broker with a file."""
    text = f"{POLICIES}    components: {{pubsub: {{inbound: {inbound}}}}}"
    files = with_policies(root / "files", DURABLE, text)
    clock = VirtualClock(START)
    async with subscribed(root, [BARE], files=files, clock=clock, data_dir=root) as found:
        yield Subscriber(found, clock)


async def test_without_dead_letter_the_broker_goes_on(tmp_path: Path) -> None:
    """What the policy gives up without a dead letter topic is delivered again by the broker."""
    async with durable(tmp_path, "{retry: twice}") as app:
        made = app.answers("/bare", BOOM)
        await app.found.publish("bare", 1)
        await app.found.arrived("/bare", 6)
        assert made.times[:6] == [0.0, 1.0, 2.0, 2.5, 3.5, 4.5]


async def test_a_stop_loses_nothing(tmp_path: Path) -> None:
    """An event that waits for its next attempt when the sidecar stops is delivered after it."""
    async with durable(tmp_path, "{retry: always}") as app:
        made = app.answers("/bare", BOOM)
        await app.found.publish("bare", 1)
        await app.found.arrived("/bare", 2)
        assert len(made.times) == 2
    async with durable(tmp_path, "{retry: always}") as app:
        (event,) = await app.found.arrived("/bare")
        assert event.json()["data"] == 1


async def test_an_app_restart_in_the_middle(tmp_path: Path) -> None:
    """An event that waits for its next attempt while the app restarts comes again afterwards."""
    async with durable(tmp_path, "{retry: always}") as app:
        app.answers("/bare", BOOM)
        await app.found.publish("bare", 1)
        await app.found.arrived("/bare", 2)
        runtime = app.found.sidecar.runtime
        await asyncio.wait_for(runtime.pause(), 1.0)
        before = len(app.found.app.to("/bare"))
        app.answers("/bare", DONE)
        await runtime.reconnect()
        await app.found.arrived("/bare", before + 1)
        assert len(await app.found.settled("/bare")) == before + 1


# ---- calls on components ------------------------------------------------------------------------


class FailingState(InMemoryState):
    """A state store whose first writes fail, as those on a server that is away."""

    left = 0
    calls = 0

    async def write(self, write: StateWrite, /) -> None:
        """Fail, or write."""
        self.calls += 1
        if self.left:
            self.left -= 1
            raise ComponentError("no connection")
        await super().write(write)


@contextlib.asynccontextmanager
async def flaky_store(
    root: Path, outbound: str, failures: int
) -> AsyncIterator[tuple[InProcessSidecar, FailingState]]:
    """Start a sidecar with a state store under a policy whose first writes fail."""
    clock = VirtualClock(START)
    text = f"{POLICIES}    components: {{store: {{outbound: {outbound}}}}}"
    files = with_policies(root / "files", {"store": ("state.in-memory", {})}, text)
    store = FailingState(context(root, clock, "state.in-memory"))
    store.left = failures
    async with in_process_sidecar(root, {}, clock=clock, files=files) as sidecar:
        runtime = sidecar.runtime
        (loaded,) = runtime.components
        guarded = runtime.resiliency.guard("store", "state", store)
        runtime.components = [dataclasses.replace(loaded, instance=guarded)]
        runtime.state = StateBlock(runtime)
        yield sidecar, store


async def save(sidecar: InProcessSidecar, etag: str = "") -> HttpResponse:
    """Save one item while virtual time goes on."""
    item = {"key": "a", "value": 1} | ({"etag": etag} if etag else {})
    request = HttpRequest("POST", "/v1.0/state/store", (), msgspec.json.encode([item]))
    task = asyncio.ensure_future(sidecar.exchange.send(request))
    await until(sidecar.clock, task.done)
    return await task


async def test_a_save_is_tried_again(tmp_path: Path) -> None:
    """A save that the store fails is tried again under its outbound policy."""
    async with flaky_store(tmp_path, "{retry: twice}", 2) as (sidecar, store):
        assert (await save(sidecar)).status == 204
        assert store.calls == 3
        assert sidecar.clock.now() - START == pytest.approx(2.0)


async def test_an_open_breaker_of_a_store(tmp_path: Path) -> None:
    """While the store's breaker is open a call gets Dapr's error with the breaker's text."""
    async with flaky_store(tmp_path, "{circuitBreaker: cb}", 9) as (sidecar, store):
        texts = [msgspec.json.decode((await save(sidecar)).body)["message"] for _ in range(3)]
        assert [text.rpartition(": ")[2] for text in texts] == [
            "no connection", "no connection", "circuit breaker is open",
        ]  # fmt: skip
        assert store.calls == 2


async def test_a_failed_answer_of_a_binding_is_tried_again(tmp_path: Path) -> None:
    """An HTTP binding's answer that is not 2xx is a failure; the last one goes to the caller.

    An answer without a body is an answer: 200, not 204.
    """
    host = RecordingApp()
    host.computed["/"] = Attempts(VirtualClock(START), [BOOM])
    async with serve(host) as port:
        text = f"{POLICIES}    components: {{web: {{outbound: {{retry: twice}}}}}}"
        web: Components = {"web": ("bindings.http", {"url": f"http://127.0.0.1:{port}/"})}
        clock = VirtualClock(START)
        files = with_policies(tmp_path / "files", web, text)
        async with in_process_sidecar(tmp_path, {}, clock=clock, files=files) as sidecar:
            call = HttpRequest("POST", "/v1.0/bindings/web", (), b'{"operation":"get"}')
            task = asyncio.ensure_future(sidecar.exchange.send(call))
            await until(sidecar.clock, task.done)
            answer = await task
            host.computed["/"] = lambda _: Answer(204)
            empty = await sidecar.exchange.send(call)
    assert len(host.calls) == 4
    assert answer.status == 500
    assert ("metadata.statuscode", "500") in answer.headers
    assert (empty.status, empty.body) == (200, b"")


async def test_an_etag_mismatch_is_final(tmp_path: Path) -> None:
    """A save with a stale ETag is refused at once, however many retries there are."""
    async with flaky_store(tmp_path, "{retry: always}", 0) as (sidecar, store):
        assert (await save(sidecar)).status == 204
        assert (await save(sidecar, "00000000-0000-0000-0000-000000000000")).status == 409
        assert store.calls == 2


async def test_a_key_is_asked_for_again(tmp_path: Path) -> None:
    """Keys of a cryptography component are under its outbound policy, as all components are."""
    (tmp_path / "keys").mkdir()
    components: Components = {"vault": ("crypto.dapr.localstorage", {"path": "keys"})}
    text = f"{POLICIES}    components: {{vault: {{outbound: {{retry: always}}}}}}"
    files = with_policies(tmp_path / "files", components, text)
    clock = VirtualClock(START)
    async with in_process_sidecar(tmp_path, {}, clock=clock, files=files) as sidecar:
        headers = (("dapr-key-name", "aes"), ("dapr-key-wrap-algorithm", "AES"))
        request = HttpRequest("PUT", "/v1.0-alpha1/crypto/vault/encrypt", headers, b"x")
        task = asyncio.ensure_future(sidecar.exchange.send(request))
        await until(clock, lambda: clock.now() >= START + 3)
        (tmp_path / "keys" / "aes").write_bytes(bytes(range(32)))
        await until(clock, task.done)
        assert (await task).status == 200


async def test_attempts_end_when_the_caller_leaves(tmp_path: Path) -> None:
    """A call that would be tried for ever ends in the pause in which nobody waits any more."""
    async with flaky_store(tmp_path, "{retry: always}", 10**9) as (sidecar, store):
        left = asyncio.Event()
        body = msgspec.json.encode([{"key": "a", "value": 1}])
        events = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> dict[str, Any]:
            if (event := next(events, None)) is None:
                await left.wait()
            return event or {"type": "http.disconnect"}

        async def send(_: Any) -> None: ...

        scope = {
            "type": "http", "method": "POST", "path": "/v1.0/state/store", "query_string": b"",
            "raw_path": b"/v1.0/state/store", "headers": [(b"host", b"127.0.0.1")],
        }  # fmt: skip
        call = asyncio.ensure_future(HttpApi(sidecar.runtime)(scope, receive, send))
        await until(sidecar.clock, lambda: store.calls > 3)
        left.set()
        await asyncio.wait_for(call, 1.0)  # with nobody moving the clock


async def test_policies_change_while_the_sidecar_runs(tmp_path: Path) -> None:
    """After a reload calls and deliveries follow the new file, and the app is asked again."""
    text = f"{POLICIES}    components: {{pubsub: {{inbound: {{retry: twice}}}}}}"
    files = with_policies(tmp_path / "files", DURABLE, text)
    clock = VirtualClock(START)
    async with subscribed(tmp_path, [ORDERS, DEAD], files=files, clock=clock) as found:
        attempts = Attempts(clock, [BOOM])
        found.app.computed["/orders"] = attempts
        fewer = text.replace("maxRetries: 2", "maxRetries: 0")
        changed = with_policies(tmp_path / "files", DURABLE, fewer)
        assert await found.sidecar.runtime.reload(changed) == ()
        assert len(found.app.to("/dapr/subscribe")) == 2
        await found.publish("orders", 1)
        await found.arrived("/dead")
        assert attempts.times == [0.0]
