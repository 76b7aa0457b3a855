"""A new project: its names, its files, and what becomes of its folder when something fails."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from daprflow.launcher.exits import LaunchError
from daprflow.templates.place import place
from daprflow.templates.project import Names, ProjectFile, Template, names_of, project
from tests.helpers.shell import code_of

FILES = (ProjectFile("a.txt", "1\n"), ProjectFile("below/b.txt", "2\n"))
LEAST = {
    ".gitignore", ".vscode/launch.json", ".vscode/tasks.json", "README.md", "daprflow.toml",
    "pyproject.toml", "my_shop/__init__.py", "my_shop/app.py", "tests/test_app.py",
}  # fmt: skip


def new(*words: str) -> int:
    """Run the command; return its exit code."""
    return code_of("new", *words)


@pytest.mark.parametrize("template", Template)
def test_a_new_project_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: Template
) -> None:
    """Every template passes `daprflow check` and its own tests; types are checked in place."""
    monkeypatch.chdir(tmp_path)
    assert new("My-Shop", "--template", template) == 0
    home = tmp_path / "My-Shop"
    for command in (
        ("daprflow", "check", "my_shop"),
        ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:asyncio"),
    ):
        run = [sys.executable, "-m", *command]
        done = subprocess.run(run, cwd=home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert "warning" not in done.stderr


@pytest.mark.parametrize("template", Template)
def test_every_file_has_its_names(template: Template) -> None:
    """Settings are well-formed, nothing is left to fill in, and no word of the template is."""
    made = {each.path: each.text for each in project(Names("my_shop", "my-shop"), template)}
    assert made.keys() == LEAST
    settings = tomllib.loads(made["pyproject.toml"])
    assert settings["project"]["name"] == "my-shop"
    assert settings["tool"]["pytest"]["ini_options"]["dapr_app"] == "my_shop.app:app"
    tomllib.loads(made["daprflow.toml"])
    launch = json.loads(made[".vscode/launch.json"])
    labels = [each["label"] for each in json.loads(made[".vscode/tasks.json"])["tasks"]]
    assert {each.get("preLaunchTask") for each in launch["configurations"]} <= {None, *labels}
    for text in made.values():
        assert "starter" not in text
        assert "daprflow.templates" not in text
        assert not [word for word in ("{app}", "{package}", "{try}", "{version}") if word in text]


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("shop", Names("shop", "shop")),
        ("My-Shop", Names("my_shop", "my-shop")),
        ("my_shop2", Names("my_shop2", "my-shop2")),
        ("my shop.api", Names("my_shop_api", "my-shop-api")),
    ],
)
def test_dashes_become_what_a_package_may_have(name: str, names: Names) -> None:
    """A project's name gives a package with underscores and an app id with dashes."""
    assert names_of(name) == names


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is no name"),
        ("1shop", "begin with a letter"),
        ("a--b", "single dashes"),
        ("shop-", "is no name"),
        ("größe", "is no name"),
        ("class", "'class' would hide"),
        ("JSON", "'json' would hide"),
        ("daprflow", "'daprflow' would hide"),
        ("tests", "'tests' would hide"),
        ("a" * 51, "longer than 50"),
    ],
)
def test_a_name_that_no_package_can_have_is_explained(name: str, why: str) -> None:
    """It says which name, and why not."""
    with pytest.raises(LaunchError, match=why):
        names_of(name)


def test_a_folder_that_holds_something_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is in it is named, and nothing is written; an empty one is filled."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mine.txt").touch()
    assert new("shop") == 2
    assert "'shop' is not empty (it has 'mine.txt')" in capfd.readouterr().err
    assert [each.name for each in (tmp_path / "shop").iterdir()] == ["mine.txt"]
    (tmp_path / "shop" / "mine.txt").rename(tmp_path / "file")
    assert new("shop") == 0
    assert new("file") == 2
    assert new("nowhere/shop") == 2
    assert "no folder 'nowhere'" in capfd.readouterr().err


@pytest.mark.parametrize("there", [False, True], ids=["made", "empty"])
def test_a_failure_leaves_nothing_half_made(tmp_path: Path, *, there: bool) -> None:
    """A file that cannot be written takes those before it away again."""
    folder = tmp_path / "shop"
    if there:
        folder.mkdir()
    wrong = (*FILES, ProjectFile("a.txt/c.txt", ""))
    with pytest.raises(LaunchError, match="cannot write"):
        place(folder, wrong)
    assert [each.name for each in tmp_path.rglob("*")] == (["shop"] if there else [])
    place(folder, FILES)
    assert (folder / "below" / "b.txt").read_text() == "2\n"
    assert sorted(each.name for each in folder.iterdir()) == ["a.txt", "below"]


def test_a_folder_that_may_not_be_written_to_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The refusal of the system is one line, and nothing is left behind."""
    before = set(Path("/proc/self").iterdir()) if Path("/proc/self").is_dir() else set()
    if not before:
        pytest.skip("there is no folder that nobody may write to")
    assert new("/proc/self/shop") == 1
    said = capfd.readouterr().err
    assert said.startswith("daprflow: cannot write '/proc/self/")
    assert len(said.splitlines()) == 1
