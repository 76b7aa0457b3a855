"""How an app stops with deliveries in flight: as a process of its own, under several servers."""

import http.client
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.cli_run import WITHIN, Run, write
from tests.helpers.own_ports import free_port

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

APP = """
import asyncio
import threading
from collections.abc import AsyncIterator
from daprflow import Actor, DaprFlow

class Db: ...

app = DaprFlow("slow")


@app.provide
async def db() -> AsyncIterator[Db]:
    print("up", flush=True)
    yield Db()
    print("closed", flush=True)


@app.topic("pubsub", "orders")
async def on_order(seconds: float, *, db: Db) -> None:
    print("begun", flush=True)
    await asyncio.sleep(seconds)
    print("done", flush=True)


@app.invoke
async def quote(seconds: float, *, db: Db) -> int:
    print("begun", flush=True)
    await asyncio.sleep(seconds)
    return 1


@app.actor
class SlowActor(Actor[None]):
    async def wait(self) -> None:
        print("begun", flush=True)
        await asyncio.sleep(60)


@app.invoke
def stuck() -> None:
    print("begun", flush=True)
    threading.Event().wait()
"""
EVENT = (
    '{"id":"1","source":"s","type":"t","specversion":"1.0","pubsubname":"pubsub","topic":"orders",'
    '"datacontenttype":"application/json","data":%s}'
)
TURN = "/actors/SlowActor/1/method/wait"
ORDERS = "/dapr/topics/pubsub/orders"
Answer = tuple[int, bytes]
Start = Callable[[Path, int, str], Run]


def post(port: int, path: str, body: str) -> Answer:
    """Send a request and return its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
    try:
        connection.request(
            "PUT" if path == TURN else "POST", path, body, {"content-type": "application/json"}
        )
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def get(port: int, path: str) -> Answer:
    """Send a request and return its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def begun(run: Run, port: int, calls: Sequence[tuple[str, str]]) -> list[Future[Answer]]:
    """Send requests and wait until the app is at all of them."""
    pool = ThreadPoolExecutor(len(calls))
    found = [pool.submit(post, port, path, body) for path, body in calls]
    deadline = time.monotonic() + WITHIN
    while sum(line == "begun" for line in run.lines) < len(calls):
        assert time.monotonic() < deadline, run.text
        threading.Event().wait(0.02)
    pool.shutdown(wait=False)
    return found


def listening(run: Run, port: int) -> None:
    """Wait until the app answers."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        try:
            get(port, "/healthz")
        except OSError:
            threading.Event().wait(0.02)
        else:
            return
    raise AssertionError(run.text)


def served(folder: Path, port: int, grace: str, **env: str) -> Run:
    """The app under ``daprflow serve``."""
    write(folder, {"app.py": APP})
    return Run(folder, "serve", ".", "--port", str(port), "--grace", grace, env=env)


def under_uvicorn(folder: Path, port: int, grace: str, **env: str) -> Run:
    """The app under uvicorn, as somebody runs it who does not use our command."""
    write(folder, {"app.py": APP})
    program = (sys.executable, "-m", "uvicorn")
    words = ("app:app", "--port", str(port), "--timeout-graceful-shutdown", grace)
    return Run(folder, *words, program=program, env=env)


@pytest.mark.row("FA-07")
@pytest.mark.parametrize("start", [served, under_uvicorn])
def test_what_is_in_flight_ends(tmp_path: Path, start: Start) -> None:
    """What ends within the time is answered as always, and providers are closed after it."""
    port = free_port()
    with start(tmp_path, port, "10") as run:
        listening(run, port)
        event, call = begun(run, port, [(ORDERS, EVENT % "0.5"), ("/quote", "0.5")])
        run.send(signal.SIGTERM)
        assert event.result(WITHIN) == (200, b'{"status":"SUCCESS"}')
        assert call.result(WITHIN) == (200, b"1")
        assert run.ended() in {0, -signal.SIGTERM}  # uvicorn raises the signal again at its end
        assert run.lines.index("closed") > run.lines.index("done")


@pytest.mark.row("FA-07")
@pytest.mark.parametrize("start", [served, under_uvicorn])
def test_what_does_not_end_in_time_is_to_be_done_again(tmp_path: Path, start: Start) -> None:
    """When the time is over, an event is answered RETRY and a caller 503; the app ends."""
    port = free_port()
    with start(tmp_path, port, "1") as run:
        listening(run, port)
        calls = [(ORDERS, EVENT % "60"), ("/quote", "60"), (TURN, "")]
        event, *others = begun(run, port, calls)
        run.send(signal.SIGTERM)
        assert event.result(WITHIN) == (200, b'{"status":"RETRY"}')
        for call in others:
            status, body = call.result(WITHIN)
            assert (status, b"the app stopped before this was done" in body) == (503, True)
        run.ended()
        assert "done" not in run.lines
        assert "closed" in run.lines


def test_while_it_drains_an_app_says_so(tmp_path: Path) -> None:
    """With a time to drain it still listens: not ready, alive, events come again, callers 503."""
    port = free_port()
    with served(tmp_path, port, "10", DAPRFLOW_DRAIN="3600") as run:
        listening(run, port)
        run.send(signal.SIGTERM)
        run.until("the app stops: it refuses deliveries for 3600 s, then closes")
        status, body = get(port, "/readyz")
        assert (status, b"it is stopping" in body) == (503, True)
        assert get(port, "/healthz")[0] == 200
        assert post(port, ORDERS, EVENT % "0") == (200, b'{"status":"RETRY"}')
        assert post(port, "/quote", "0")[0] == 503
        run.send(signal.SIGTERM)  # the second one
        assert run.ended() == 130


@pytest.mark.row("FA-19")
def test_a_thread_that_never_ends_keeps_no_process(tmp_path: Path) -> None:
    """A plain handler that outlives the time is given up, and the exit code is 0."""
    port = free_port()
    with served(tmp_path, port, "1") as run:
        listening(run, port)
        (call,) = begun(run, port, [("/stuck", "")])
        run.send(signal.SIGTERM)
        assert call.result(WITHIN)[0] == 503
        assert run.ended() == 0
        assert "1 plain handler(s) did not end in time and are given up" in run.text
