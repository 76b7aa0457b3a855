"""CONTRIBUTING.md tells contributors what is there."""

import importlib.util
import re
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
THREAT = re.compile(r"S-(\d\d)")


def test_environments_of_tox_exist() -> None:
    """Each ``tox -e`` names environments that tox.ini has."""
    configuration = ConfigParser(interpolation=None)
    configuration.read(ROOT / "tox.ini", encoding="utf-8")
    named = {name for group in re.findall(r"tox -e ([\w,-]+)", TEXT) for name in group.split(",")}
    assert named
    assert [name for name in sorted(named) if f"testenv:{name}" not in configuration] == []


def test_groups_of_dependencies_exist() -> None:
    """Each ``--group`` is one of the project's."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = set(re.findall(r"--group (\w+)", TEXT))
    assert named
    assert [name for name in sorted(named) if f"\n{name} = [" not in project] == []


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python\s+-m (tests[\w.]+)", TEXT))))
def test_modules_to_run_exist(module: str) -> None:
    """Each ``python -m tests…`` is a module."""
    assert importlib.util.find_spec(module) is not None


def test_files_and_folders_exist() -> None:
    """Each file or folder of the project that is named is there."""
    pattern = r"`((?:daprflow|tests|docs|examples|benchmarks|\.ci)/[\w./-]*)`"
    named = {name for name in re.findall(pattern, TEXT) if "NNNN" not in name}
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_links_lead_somewhere() -> None:
    """Each link to a page of the documentation leads to one."""
    named = set(re.findall(r"\]\((docs/[\w./-]+)\)", TEXT))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_a_review_asks_about_every_threat() -> None:
    """The checklist of a review names every threat that has tests, and no other."""
    page = (ROOT / "docs" / "reference" / "threats.md").read_text(encoding="utf-8")
    table, _, _ = page.partition("## Threats without a test")
    threats = set(re.findall(r"^\| S-(\d\d) \|", table, flags=re.MULTILINE))
    checklist = TEXT.partition("### What a review asks")[2].partition("### Before a release")[0]
    asked = set(THREAT.findall(checklist))
    for first, last in re.findall(r"S-(\d\d) to S-(\d\d)", checklist):
        asked |= {f"{number:02}" for number in range(int(first), int(last) + 1)}
    assert asked == threats
