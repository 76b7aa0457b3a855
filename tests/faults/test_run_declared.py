"""What an app declares in its code, in a run: by environment, beside files, over a reload."""

import contextlib
import http.client
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.helpers import fake_daprd
from tests.helpers.cli_run import Run, finish, write

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

APP = """
from datetime import timedelta

from daprflow import DaprFlow
from daprflow.components import (
    Caller, Component, ComponentTarget, DurablePubSub, InMemoryState, Policies, RedisPubSub,
    SqliteState, Timeout, env_ref,
)

app = DaprFlow("shop")
app.component(DurablePubSub("bus"), env="dev")
app.component(RedisPubSub("bus", redis_host=env_ref("REDIS")), env="prod")
app.component(SqliteState("stock", connection_string="stock.db", actor_state_store=True))
app.resiliency(
    ComponentTarget("stock", outbound=Policies(timeout=Timeout("quick", timedelta(seconds=2)))),
)
app.access_policy(Caller("website"))


@app.invoke("GET", "/hello")
async def hello() -> dict[str, int] | str:
    return "hello"


@app.topic("bus", "orders", dead_letter="dead")
async def add(order: dict[str, int]) -> None: ...
"""
FORBIDDEN = 403
FILE = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: stock}
spec: {type: state.in-memory, version: v1}
"""


def get(run: Run, path: str) -> tuple[int, bytes]:
    """Ask the run's sidecar."""
    connection = http.client.HTTPConnection("127.0.0.1", run.port("Dapr HTTP"), timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def components(run: Run) -> dict[str, str]:
    """The components of the run's sidecar: their types by name."""
    _, body = get(run, "/v1.0/metadata")
    return {each["name"]: each["type"] for each in json.loads(body)["components"]}


def test_declarations_reach_the_sidecar_and_follow_a_reload(tmp_path: Path) -> None:
    """What is declared takes the place of what a run makes; a saved change counts at once."""
    write(tmp_path, {"app.py": APP})
    with Run(tmp_path, "run", "--reload", ".") as run:
        run.ready()
        assert components(run) == {
            "bus": "pubsub.daprflow",
            "pubsub": "pubsub.daprflow",
            "configstore": "configuration.daprflow",
            "lockstore": "lock.daprflow",
            "stock": "state.sqlite",
        }
        assert (tmp_path / "stock.db").exists()
        line = 'app.component(InMemoryState("cache"), env="dev")\n'
        allowing = APP.replace('Caller("website")', 'Caller("visitor")')
        with Run(tmp_path, "sidecar", "--app-id", "visitor") as visitor:
            visitor.ready()
            assert get(visitor, "/v1.0/invoke/shop/method/hello")[0] == FORBIDDEN
            write(tmp_path, {"app.py": allowing + line})
            run.until("reloaded in")
            assert get(visitor, "/v1.0/invoke/shop/method/hello") == (200, b"hello")
        assert components(run)["cache"] == "state.in-memory"
        run.send(signal.SIGINT)
        assert run.ended() == 0


def test_a_file_goes_before_the_code(tmp_path: Path) -> None:
    """One warning names both; what only the code has is there as well."""
    write(tmp_path, {"app.py": APP, "resources/stock.yaml": FILE})
    with Run(tmp_path, "run", ".") as run:
        run.ready()
        assert components(run) == {"bus": "pubsub.daprflow", "stock": "state.in-memory"}
        run.send(signal.SIGINT)
        assert run.ended() == 0
    (warning,) = [line for line in run.lines if "is declared at" in line]
    assert "component 'stock' is declared at app:13 and in " in warning
    assert "resources/stock.yaml:3; the file's counts; take one of them out" in warning


def test_a_real_runtime_is_given_files(tmp_path: Path) -> None:
    """Its resources folder has the components of the environment, and --config the policy."""
    program = tmp_path / "home" / ".dapr" / "bin" / "daprd"
    source = Path(fake_daprd.__file__).read_text(encoding="utf-8")
    write(tmp_path, {"home/.dapr/bin/daprd": f"#!{sys.executable}\n{source}", "work/app.py": APP})
    program.chmod(0o755)
    home = {"HOME": str(tmp_path / "home")}
    with Run(tmp_path / "work", "run", "--env", "prod", ".", env=home) as run:
        run.ready()
        run.send(signal.SIGINT)
        assert run.ended() == 0
        text = run.text
    assert '"type":"pubsub.redis"' in text
    assert '{"name":"redisHost","envRef":"REDIS"}' in text
    assert '"connectionString","value":"stock.db"' in text
    assert '"kind":"Resiliency"' in text
    assert '"policies":[{"appId":"website","defaultAction":"allow"' in text
    assert '"name":"statestore"' not in text


def test_check_tells_what_another_environment_has(tmp_path: Path) -> None:
    """The environment comes from --env, from DAPRFLOW_ENV, or from daprflow.toml."""
    write(tmp_path, {"app.py": APP})
    told = "uses component 'bus', which is declared for 'dev', 'prod' only, and not for 'staging'"
    assert told in finish(tmp_path, "check", "--env", "staging", ".")[1]
    assert told in finish(tmp_path, "check", ".", env={"DAPRFLOW_ENV": "staging"})[1]
    assert told not in finish(tmp_path, "check", ".")[1]
    write(tmp_path, {"daprflow.toml": 'env = "staging"\n'})
    assert told in finish(tmp_path, "check", ".")[1]
