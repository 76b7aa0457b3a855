"""The environments: one for each peer, with pinned versions, made once and kept in a cache."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import ROOT

SERVER = ("uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0")
PINNED: Mapping[str, Sequence[str]] = {
    "daprflow": (
        *SERVER,
        "aiohttp==3.14.5",
        "msgspec==0.22.0",
        "redis==8.1.0",
        "starlette==1.10.0",
    ),
    "dapr": (
        *SERVER,
        "dapr[fastapi,grpc]==1.19.0",
        "aiohttp==3.14.5",
        "fastapi==0.165.0",
        "grpcio==1.85.1",
        "pydantic==2.14.3",
        "starlette==1.10.0",
    ),
    "fastapi": (*SERVER, "fastapi==0.165.0", "pydantic==2.14.3", "starlette==1.10.0"),
    "litestar": (*SERVER, "litestar==2.25.0", "msgspec==0.22.0"),
    "faststream": ("faststream[redis]==0.7.8", "redis==8.1.0", "uvloop==0.23.0"),
    "plain": (
        *SERVER,
        "aiohttp==3.14.5",
        "httpx==0.28.1",
        "msgspec==0.22.0",
        "starlette==1.10.0",
    ),
}
"""What each environment has beside what these need themselves; the first also has this project."""
READY = "made.txt"
INSTALLING = 600.0
"""Seconds that an installation may take."""


@dataclass(frozen=True, slots=True)
class Environments:
    """The environments that could be made.

    Attributes:
        pythons: the interpreter of each.
        failed: why there is none of that name.
    """

    pythons: Mapping[str, Path]
    failed: Mapping[str, str] = field(default_factory=dict)

    def python(self, name: str) -> str | None:
        """Return the interpreter of an environment, None where it could not be made."""
        found = self.pythons.get(name)
        return str(found) if found else None


def cache_folder() -> Path:
    """Return where environments are kept by default: in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "daprflow-benchmarks"


def prepare(cache: Path) -> Environments:
    """Make what is missing in ``cache``, which may take a minute the first time."""
    pythons: dict[str, Path] = {}
    failed: dict[str, str] = {}
    for name, pins in PINNED.items():
        own = name == "daprflow"
        requirements = (*pins, "--editable", str(ROOT)) if own else tuple(pins)
        key = fingerprint((*requirements, *(_dependencies() if own else ())))
        try:
            pythons[name] = _made(cache / f"{name}-{key}", requirements)
        except (OSError, subprocess.SubprocessError) as error:
            failed[name] = f"its environment could not be made: {_reason(error)}"
            print(f"{name}: {failed[name]}")
    return Environments(pythons, failed)


def fingerprint(requirements: Sequence[str]) -> str:
    """Return a name for these requirements on this Python, so that a change makes a new one."""
    text = "\n".join((sys.version, *requirements))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _dependencies() -> Sequence[str]:
    """Return what this project itself requires."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return tuple(map(str, project["dependencies"]))


def _made(folder: Path, requirements: Sequence[str]) -> Path:
    python = folder / "bin" / "python"
    if (folder / READY).exists() and python.exists():
        return python
    print(f"installing {' '.join(requirements)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(folder))
    _run(str(python), "-m", "pip", "install", "--quiet", *requirements)
    _run(str(python), "-m", "compileall", "-q", str(folder / "lib"), check=False)
    (folder / READY).write_text("\n".join(requirements), encoding="utf-8")
    return python


def _run(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, capture_output=True, text=True, timeout=INSTALLING)


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", "") or str(error)
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
