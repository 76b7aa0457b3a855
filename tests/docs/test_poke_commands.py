"""The commands on the page about pokes work, in the order in which they stand there."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from daprflow.cli.commands import COMMANDS
from tests.helpers.cli_run import Run
from tests.helpers.shell import Shell

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "pokes.md"
EXAMPLE = ROOT / "examples" / "pokes"
POKES = {"publish", "invoke", "state", "actor", "job", "config", "secret", "list", "status"}


def commands() -> list[list[str]]:
    """What stands on the page to be typed, without the program's name; the run comes first."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    typed = [shlex.split(line)[1:] for line in lines if line.startswith("    daprflow ")]
    return [words for words in typed if words[0] != "run"]


@pytest.mark.sockets
def test_every_command_of_the_page_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Typed one after the other beside the example, each ends well."""
    folder = tmp_path / "shop"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    shell = Shell(capfd, monkeypatch)
    typed = commands()
    assert {words[0] for words in typed} == POKES
    with Run(folder, "run", "app.py", "--sidecar", "embedded") as run:
        run.ready()
        for words in typed:
            assert shell(*words) == 0, f"{words}: {shell.err}"
        assert shell("stop", "shop") == 0
        run.ended()


def test_commands_within_the_text_exist() -> None:
    """Every command that a sentence names is one."""
    named = re.findall(r"`daprflow ([a-z]+)", PAGE.read_text(encoding="utf-8"))
    assert set(named) <= set(COMMANDS)
