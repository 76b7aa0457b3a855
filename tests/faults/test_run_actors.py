"""Actors of a running service: what a run switches on for them, and how they end with it."""

import json
import signal
import sys
import threading
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.faults.test_run_daprd import EXPIRING
from tests.helpers.cli_run import Run, finish, write
from tests.helpers.own_ports import free_port

pytestmark = pytest.mark.sockets

SLOW = """
import asyncio

from daprflow import Actor, DaprFlow

app = DaprFlow("slow")


@app.actor
class Book(Actor[list[str]]):
    async def show(self) -> list[str]:
        return self.state

    async def add(self, entry: str) -> None:
        self.state.append(entry)
        print("in the turn", flush=True)
        await asyncio.sleep(0.5)
"""
FOREIGN = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class App(BaseHTTPRequestHandler):
    def answer(self):
        body = b'{"entities":["T"]}' if self.path == "/dapr/config" else b"[]"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):
        os.write(1, f"told {self.path}\\n".encode())  # whole: two threads may write at one time
        self.answer()

    do_GET = do_PUT = answer


ThreadingHTTPServer(("127.0.0.1", int(os.environ["APP_PORT"])), App).serve_forever()
"""


def call(run: Run, path: str, body: object = None) -> object:
    """Call an actor through the sidecar of a run."""
    url = f"http://127.0.0.1:{run.port('Dapr HTTP')}/v1.0/actors/{path}"
    with urlopen(Request(url, json.dumps(body).encode(), method="PUT"), timeout=20) as answer:
        return answer.read()


def test_a_turn_under_way_is_saved_at_the_end_of_a_run(tmp_path: Path) -> None:
    """Ctrl-C in the middle of one lets it end, and the next run finds what it changed."""
    write(tmp_path, {"app.py": SLOW})
    with Run(tmp_path, "run", "app.py") as run:
        run.ready()
        turn = threading.Thread(target=call, args=(run, "Book/ann/method/add", "one"))
        turn.start()
        run.until("in the turn")
        run.send(signal.SIGINT)
        turn.join()
        assert run.ended() == 0
    with Run(tmp_path, "run", "app.py") as run:
        run.ready()
        assert call(run, "Book/ann/method/show") == b'["one"]'


def test_actors_are_told_of_their_end_before_their_app(tmp_path: Path) -> None:
    """An app in any language hears of each one that is active when a run is interrupted."""
    write(tmp_path, {"app.py": FOREIGN})
    words = ("run", "--ephemeral", "--app-id", "foreign", "--app-port", str(free_port()))
    with Run(tmp_path, *words, "--", sys.executable, "app.py") as run:
        run.ready()
        for name in ("ann", "bob"):
            call(run, f"T/{name}/method/m")
        run.send(signal.SIGINT)
        run.ended()
        assert {line for line in run.lines if "told " in line} == {
            "told /actors/T/ann",
            "told /actors/T/bob",
        }


def test_parts_that_expire_are_kept_without_a_configuration(tmp_path: Path) -> None:
    """An app whose actors have such parts runs as it is; a configuration of the user's counts."""
    write(tmp_path, {"app.py": EXPIRING, "mine.yaml": "kind: Configuration\nmetadata: {name: m}\n"})
    with Run(tmp_path, "run", ".") as run:
        run.ready()
        assert finish(tmp_path, "invoke", "shop", "enter", '"ann"') == (0, '"ann"')
    with Run(tmp_path, "run", ".", "--config", "mine.yaml") as run:
        run.ready()
        code, _ = finish(tmp_path, "invoke", "shop", "enter", '"bob"')
        assert code == 1
        run.until("ActorStateTTL")
