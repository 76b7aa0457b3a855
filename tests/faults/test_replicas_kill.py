"""Three replicas under load, of which one is killed: nothing that was accepted is lost.

``DAPRFLOW_TEST_KILLS=50 pytest tests/faults/test_replicas_kill.py`` kills so many times, each at
another moment.
"""

import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.helpers import replica_app
from tests.helpers.cli_run import Run, write
from tests.helpers.replica_app import LEDGER, STEPS, TICKS

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

TEMPLATE = """
version: 1
apps:
- target: {target}
  appID: shop
  replicas: 3
- appID: caller
  appDirPath: caller
  command: [sleep, "1000"]
"""
KILLS = int(os.environ.get("DAPRFLOW_TEST_KILLS", "1"))
WITHIN = 60.0
EVENTS = 300
ACTORS, CHAINS, CALLS = 24, 12, 100
PAUSE = 0.008
PACE = threading.Event()


@dataclass
class Books:
    """The lines of all processes, by the process."""

    folder: Path
    lines: dict[int, list[str]] = field(default_factory=dict)

    def read(self) -> None:
        """Read what there is now; a line that was cut off by a kill does not count."""
        for path in self.folder.glob("*.ledger"):
            text, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
            self.lines[int(path.stem)] = text.split("\n")

    def of(self, kind: str) -> Counter[str]:
        """Return what stands behind a word, and how often."""
        start = f"{kind} "
        return Counter(
            line.removeprefix(start)
            for lines in self.lines.values()
            for line in lines
            if line.startswith(start)
        )

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait until ``done`` holds of what was read."""
        deadline = time.monotonic() + WITHIN
        while True:
            self.read()
            if done():
                return
            assert time.monotonic() < deadline, f"{what}: {self.summary()}"
            PACE.wait(0.05)

    def summary(self) -> str:
        """Say how much there is of each kind."""
        words = Counter(line.split()[0] for lines in self.lines.values() for line in lines)
        return ", ".join(f"{count} {word}" for word, count in sorted(words.items()))

    @property
    def sidecars(self) -> dict[int, int]:
        """The processes by the ports of their sidecars."""
        return {
            int(line.split()[1]): process
            for process, lines in self.lines.items()
            for line in lines
            if line.startswith("sidecar ")
        }


class Sidecar:
    """A connection to one sidecar."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)

    def call(self, method: str, path: str, body: object = None) -> int:
        """Make a call and return its status."""
        data = json.dumps(body).encode()
        self._connection.request(method, path, data, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@contextmanager
def alongside(work: Callable[[], None]) -> Iterator[None]:
    """Do ``work`` in a thread meanwhile; what it raises is raised at the end."""
    problems: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            problems.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    yield
    thread.join(WITHIN)
    assert not thread.is_alive()
    if problems:
        raise problems[0]


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_kill_under_load_loses_nothing(tmp_path: Path, seed: int) -> None:
    """Events, calls, reminders with their state, ticks of a job and workflows go on elsewhere."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    ledgers = tmp_path / "ledgers"
    ledgers.mkdir()
    write(tmp_path, {"dapr.yaml": TEMPLATE.format(target=replica_app.__file__), "caller/x": ""})
    books = Books(ledgers)
    env = {LEDGER: str(ledgers), "PYTHONPATH": str(Path(__file__).parents[2])}
    with Run(tmp_path, "run", "-f", ".", env=env) as run:
        run.until("all 4 healthy")
        books.until(lambda: len(books.sidecars) == 3, "three processes")
        record = json.loads((tmp_path / ".daprflow" / "run.json").read_bytes())
        caller = next(app["http_port"] for app in record["apps"] if app["app_id"] == "caller")
        port, victim = chance.choice(sorted(books.sidecars.items()))
        kept = next(other for other in books.sidecars if other != port)
        with closing(Sidecar(kept)) as sidecar, alongside(lambda: make_calls(caller)):
            begin(sidecar)
            killed_at = chance.randrange(EVENTS // 3, EVENTS * 2 // 3)
            for number in range(EVENTS):
                if number == killed_at:
                    os.kill(victim, signal.SIGKILL)
                path = "/v1.0/publish/pubsub/orders"
                assert sidecar.call("POST", path, number) == 204
                PACE.wait(PAUSE)
        books.until(lambda: len(books.of("event")) == EVENTS, "events")
        books.until(lambda: len(books.of("step")) == CHAINS * STEPS, "steps of workflows")
        books.until(lambda: last_ticks(books) == ACTORS, "ticks of reminders")
        books.until(lambda: sum(line == "job" for line in flat(books)) >= 4, "ticks of the job")
        check(books, victim)
        run.send(signal.SIGTERM)
        assert run.ended() != 0
        assert run.all_gone()
    assert any("the 3 others go on" in line for line in run.lines)


def begin(sidecar: Sidecar) -> None:
    """Begin what goes on by itself."""
    assert sidecar.call("POST", "/v1.0/jobs/sweep", {"schedule": "@every 1s"}) == 204
    for number in range(ACTORS):
        assert sidecar.call("PUT", f"/v1.0/actors/Cart/{number}/method/watch") == 200
    for number in range(CHAINS):
        path = f"/v1.0/workflows/dapr/chain/start?instanceID=c{number}"
        assert sidecar.call("POST", path) == 202


def make_calls(port: int) -> None:
    """Have another app call the replicas; a call that may be made twice must not fail."""
    with closing(Sidecar(port)) as sidecar:
        for number in range(CALLS):
            assert sidecar.call("PUT", "/v1.0/invoke/shop/method/buy", number) == 200
            PACE.wait(3 * PAUSE)


def last_ticks(books: Books) -> int:
    """Return how many actors had their last tick; one that was cut off may have cost one."""
    return sum(tick.split()[1] == str(TICKS) for tick in books.of("tick"))


def flat(books: Books) -> list[str]:
    """Return all lines."""
    return [line for lines in books.lines.values() for line in lines]


def check(books: Books, victim: int) -> None:
    """See that all replicas had their share, and that no actor was at two of them."""
    for process, lines in books.lines.items():
        kinds = {line.split()[0] for line in lines}
        assert {"event", "call"} <= kinds
        assert "tick" in kinds or process == victim
    assert set(books.of("call")) == {str(number) for number in range(CALLS)}
    homes: dict[str, set[int]] = {}
    for process, lines in books.lines.items():
        if process != victim:
            for line in lines:
                if line.startswith("tick "):
                    homes.setdefault(line.split()[1], set()).add(process)
    assert all(len(found) == 1 for found in homes.values())
