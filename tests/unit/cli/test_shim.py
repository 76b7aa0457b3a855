"""``daprflow shim`` writes one small program."""

import shlex
import sys
from pathlib import Path

import pytest

from daprflow.cli.shim import script
from tests.helpers.shell import code_of


def shim(*words: str) -> int:
    """Run the command; return its exit code."""
    return code_of("shim", *words)


def test_it_writes_a_program_into_a_new_folder(tmp_path: Path) -> None:
    """The program can be executed, and its data lie beside it."""
    assert shim(str(tmp_path / "bin")) == 0
    program = tmp_path / "bin" / "dapr"
    assert program.stat().st_mode & 0o777 == 0o755
    assert program.read_text() == script(sys.executable, tmp_path / "bin" / ".daprflow")
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["dapr"]


def test_it_replaces_its_own_program(tmp_path: Path) -> None:
    """A second time is fine, with another data folder for example."""
    assert shim(str(tmp_path)) == 0
    assert shim(str(tmp_path), "--data-dir", str(tmp_path / "data")) == 0
    assert str(tmp_path / "data") in (tmp_path / "dapr").read_text()


def test_it_leaves_another_program_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The official program is replaced only where the user insists."""
    other = tmp_path / "dapr"
    other.write_bytes(b"\x7fELF\xff")
    assert shim(str(tmp_path)) == 2
    assert "is another program" in capsys.readouterr().err
    assert other.read_bytes() == b"\x7fELF\xff"
    assert shim(str(tmp_path), "--force") == 0
    assert other.read_text().startswith("#!/bin/sh\n")


def test_its_text_has_any_path_in_it() -> None:
    """Blanks and quotes in paths stay what they are."""
    line = script("/a b/python", Path("/it's/here")).splitlines()[-1]
    assert shlex.split(line)[:6] == [
        *("exec", "/a b/python", "-P", "-m", "daprflow.cli.dapr", "/it's/here"),
    ]
    assert line.endswith(' "$@"')
