"""Check a built wheel: its content, and that it works in an environment with nothing else in it.

    python tests/package_check.py DIST_FOLDER

Run by tox's ``package`` environment, not by pytest: it installs from the package index.
"""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

PLUGIN = "pytest_daprflow.py"
"""Outside the package, so that pytest loads nothing of it where it is not used."""
PROGRAM = "daprflow_command.py"
"""Outside the package, so that Ctrl-C can end its import."""
TEMPLATE = "daprflow/templates/common/pyproject.txt"
"""One of the files that are no Python."""


def main(dist: Path) -> None:
    """Check the single wheel in ``dist``; the first failure ends the run with its reason."""
    wheels = sorted(dist.glob("*.whl"))
    if len(wheels) != 1:
        sys.exit(f"expected one wheel in '{dist}', found {len(wheels)}; empty the folder first")
    check_content(wheels[0])
    with tempfile.TemporaryDirectory() as folder:
        check_installed(wheels[0], Path(folder))
    print(f"{wheels[0].name}: content and installation are fine")  # noqa: T201 - a command's output


def check_content(wheel: Path) -> None:
    """The wheel holds the package, its typing marker and the pytest plugin, nothing beside them."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    if "daprflow/py.typed" not in names:
        sys.exit(f"'{wheel.name}' lacks daprflow/py.typed; type checkers would ignore the package")
    if TEMPLATE not in names:
        sys.exit(f"'{wheel.name}' lacks {TEMPLATE}, which 'daprflow new' makes projects of")
    if PLUGIN not in names:
        sys.exit(f"'{wheel.name}' lacks {PLUGIN}, which its entry point names")
    if PROGRAM not in names:
        sys.exit(f"'{wheel.name}' lacks {PROGRAM}, which the command 'daprflow' starts")
    ours = ("daprflow/", "daprflow-", PLUGIN, PROGRAM)
    strangers = [name for name in names if not name.startswith(ours) or "/tests/" in name]
    if strangers:
        sys.exit(f"'{wheel.name}' holds files that are not the package's: {', '.join(strangers)}")
    if not any(name.endswith("licenses/LICENSE") for name in names):
        sys.exit(f"'{wheel.name}' lacks the licence text")


def check_installed(wheel: Path, folder: Path) -> None:
    """The wheel and its declared dependencies alone import and run its commands."""
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = str(binaries / "python")
    version = wheel.name.split("-")[1]
    run([python, "-m", "pip", "install", "--quiet", str(wheel)], folder)
    run([python, "-m", "pip", "check"], folder)
    run([python, "-c", "import daprflow"], folder)
    run([python, "-c", "import daprflow.testing"], folder)
    expect("run", run([str(binaries / "daprflow"), "--help"], folder))
    expect(version, run([python, "-m", "daprflow", "--version"], folder))
    run([str(binaries / "daprflow"), "new", "shop"], folder)
    expect("is sound", run([str(binaries / "daprflow"), "check", "shop"], folder / "shop"))


def run(command: Sequence[str], folder: Path) -> str:
    """Run ``command`` in ``folder`` and return its output; end the check when it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"'{' '.join(command)}' ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(text: str, output: str) -> None:
    """End the check when a command's ``output`` lacks ``text``."""
    if text not in output:
        sys.exit(f"expected '{text}' in the output:\n{output}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
