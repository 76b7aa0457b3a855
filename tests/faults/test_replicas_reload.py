"""A replica that crashes while its files are watched: its port stays open for its next process."""

import json
import os
import re
import signal
import urllib.request
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run

APP = """
import os
from daprflow import Actor, DaprFlow

app = DaprFlow("shop")

@app.invoke("GET", "/who")
async def who() -> int:
    return os.getpid()

@app.actor
class Place(Actor[dict[str, int]]):
    async def find(self) -> int:
        return os.getpid()
"""

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]


def ask(port: int, path: str, method: str = "GET") -> str:
    """Make a call on a sidecar and return its answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1.0/{path}", method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http
        text: str = answer.read().decode()
        return text


def test_others_have_new_actors_until_its_next_process(tmp_path: Path) -> None:
    """A call does not wait in front of a port that nobody serves."""
    (tmp_path / "shop.py").write_text(APP)
    with Run(tmp_path, "run", "shop.py", "--replicas", "2", "--reload", "--ephemeral") as run:
        run.until("all 2 healthy")
        assert len([line for line in run.lines if re.match(r"shop-[12] +\d", line)]) == 2
        record = json.loads((tmp_path / ".daprflow" / "run.json").read_bytes())
        port = record["apps"][0]["http_port"]
        victim = int(ask(port, "invoke/shop/method/who"))
        os.kill(victim, signal.SIGKILL)
        run.until("waiting for a change")
        while '"Place"' in ask(port, "metadata"):
            pass
        found = {int(ask(port, f"actors/Place/{each}/method/find", "PUT")) for each in "abcdef"}
        assert len(found) == 1
        assert victim not in found
        run.send(signal.SIGTERM)
        run.ended()
        assert run.all_gone()
