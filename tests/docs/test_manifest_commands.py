"""The commands on the pages about charts and containers make what the pages say."""

import json
import re
import shlex
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml

from daprflow.cli.commands import COMMANDS
from daprflow.manifests.settings import read_settings
from tests.helpers.cli_run import finish
from tests.helpers.helm import helm, laid_over

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "how-to"
APP = "from daprflow import DaprFlow\n\napp = DaprFlow({name!r})\n"


def commands(page: str, program: str) -> list[list[str]]:
    """What stands on a page to be typed, without the program's name."""
    lines = (PAGES / page).read_text(encoding="utf-8").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith(f"    {program} ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project of two apps, which nothing above it belongs to."""
    (tmp_path / ".git").mkdir()
    for name in ("shop", "billing"):
        (tmp_path / f"{name}.py").write_text(APP.format(name=name))
    return tmp_path


@pytest.mark.sockets
def test_every_command_of_the_page_about_containers_works(folder: Path) -> None:
    """Typed one after the other, each makes the files that the page names."""
    for words in commands("compose.md", "daprflow"):
        code, text = finish(folder, *words)
        assert code == 0, f"{words}: {text}"
    for name in (
        *("deploy/compose.yaml", "Dockerfile", ".dockerignore", "run/dapr.yaml"),
        *(".devcontainer/devcontainer.json", ".vscode/launch.json", "daprflow.toml"),
    ):
        assert (folder / name).is_file(), name
    found = yaml.safe_load((folder / "deploy" / "compose.yaml").read_text())
    assert {"shop", "shop-dapr", "billing", "billing-dapr", "redis"} <= found["services"].keys()
    assert read_settings(folder).table
    code, text = finish(folder, *commands("compose.md", "daprflow")[-1])
    assert (code, "as before" in text) == (0, True), text


@pytest.mark.sockets
def test_every_command_of_the_page_about_helm_works(tmp_path: Path) -> None:
    """The chart is made, and Helm, where it is there, takes it as the page says."""
    shutil.copytree(ROOT / "examples" / "kubernetes", tmp_path, dirs_exist_ok=True)
    (words,) = commands("helm.md", "daprflow")
    code, text = finish(tmp_path, *words)
    assert code == 0, text
    lint, install = commands("helm.md", "helm")
    for word in install:
        assert not word.startswith("chart") or (tmp_path / word).exists(), word
    program = helm()
    done = program.run(lint[0], tmp_path / lint[1])
    assert done.returncode == 0, done.stdout
    values = tmp_path / install[-1]
    assert program.render(tmp_path / install[3], "--values", values)


@pytest.mark.parametrize("page", ["helm.md", "compose.md"])
def test_commands_within_the_text_exist(page: str) -> None:
    """Every command that a sentence names is one."""
    text = (PAGES / page).read_text(encoding="utf-8")
    named = re.findall(r"`daprflow ([a-z]+)", text)
    assert set(named) <= set(COMMANDS)


def test_values_on_the_page_are_values_of_the_chart() -> None:
    """What the page shows as a file of values is one that the example's chart takes."""
    chart = ROOT / "tests" / "golden" / "helm"
    text = (PAGES / "helm.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(components:.*?)```", text, re.DOTALL)
    values = laid_over(yaml.safe_load((chart / "values.yaml").read_text()), yaml.safe_load(block))
    jsonschema.validate(values, json.loads((chart / "values.schema.json").read_text()))
    assert values["components"]["broker"]["metadata"]["brokers"] == "kafka.eu.svc:9093"
