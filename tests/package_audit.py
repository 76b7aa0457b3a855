"""Asks for known holes in everything that is installed but daprflow itself; for ``tox -e audit``.

A package that cannot be audited is a failure: nobody knows then.
"""

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Write down what there is, and have it audited; return the exit status."""
    found = {each.name: each.version for each in importlib.metadata.distributions()}
    found.pop("daprflow", None)
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "installed.txt"
        lines = [f"{name}=={version}" for name, version in sorted(found.items())]
        listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
        flags = ("--strict", "--no-deps", "--disable-pip", "--progress-spinner", "off")
        words = [sys.executable, "-m", "pip_audit", *flags, "--requirement", str(listed)]
        return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
