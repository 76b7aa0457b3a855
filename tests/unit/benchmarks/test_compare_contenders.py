"""Contenders of the comparison: turns, failures, pinned environments, component files."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from benchmarks.compare.environments import (
    PINNED,
    READY,
    Environments,
    cache_folder,
    fingerprint,
    prepare,
)
from benchmarks.compare.machine import busy_share, versions
from benchmarks.compare.scale import APPS
from benchmarks.compare.stage import Ports, in_turn, resource
from benchmarks.processes import BenchmarkError

PIN = re.compile(r"[\w.-]+(\[[\w,]+\])?==\d[\w.]*")


def test_contenders_take_turns() -> None:
    """Each round measures every contender once, and rounds that warm up do not count."""
    order: list[str] = []

    def measured(name: str) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return float(len(order))

        return measure

    found = in_turn({name: measured(name) for name in "ab"}, 2, {}, warm_up=1)
    assert order == ["a", "b"] * 3
    assert found == {"a": [3.0, 5.0], "b": [4.0, 6.0]}


def test_a_contender_that_fails_leaves_the_others_alone() -> None:
    """It is left out from then on, and its note says why."""
    notes: dict[str, str] = {}

    def fail() -> float:
        raise BenchmarkError("refused")

    assert in_turn({"a": fail, "b": lambda: 1.0}, 2, notes) == {"b": [1.0, 1.0]}
    assert notes == {"a": "it failed: refused"}


def test_every_peer_is_pinned() -> None:
    """Each requirement of each environment names one version."""
    pins = [pin for given in PINNED.values() for pin in given]
    assert [pin for pin in pins if not PIN.fullmatch(pin)] == []


def test_servers_and_shared_libraries_have_one_version() -> None:
    """What several environments have is the same in all of them, or more than peers differs."""
    found: dict[str, set[str]] = {}
    for pin in (pin for given in PINNED.values() for pin in given):
        name, _, number = pin.partition("==")
        found.setdefault(name.partition("[")[0], set()).add(number)
    assert {name: numbers for name, numbers in found.items() if len(numbers) > 1} == {}


def test_versions_are_listed_once() -> None:
    """The page names daprflow first, then every pinned distribution."""
    names = [name for name, _ in versions(None)]
    assert names[0] == "daprflow"
    assert len(names) == len(set(names))
    assert {"dapr", "fastapi", "faststream", "litestar", "httpx"} <= set(names)


def test_another_pin_makes_another_environment() -> None:
    """The name of a cached environment follows from what is in it."""
    assert fingerprint(["a==1", "b==1"]) == fingerprint(["a==1", "b==1"])
    assert fingerprint(["a==1", "b==1"]) != fingerprint(["a==1", "b==2"])


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Environments are kept where the user's caches are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "daprflow-benchmarks"


def test_an_environment_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the cache has is taken as it is; what cannot be made is told, and the rest goes on."""
    monkeypatch.setattr(
        "benchmarks.compare.environments.PINNED", {"kept": ("a==1",), "new": ("b==1",)}
    )
    python = tmp_path / f"kept-{fingerprint(['a==1'])}" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (python.parent.parent / READY).touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    made = prepare(tmp_path)
    assert made.python("kept") == str(python)
    assert made.python("new") is None
    assert made.failed["new"].startswith("its environment could not be made: ")


def test_an_installation_that_fails_says_the_installers_last_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The reason in the table is what the installer said in the end."""
    error = subprocess.CalledProcessError(1, "pip", stderr="looking\nno matching distribution\n")

    def fail(*_: str, check: bool = True) -> None:
        raise error

    monkeypatch.setattr("benchmarks.compare.environments.PINNED", {"gone": ("x==1",)})
    monkeypatch.setattr("benchmarks.compare.environments._run", fail)
    reason = "its environment could not be made: no matching distribution"
    assert prepare(tmp_path).failed == {"gone": reason}


def test_component_files_are_yaml() -> None:
    """A file that is written for a sidecar names type and metadata."""
    read = yaml.safe_load(resource("store", "state.sqlite", connectionString="keys.db"))
    assert read["spec"]["type"] == "state.sqlite"
    assert read["spec"]["metadata"] == [{"name": "connectionString", "value": "keys.db"}]
    assert yaml.safe_load(resource("store", "state.in-memory"))["spec"]["metadata"] == []


def test_an_app_learns_where_its_sidecar_is() -> None:
    """Both protocols of a sidecar are in the environment of the app."""
    given = Ports(3500, 50_001, 8000).variables
    assert given["DAPR_HTTP_PORT"] == "3500"
    assert given["DAPR_GRPC_ENDPOINT"] == "127.0.0.1:50001"


def test_every_environment_of_a_peer_is_known() -> None:
    """Apps that are compared run in environments that the table of pins has."""
    assert {peer.environment for peer, _ in APPS.values()} <= set(PINNED)
    assert Environments({}).python("daprflow") is None


def test_other_work_is_a_share() -> None:
    """How busy a machine is lies between nothing and everything."""
    assert 0.0 <= busy_share(0.05) <= 1.0
