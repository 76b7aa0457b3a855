"""Asks for known holes in everything that is installed but daprflow itself; for ``tox -e audit``.

A package that cannot be audited is a failure: nobody knows then.
"""

import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SERVICE = "PIP_AUDIT_VULNERABILITY_SERVICE"
FOUND = re.compile(r"Found \d+ known vulnerabilit")
"""What pip-audit writes when it has asked for all, and some have holes."""


def main() -> int:
    """Write down what there is, have it audited, and say what came of it; return the status."""
    found = {each.name: each.version for each in importlib.metadata.distributions()}
    found.pop("daprflow", None)
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "installed.txt"
        lines = [f"{name}=={version}" for name, version in sorted(found.items())]
        listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
        flags = ("--strict", "--no-deps", "--disable-pip", "--progress-spinner", "off")
        words = [sys.executable, "-m", "pip_audit", *flags, "--requirement", str(listed)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    service = os.environ.get(SERVICE, "pypi")
    sys.stdout.write(f"{verdict(done.returncode, done.stderr, len(found), service)}\n")
    return done.returncode


def verdict(status: int, said: str, packages: int, service: str) -> str:
    """Return what an audit came to, in one line.

    Args:
        status: of pip-audit.
        said: what it wrote on its standard error.
        packages: how many were asked for.
        service: where.
    """
    if not status:
        return f"audit: no known hole in {packages} packages, as '{service}' says"
    if not FOUND.search(said):
        return (
            f"audit: NOT DONE: service '{service}' did not tell of all {packages} packages, so "
            "nobody knows of holes in them. A mirror of an index often has no such data: run it "
            f"where the index itself is reached, or with another service, '{SERVICE}=osv'"
        )
    return f"audit: known holes among {packages} packages, listed above; raise their floors"


if __name__ == "__main__":
    sys.exit(main())
