"""What the pages about moving say of the other libraries and of what lies between is true."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from daprflow.sidecar.resources import load_resources
from daprflow.testing import TestSidecar

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "migration"
PEERS = sorted(path.parent.name for path in EXAMPLES.glob("*/before.py"))
INCLUDED = re.compile(r'^--8<-- "examples/migration/(\w+)/(\w+)\.py:(\w+)"$', re.MULTILINE)


def page(peer: str) -> str:
    """The text of the page about moving from a library."""
    name = peer.replace("_", "-")
    return (ROOT / "docs" / "migration" / f"{name}.md").read_text(encoding="utf-8")


def sections(peer: str, name: str) -> list[str]:
    """The marked sections of an example's file, in order."""
    text = (EXAMPLES / peer / f"{name}.py").read_text(encoding="utf-8")
    return re.findall(r"^# --8<-- \[start:(\w+)\]$", text, re.MULTILINE)


def loaded(name: str) -> Any:
    """Import an example by name: mypy shall not look into what others have no types for."""
    return import_module(f"examples.migration.{name}")


@pytest.mark.parametrize("peer", PEERS)
def test_what_was_before_is_python(peer: str) -> None:
    """Also where its library is not installed."""
    path = EXAMPLES / peer / "before.py"
    compile(path.read_text(encoding="utf-8"), path.name, "exec")


@pytest.mark.parametrize("peer", PEERS)
def test_a_page_shows_both_sides_whole(peer: str) -> None:
    """Each marked section of before and after stands on the page, and nothing of another one."""
    shown = INCLUDED.findall(page(peer))
    assert {owner for owner, _, _ in shown} == {peer}
    for name in ("before", "after"):
        assert [part for _, file, part in shown if file == name] == sections(peer, name)


@pytest.mark.parametrize("peer", PEERS)
def test_every_page_says_what_is_lost(peer: str) -> None:
    """And has the parts that a reader looks for."""
    titles = re.findall(r"^## (.+)$", page(peer), re.MULTILINE)
    assert {"Words", "What behaves differently", "Step by step", "What you lose"} <= set(titles)


def test_the_extension_subscribes_to_what_the_new_app_does() -> None:
    """The official extension, as its before uses it, names the same topics."""
    before = loaded("dapr_fastapi.before")
    after = loaded("dapr_fastapi.after")
    theirs = {f"{each['pubsubname']}/{each['topic']}" for each in before.dapr_app._subscriptions}
    ours = {each.address for each in after.service.topics()}
    assert theirs == ours
    assert before.on_order is None, "the decorator returns nothing, as the page says"


@pytest.mark.parametrize(
    "name", [each.parent.name for each in sorted(EXAMPLES.glob("*/resources"))]
)
def test_a_folder_with_resources_has_all_that_its_app_names(name: str) -> None:
    """Where there are files, a sidecar makes no component of its own: `daprflow run` needs them."""
    declared = {each.name for each in load_resources([EXAMPLES / name / "resources"]).components}
    code = (EXAMPLES / name / "after.py").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:Topic|state)\("(\w+)"', code))
    assert named
    assert sorted(named - declared) == []


async def test_two_libraries_live_in_one_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One topic is installed, the other one stands in a Subscription file."""
    monkeypatch.chdir(tmp_path)  # the state store of that folder is a file
    between = loaded("dapr_fastapi.between")
    resources = EXAMPLES / "dapr_fastapi" / "resources"
    sidecar = TestSidecar(between.service, host=between.app, resources_path=resources)
    async with sidecar as dapr:
        await dapr.client.publish("pubsub", "orders", {"id": "7", "total": -5})
        await dapr.settle()
        assert between.given_up == [{"id": "7", "total": -5}]


def test_the_old_workflow_is_what_the_recorded_history_is_of() -> None:
    """The official worker's functions have the names that the new app answers to."""
    before = loaded("dapr_workflow.before")
    after = loaded("dapr_workflow.after")
    for name in ("checkout", "charge", "score", "refund"):
        assert getattr(after, name).name == getattr(before, name).__name__
