"""Threats of the register that belong to no part alone: what is linted, scanned and never ends."""

import importlib.metadata
import os
import re
import sqlite3
import time
import tomllib
from collections.abc import Callable
from configparser import ConfigParser
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from daprflow.observability.redaction import Redaction
from daprflow.protocol.expressions import compile_expression
from daprflow.protocol.schedules import parse_schedule
from daprflow.sidecar.blocks.personal_data import scrub
from daprflow.sidecar.components.pubsub_in_memory import wildcard_fits
from daprflow.sidecar.resources import load_resources
from daprflow.sidecar.sqlite import SqliteWriter
from tests import package_audit

ROOT = Path(__file__).parents[2]
PYTHON = ("daprflow", "tests", "examples", "benchmarks", "pytest_daprflow.py")
UNSAFE = re.compile(r"noqa\s*:[^\n]*\b(S30[1-9]|S31[2-9]|S32[0]|S50\d)\b")
"""Rules of ruff about pickle, eval, unsafe YAML and XML, weak ciphers, and TLS unverified."""
SOURCES = (".py",)
FLOORS = {
    "aiohttp": "3.11.0",
    "starlette": "1.3.1",  # CVE-2026-48710, 48817, 48818, 54121, 54282, 54283
    "protobuf": "6.33.5",  # CVE-2025-4565, CVE-2026-0994: recursion
    "PyYAML": "6.0.2",
    "PyJWT": "2.10.1",  # CVE-2024-53861: half an issuer was enough
    "cryptography": "44.0.1",  # CVE-2024-12797
}
"""Versions below which something known is wrong; CVE-2025-62727 is below Starlette's as well."""
INSTALLED = {**FLOORS, "h11": "0.16.0"}  # CVE-2025-43859; it comes with others, and is not used
SECONDS = 0.25
"""Of processor time: what is quadratic takes many times that."""


def sources() -> list[Path]:
    """Every Python file of the project."""
    found: list[Path] = []
    for name in PYTHON:
        path = ROOT / name
        found += [path] if path.is_file() else path.rglob("*.py")
    return found


@pytest.mark.row("S-18", "S-17")
def test_unsafe_loaders_are_linted_and_nothing_switches_that_off() -> None:
    """All of ruff's rules are on, and neither a list nor a comment excepts one of these."""
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    assert lint["lint"]["select"] == ["ALL"]
    lists = [lint["lint"]["ignore"], *lint["lint"]["per-file-ignores"].values()]
    excepted = {rule for rules in lists for rule in rules}
    assert not [rule for rule in excepted if re.fullmatch(r"S|S3\d*|S5\d*", rule)]
    assert "exclude" not in lint
    found = [path for path in sources() if UNSAFE.search(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.row("S-18")
def test_nothing_is_unpickled_or_evaluated() -> None:
    """No module of the package loads, or names, what makes code of data."""
    bad = re.compile(
        r"^\s*(import|from) (pickle|marshal|shelve|dill|cloudpickle)\b|(?<![\w.])(eval|exec)\(",
        re.MULTILINE,
    )
    package = (ROOT / "daprflow").rglob("*.py")
    assert [path for path in package if bad.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.row("S-41")
def test_nothing_looks_at_a_url_that_is_made_of_the_host() -> None:
    """Paths come from the scope, which ``Host`` cannot change; CVE-2026-48710 was otherwise."""
    bad = re.compile(r"\b(request|connection|conn|websocket)\.(url|base_url)\b|\bURL\(scope")
    package = (ROOT / "daprflow").rglob("*.py")
    assert [path for path in package if bad.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.row("S-37")
def test_floors_are_above_what_is_known_to_be_wrong() -> None:
    """What the project asks for, and what is installed here, has none of the known holes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    asked = {need.name: need for need in map(Requirement, lines)}
    for name, floor in FLOORS.items():
        least = [Version(one.version) for one in asked[name].specifier if one.operator == ">="]
        assert least, f"'{name}' has no floor"
        assert max(least) >= Version(floor), f"'{name}' may be older than {floor}"
    for name, floor in INSTALLED.items():
        assert Version(importlib.metadata.version(name)) >= Version(floor), name


@pytest.mark.row("S-37")
@pytest.mark.parametrize(
    ("status", "said", "verdict"),
    [
        (0, "No known vulnerabilities found", "no known hole in 9 packages"),
        (1, "Found 2 known vulnerabilities in 1 package", "known holes among 9 packages"),
        (1, "Dependency not found on PyPI and could not be audited: a (1)", "NOT DONE"),
        (1, "ConnectionError: pip_audit._service.VulnerabilityService", "NOT DONE"),
        (2, "usage: pip-audit", "NOT DONE"),
    ],
)
def test_an_audit_says_what_came_of_it(status: int, said: str, verdict: str) -> None:
    """Holes, none, and a service that knows nothing are told apart."""
    assert verdict in package_audit.verdict(status, said, 9, "pypi")


def test_what_is_audited_is_all_that_extras_bring() -> None:
    """The environment of the audit, and so that of the list for a release, has every extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    extras = tox["testenv:audit"]["extras"].split(", ")
    assert extras == sorted(project["optional-dependencies"])


def quick(work: Callable[[], object]) -> bool:
    """Tell whether something takes little of the processor; of three times the best counts."""
    took = []
    for _ in range(3):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return min(took) < SECONDS


LONG = 20_000
REPEATED = [
    "a-", "token-", "eyJ-", "eyJaaaaa.", "Bearer ", "://a:", "'", 'token="', "token=\\", "1.", ":",
    "a@", "1 ", "1-", "1 a", "0:", "(1)", "po box ", " ", "secret", '"', "a.b@",
]  # fmt: skip


@pytest.mark.row("S-22", "S-24")
@pytest.mark.parametrize("part", REPEATED)
def test_texts_of_others_are_searched_in_little_time(part: str) -> None:
    """Redaction and the search for personal data have no text that holds them up."""
    text = part * (LONG // len(part))
    redaction = Redaction(["known-secret"])
    assert quick(lambda: redaction.text(text))
    assert quick(lambda: redaction.text(text + "token='"))
    assert quick(lambda: scrub(text))


@pytest.mark.row("S-22")
def test_a_topic_with_many_stars_is_matched_in_little_time() -> None:
    """A pattern of a hundred stars against a topic that nearly fits."""
    parts = ("a*" * 100 + "b").split("*")
    assert quick(lambda: wildcard_fits(parts, "a" * LONG))
    assert not wildcard_fits(parts, "a" * LONG)
    assert wildcard_fits(parts, "a" * LONG + "b")


@given(
    pattern=st.text("ab*", max_size=8).filter(lambda text: "*" in text),
    topic=st.text("ab", max_size=10),
)
def test_stars_mean_what_they_mean_elsewhere(pattern: str, topic: str) -> None:
    """A star stands for anything, also for nothing."""
    assert wildcard_fits(pattern.split("*"), topic) == fnmatchcase(topic, pattern)


@pytest.mark.row("S-22")
@pytest.mark.parametrize(
    "text", ["@every " + "1" * LONG + "x", "@every " + "1h" * LONG, "*/" * LONG, "1," * LONG + "x"]
)
def test_schedules_are_read_in_little_time(text: str) -> None:
    """A schedule that is none is refused at once, however long it is."""

    def read() -> None:
        try:
            parse_schedule(text)
        except ValueError:
            return

    assert quick(read)


@pytest.mark.row("S-22")
def test_rules_are_evaluated_in_little_time() -> None:
    """A pattern of a rule that others have ruined takes linear time: no pattern goes back."""
    rule = compile_expression('event.type.matches("^(a+)+$")')
    event = {"type": "a" * 5_000 + "b"}
    assert quick(lambda: rule.matches(event))


@pytest.mark.row("S-10")
def test_a_folder_of_resources_holds_files_alone(tmp_path: Path) -> None:
    """Devices, pipes and folders below are passed over: none of them holds a start up."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nothing")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "bad.yaml").write_text("{", encoding="utf-8")
    found = load_resources([tmp_path])
    assert (found.components, found.problems) == ((), ())


@pytest.mark.row("S-36")
async def test_what_is_deleted_is_overwritten(tmp_path: Path) -> None:
    """A value that was deleted is in no file once the database is closed."""
    file = tmp_path / "state.db"
    canary = "canary-" * 8

    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS t (k TEXT)")

    writer = SqliteWriter(file, prepare)
    await writer.open()
    await writer.run(lambda connection: connection.execute("INSERT INTO t VALUES (?)", (canary,)))
    await writer.run(lambda connection: connection.execute("DELETE FROM t"))
    await writer.close()
    assert holding(tmp_path, canary) == []


def holding(folder: Path, text: str) -> list[Path]:
    """Return the files that hold a text."""
    return [each for each in folder.iterdir() if text.encode() in each.read_bytes()]
