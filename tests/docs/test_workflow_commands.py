"""The commands on the page about running workflows work, in the order in which they stand there."""

import shlex
from pathlib import Path

import pytest

from tests.helpers.cli_run import Run, write
from tests.helpers.shell import code_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "workflow-operations.md"
APP = ROOT / "examples" / "workflow_operations" / "app.py"
START = "    daprflow workflow "


def commands() -> list[list[str]]:
    """What stands on the page to be typed, without the program's name."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith(START)]


def test_every_command_of_the_page_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Typed one after the other beside the example, each ends well."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"app.py": APP.read_text(encoding="utf-8")})
    typed = commands()
    assert {words[1] for words in typed} >= {
        "start", "list", "show", "history", "raise", "suspend", "resume", "terminate", "purge",
        "rerun",
    }  # fmt: skip
    with Run(tmp_path, "run", "app.py", "--sidecar", "embedded") as run:
        run.ready()
        for words in typed:
            assert code_of(*words) == 0, f"{words}: {capfd.readouterr().err}"
    assert (tmp_path / "ann.json").is_file()
