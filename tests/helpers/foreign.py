"""What apps in other languages are built from: fetched once, by those languages' own tools."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".tox" / "foreign"
SECONDS = 90.0


def fetched(source: Path, files: Sequence[str], command: Sequence[str]) -> Path:
    """Return a folder in which ``command`` was run beside copies of ``files``.

    It stays for later sessions, by what the files say. The test is skipped where the command cannot
    do its work, as without a network.
    """
    said = "".join((source / name).read_text(encoding="utf-8") for name in files)
    digest = hashlib.sha256("\0".join((said, *command[1:])).encode()).hexdigest()[:16]
    folder = CACHE / f"{source.name}-{digest}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        for name in files:
            shutil.copy(source / name, draft)
        _run(draft, command)
        os.replace(draft, folder)  # noqa: PTH105 - fails where another session was faster
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _run(folder: Path, command: Sequence[str]) -> None:
    """Run a command; skip the test where it fails."""
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=SECONDS, text=True
        )
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{Path(command[0]).name} fetched nothing: {_last_line(error.stderr)}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"{Path(command[0]).name} fetched nothing within {SECONDS:g} s")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
