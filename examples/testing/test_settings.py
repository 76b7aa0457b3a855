"""The settings of pytest that a project of one's own has."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
QUICKSTART = HERE.parent / "quickstart"


def test_a_project_with_these_settings_tests_its_app(tmp_path: Path) -> None:
    """A test beside an ``app.py`` imports it by its name, and needs no marks."""
    settings = (HERE / "settings.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    for name in ("app.py", "test_app.py"):
        text = (QUICKSTART / name).read_text(encoding="utf-8")
        text = text.replace("from examples.quickstart.app import", "from app import")
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_app.py"]
    done = subprocess.run(  # noqa: S603 - the command stands above
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
