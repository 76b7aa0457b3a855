"""One process for an app with actors; and actors that a test makes by itself."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from daprflow import Actor
from daprflow.actors.alone import SeveralWorkers, alone
from daprflow.settings import Settings
from daprflow.testing import planned
from tests.helpers.own_ports import free_port

ROOT = Path(__file__).parents[3]
APP = """
from daprflow import Actor, DaprFlow
app = DaprFlow("workers")
@app.actor
class Counter(Actor[int]):
    async def up(self) -> int:
        self.state += 1
        return self.state
"""


class Clock(Actor[list[str]]):
    async def tick(self, text: str) -> int:
        self.state.append(text)
        await self.remind(self.tick, "again", due=timedelta(hours=1))
        await self.set_timer(self.tick, "soon", every=timedelta(seconds=1))
        await self.unremind("other")
        await self.unset_timer(self.tick)
        return len(self.state)


async def test_an_actor_can_be_made_by_a_test() -> None:
    """F74, D9: an actor that a test makes has a state, and takes every call a hosted one does."""
    actor = Clock()
    actor.id = "ann"
    actor.state = ["before"]
    assert await actor.tick("now") == 2
    assert actor.state == ["before", "now"]
    plans = planned(actor)
    assert plans.reminders["tick"] is not None
    assert plans.reminders["tick"].due_time == "3600s"
    assert plans.reminders["other"] is None
    assert plans.timers == {"tick": None}


@pytest.mark.row("FA-41")
def test_a_second_worker_is_refused() -> None:
    """F73: a process beside another of the same parent and sidecar does not start."""
    env = {"DAPR_HTTP_PORT": str(free_port())}
    settings = Settings.from_env(env)
    with (
        alone("shop", settings, env),
        pytest.raises(SeveralWorkers, match="runs in one worker process"),
        alone("shop", settings, env),
    ):
        raise AssertionError("both started")
    with alone("shop", settings, env):
        pass


def test_several_workers_that_are_asked_for_are_refused() -> None:
    """WEB_CONCURRENCY, which servers read, says it before anybody has started."""
    with (
        pytest.raises(SeveralWorkers, match="WEB_CONCURRENCY asks for 4"),
        alone("shop", Settings(), {"WEB_CONCURRENCY": "4"}),
    ):
        raise AssertionError("it started")


def test_other_sidecars_make_other_apps() -> None:
    """Instances with a sidecar each run side by side, and so do those that name none."""
    one, other = ({"DAPR_HTTP_PORT": str(free_port())} for _ in range(2))
    with alone("shop", Settings.from_env(one), one), alone("shop", Settings.from_env(other), other):
        pass
    with alone("shop", Settings(), {}), alone("shop", Settings(), {}):
        pass


@pytest.mark.row("FA-41")
def test_a_server_with_two_workers_says_why(tmp_path: Path) -> None:
    """Uvicorn with two workers prints the reason instead of keeping two states."""
    (tmp_path / "workers_app.py").write_text(APP)
    command = [
        *(sys.executable, "-m", "uvicorn", "workers_app:app", "--workers", "2"),
        *("--port", str(free_port()), "--host", "127.0.0.1"),
    ]
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}", "DAPR_HTTP_PORT": str(free_port())}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, start_new_session=True
    ) as server:
        assert server.stderr is not None
        try:
            for line in server.stderr:
                if b"runs in one worker process" in line:
                    break
            else:
                raise AssertionError("no reason was printed")
        finally:
            os.killpg(server.pid, 9)
