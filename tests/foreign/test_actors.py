"""Actors with the official SDKs, unmodified, beside the embedded sidecar."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.foreign.test_java import JAVA, JAVAC, MVN
from tests.foreign.test_java import SOURCE as JAVA_SOURCE
from tests.foreign.test_javascript import NODE, NPM
from tests.foreign.test_javascript import SOURCE as JAVASCRIPT_SOURCE
from tests.helpers.cli_run import Run
from tests.helpers.foreign import fetched
from tests.helpers.own_ports import free_port

PYTHON_SOURCE = Path(__file__).parent / "python"
SEEN = {
    "added": [["one"], ["one", "two"]],
    "other": ["three"],
    "failed": True,
    "ticked": ["last", "one", "r reminded", "timed", "two"],
    "anew": ["first"],
}

pytestmark = [pytest.mark.sockets, pytest.mark.timeout(300)]  # what they need may be fetched


def seen_by(folder: Path, *command: str, speaks: str = "HTTP") -> Any:
    """Return what an app that ends by itself told of its actors."""
    ports = ("--dapr-http-port", str(free_port()), "--dapr-grpc-port", str(free_port()))
    app = ("--app-id", "books", "--app-port", str(free_port()), "--app-protocol", speaks.lower())
    words = ("run", "--ephemeral", *app, *ports, "--", *command)
    with Run(folder, *words, env={"SPEAKS": speaks}) as run:
        assert run.ended() == 0, run.text
    (line,) = (line for line in run.lines if line.startswith('{"added"'))
    return json.loads(line)


@pytest.mark.parametrize("speaks", ["HTTP", "GRPC"])
def test_python(tmp_path: Path, speaks: str) -> None:
    """Calls, state, timers, reminders and reentrancy work, over HTTP and through a stream."""
    pytest.importorskip("dapr.ext.fastapi")
    seen = seen_by(tmp_path, sys.executable, str(PYTHON_SOURCE / "actors.py"), speaks=speaks)
    assert seen == {**SEEN, "deep": 3}


@pytest.mark.skipif(not (NODE and NPM), reason="needs node and npm")
def test_javascript(tmp_path: Path) -> None:
    """Calls, state, timers and reminders work."""
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier")
    bounded = ("--prefer-offline", "--fetch-retries=1")
    install = (NPM, "install", *quiet, "--ignore-scripts", *bounded)
    modules = fetched(JAVASCRIPT_SOURCE, ("package.json",), install) / "node_modules"
    shutil.copy(JAVASCRIPT_SOURCE / "actors.js", tmp_path)
    (tmp_path / "node_modules").symlink_to(modules)
    assert seen_by(tmp_path, NODE, "actors.js") == SEEN


@pytest.mark.skipif(not (JAVA and JAVAC and MVN), reason="needs a JDK and Maven")
def test_java(tmp_path: Path) -> None:
    """Calls, state, timers and reminders work; the SDK leaves the routes to the app."""
    copy = ("dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime")
    libraries = fetched(JAVA_SOURCE, ("pom.xml",), (MVN, "-q", "-B", "-ntp", *copy)) / "lib"
    path = f"{libraries}/*"
    compile_it = (JAVAC, "-cp", path, "-d", str(tmp_path), str(JAVA_SOURCE / "Actors.java"))
    subprocess.run(compile_it, check=True, capture_output=True)
    assert seen_by(tmp_path, JAVA, "-cp", f"{tmp_path}:{path}", "Actors") == SEEN
