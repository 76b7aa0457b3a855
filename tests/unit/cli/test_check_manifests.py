"""``daprflow check --manifests``: exit code, lines and JSON; what is generated agrees."""

import json
from pathlib import Path

import pytest

from tests.helpers.cli_run import write
from tests.helpers.shell import code_of

APP = """
from daprflow import Actor, DaprFlow

app = DaprFlow("shop")


@app.topic("pubsub", "orders", dead_letter="dead")
async def add(order: dict[str, int]) -> None: ...


@app.cron("sweep", "@every 15m")
async def sweep() -> None: ...


@app.actor
class Cart(Actor[int]):
    async def add(self) -> int:
        return 1
"""
RESOURCES = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: pubsub}
spec: {type: pubsub.redis, version: v1, metadata: [{name: redisHost, value: "redis:6379"}]}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: statestore}
spec:
  type: state.redis
  version: v1
  metadata:
  - {name: redisHost, value: "redis:6379"}
  - {name: redisPassword, secretKeyRef: {name: redis, key: password}}
  - {name: actorStateStore, value: "true"}
auth: {secretStore: kubernetes}
"""
WRONG = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: broker}
spec: {type: pubsub.redis, version: v1}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("target", ["kubernetes", "compose", "dapr-run", "components"])
def test_generated_manifests_agree_with_the_code(
    here: Path, capfd: pytest.CaptureFixture[str], target: str
) -> None:
    """What `daprflow manifests` writes has no difference; an app that changed since has one."""
    name = f"agreeing_{target.replace('-', '_')}"
    write(here, {f"{name}.py": APP, "resources/all.yaml": RESOURCES})
    assert code_of("manifests", f"{name}.py", "--target", target, "-o", "deploy") == 0
    assert code_of("check", f"{name}.py", "--manifests", "deploy") == 0, capfd.readouterr().err
    assert "agree with it" in capfd.readouterr().out
    changed = APP.replace('"pubsub", "orders"', '"broker", "orders"').replace("15m", "5m")
    write(here, {f"{name}_changed.py": changed})
    assert code_of("check", f"{name}_changed.py", "--manifests", "deploy") == 1
    told = capfd.readouterr().err
    assert "[no-component]" in told
    assert "[schedule]" in told


def test_differences_are_lines_or_json(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each line has place, what, what to do and the rule; --json has the same in fields."""
    write(here, {"different9.py": APP, "deploy/broker.yaml": WRONG})
    assert code_of("check", "different9.py", "--manifests", "deploy") == 1
    lines = capfd.readouterr().err.splitlines()
    assert all(line.startswith("daprflow: deploy: ") for line in lines)
    assert any(line.endswith("add it, or correct the name [no-component]") for line in lines)
    assert code_of("check", "different9.py", "--manifests", "deploy", "--json") == 1
    told = json.loads(capfd.readouterr().out)
    assert told["app_id"] == "shop"
    assert len(told["problems"]) == len(lines)
    assert {"file", "line", "rule", "text", "remedy"} == set(told["problems"][0])


def test_json_without_manifests(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A sound app is one object without problems; a wrong one has its definition's."""
    write(here, {"sound10.py": APP, "wrong10.py": APP.replace('"@every 15m"', '"every day"')})
    assert code_of("check", "sound10.py", "--json") == 0
    assert json.loads(capfd.readouterr().out)["app_id"] == "shop"
    assert code_of("check", "wrong10.py", "--json") == 1
    (problem,) = json.loads(capfd.readouterr().out)["problems"]
    assert problem["rule"] == "definition"
    assert "every day" in problem["text"]


def test_a_folder_that_is_none_is_refused(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A mistyped folder is a mistake of the command line, not an empty comparison."""
    write(here, {"sound11.py": APP})
    assert code_of("check", "sound11.py", "--manifests", "depoly") == 2
    assert "'depoly' is no folder" in capfd.readouterr().err
