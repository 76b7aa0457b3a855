import json
import os
import re
import signal
import urllib.request
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]


def ask(port: int, method: str, path: str, body: object = None) -> str:
    """Make a call on a sidecar and return the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1.0/{path}",
        method=method,
        data=None if method == "GET" else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http
        text: str = answer.read().decode()
        return text


def handled(lines: list[str]) -> set[str]:
    """Return the orders of which a replica of the shop has printed a line."""
    found = (re.fullmatch(r"shop-[123] +\| order (\d+) in \d+", line) for line in lines)
    return {each[1] for each in found if each}


def test_three_processes_share_the_work_of_one_app(tmp_path: Path) -> None:
    """Calls, events and actors are shared; when one process dies the others have all of it."""
    with Run(tmp_path, "run", "-f", str(HERE), "--ephemeral") as run:
        run.until("all 4 healthy")
        record = json.loads((tmp_path / ".daprflow" / "run.json").read_bytes())
        ports = {app["http_port"]: app["app_id"] for app in record["apps"]}
        visitor = next(port for port, app_id in ports.items() if app_id == "visitor")
        shop = sorted(port for port, app_id in ports.items() if app_id == "shop")
        who = [int(ask(visitor, "GET", "invoke/shop/method/who")) for _ in range(9)]
        assert len(set(who)) == 3
        victim = who[0]
        for number in range(30):
            if number == 15:
                os.kill(victim, signal.SIGKILL)
                run.until("the 3 others go on")
            ask(visitor, "POST", "publish/pubsub/orders", f"{number}")
        assert victim not in {int(ask(visitor, "GET", "invoke/shop/method/who")) for _ in range(6)}
        counts = [ask(visitor, "PUT", f"actors/Counter/{n}/method/add") for n in (1, 2, 3, 1)]
        assert counts == ["1", "1", "1", "2"]
        while len(handled(run.lines)) < 30:
            run.until("| order ")
        assert len(shop) == 3
        run.send(signal.SIGTERM)
        run.ended()
        assert run.all_gone()
