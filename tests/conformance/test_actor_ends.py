"""How turns and actors of an app end behind the embedded sidecar: in time, or cut."""

from datetime import timedelta
from pathlib import Path

import pytest

from daprflow import ActorError, Client
from daprflow.settings import Settings
from daprflow.testing import TestSidecar
from tests.helpers.actor_app import FlakyActor, HangingActor, LedgerActor, app
from tests.helpers.cli_run import Run

APP = Path(__file__).parents[1] / "helpers" / "actor_app.py"
STORE = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: statestore}
spec: {type: state.in-memory, version: v1, metadata: [{name: actorStateStore, value: "true"}]}
"""
POLICIES = """\
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {name: policies}
spec:
  policies:
    timeouts: {short: 200ms}
    retries: {again: {policy: constant, duration: 10ms, maxRetries: 3}}
  targets:
    actors:
      HangingActor: {timeout: short}
      FlakyActor: {retry: again}
"""


async def test_an_idle_actor_leaves_memory() -> None:
    """After its idle time an actor is deactivated, and the next call reads what it saved."""
    async with TestSidecar(app) as dapr:
        host = app.actor_hosts()[0]
        ledger = dapr.actor(LedgerActor, "ann")
        await ledger.add("one")
        await dapr.advance(timedelta(minutes=9))
        assert list(host.active) == ["ann"]
        await dapr.advance(timedelta(minutes=2))
        assert list(host.active) == []
        assert await ledger.show() == ["one"]


@pytest.mark.sockets
async def test_policies_cut_and_repeat_turns(tmp_path: Path) -> None:
    """A timeout cuts a turn, a retry repeats one that asks for it: each leaves no trace."""
    folder = tmp_path / "resources"
    folder.mkdir()
    (folder / "store.yaml").write_text(STORE)
    (folder / "policies.yaml").write_text(POLICIES)
    words = ("run", str(APP), "--sidecar", "embedded", "--resources-path", str(folder))
    with Run(tmp_path, *words) as run:
        run.ready()
        settings = Settings(http_endpoint=f"http://127.0.0.1:{run.port('HTTP')}")
        async with Client(settings) as client:
            hanging = client.actor(HangingActor, "ann")
            with pytest.raises(ActorError) as caught:
                await hanging.hang()
            assert caught.value.code == "ERR_ACTOR_INVOKE_METHOD"
            assert await hanging.show() == ["hung up"]
            assert await client.actor(FlakyActor, "ann").work() == ["try 3"]
