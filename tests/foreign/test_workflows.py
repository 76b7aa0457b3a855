"""Workflows with the official SDKs, unmodified, on the embedded sidecar, and mixed with ours."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from daprflow import Client, NotFound, WorkflowFailed
from daprflow.client.workflow_runs import WorkflowRun
from daprflow.protocol.workflow_actions import WorkflowState
from daprflow.settings import Settings
from tests.foreign.test_java import JAVA, JAVAC, MVN
from tests.foreign.test_java import SOURCE as JAVA_SOURCE
from tests.foreign.test_javascript import NODE, NPM
from tests.foreign.test_javascript import SOURCE as JAVASCRIPT_SOURCE
from tests.helpers.cli_run import Run
from tests.helpers.foreign import fetched
from tests.helpers.http_client import RawClient
from tests.helpers.own_ports import free_port
from tests.helpers.workflow_mixed import Order, Toured, go, ours, tour

ROOT = Path(__file__).parents[2]
PYTHON_SOURCE = Path(__file__).parent / "python"
OURS = ROOT / "tests" / "helpers" / "workflow_mixed.py"
BARE = Toured(doubled=6, fan=[2, 4, 6], child=Order("o", 6), tries=3, go=Order("go", 1))
WHOLE = msgspec.structs.replace(BARE, ours=(12, Order("o", 12)))

pytestmark = [pytest.mark.sockets, pytest.mark.timeout(300)]  # what they need may be fetched


@dataclass(frozen=True, slots=True)
class Both:
    """Our app and one with another SDK, each with a client and a sidecar of its own.

    Attributes:
        theirs: a client of the other app's sidecar.
        http: that sidecar's HTTP API.
        seen: what the other app's client told of our workflow.
    """

    ours: Client
    theirs: Client
    http: RawClient
    seen: list[str]


async def until_waiting(
    run: WorkflowRun[Toured], state: WorkflowState = WorkflowState.RUNNING
) -> None:
    """Wait until an instance has come to its event, and is in a state."""
    async with asyncio.timeout(20):
        while (status := await run.status()).state is not state or not status.custom_status:
            assert not status.ended, status
            await asyncio.sleep(0.02)


def client_of(http: int, grpc: int) -> Client:
    """Return a client of a sidecar, by its ports."""
    return Client(
        Settings(
            http_endpoint=f"http://127.0.0.1:{http}",
            grpc_endpoint=f"127.0.0.1:{grpc}",
        )
    )


@asynccontextmanager
async def both(folder: Path, command: Sequence[str]) -> AsyncIterator[Both]:
    """Run our app, and beside it a program, which ends its start with a line of JSON."""
    path = {"PYTHONPATH": str(ROOT)}
    with Run(folder, "run", str(OURS), "--sidecar", "embedded", "--ephemeral", env=path) as run:
        run.ready()
        env = {"OTHER_GRPC_PORT": str(run.port("gRPC"))}
        http, grpc = free_port(), free_port()  # its line may come before the banner
        ports = ("--dapr-http-port", str(http), "--dapr-grpc-port", str(grpc))
        app = ("run", "--app-id", "theirs", "--sidecar", "embedded", "--ephemeral", *ports)
        with Run(folder, *app, "--", *command, env=env) as other:
            told = await asyncio.to_thread(other.until, '{"ours"')
            seen = json.loads(told[told.index("{") :])["ours"]
            here = client_of(run.port("HTTP"), run.port("gRPC"))
            async with here, client_of(http, grpc) as there:
                yield Both(here, there, RawClient(http), seen)


async def check(apps: Both, toured: Toured) -> None:
    """Go through all that the two apps do with each other."""
    assert apps.seen == ["COMPLETED", "[6,6,5]"]  # their client with our workflow, which used them
    await _managed(apps, toured)
    await _ended_early(apps)
    run = await apps.ours.start(ours, Order("o", 10))
    await run.send(go, Order("go", 1))
    assert await run.result() == [20, 20, 1]


async def _managed(apps: Both, toured: Toured) -> None:
    """Our client starts, suspends, resumes, tells and forgets their workflow."""
    run = await apps.theirs.start(tour, Order("o", 3), id="t1")
    await until_waiting(run)
    await run.suspend("a pause")
    await until_waiting(run, WorkflowState.SUSPENDED)
    await run.send(go, Order("go", 1))
    await run.resume()
    assert await run.result() == toured
    answer = await apps.http.call("GET", "/v1.0/workflows/dapr/t1")
    shown = json.loads(answer.body)
    assert (shown["workflowName"], shown["runtimeStatus"]) == ("tour", "COMPLETED")
    assert json.loads(shown["properties"]["dapr.workflow.input"]) == {"id": "o", "total": 3}
    kinds = {type(event).__name__ for event in await run.history()}
    assert kinds >= {"TaskCompleted", "TaskFailed", "ChildCompleted", "TimerFired", "EventRaised"}
    assert await run.purge() >= 2
    with pytest.raises(NotFound):
        await run.status()


async def _ended_early(apps: Both) -> None:
    """Our client terminates their workflow."""
    run = await apps.theirs.start(tour, Order("o", 3))
    await until_waiting(run)
    await run.terminate({"why": "over"})
    with pytest.raises(WorkflowFailed, match="was terminated"):
        await run.result()
    listed = [each.id async for each in apps.theirs.workflows(tour)]
    assert listed == [run.id]


async def test_python(tmp_path: Path) -> None:
    """Workflows of both SDKs call each other's activities and children, managed from both sides."""
    command = (sys.executable, str(PYTHON_SOURCE / "workflows.py"))
    async with both(tmp_path, command) as apps:
        await check(apps, WHOLE)


@pytest.mark.skipif(not (NODE and NPM), reason="needs node and npm")
async def test_javascript(tmp_path: Path) -> None:
    """Ours call theirs, which call nothing of other apps; both are managed from both sides."""
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier")
    bounded = ("--prefer-offline", "--fetch-retries=1")
    install = (NPM, "install", *quiet, "--ignore-scripts", *bounded)
    modules = fetched(JAVASCRIPT_SOURCE, ("package.json",), install) / "node_modules"
    shutil.copy(JAVASCRIPT_SOURCE / "workflows.js", tmp_path)
    (tmp_path / "node_modules").symlink_to(modules)
    async with both(tmp_path, (NODE, "workflows.js")) as apps:
        await check(apps, BARE)


@pytest.mark.skipif(not (JAVA and JAVAC and MVN), reason="needs a JDK and Maven")
async def test_java(tmp_path: Path) -> None:
    """Workflows of both SDKs call each other's activities and children, managed from both sides."""
    copy = ("dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime")
    source = JAVA_SOURCE / "workflows"
    libraries = fetched(source, ("pom.xml",), (MVN, "-q", "-B", "-ntp", *copy)) / "lib"
    path = f"{libraries}/*"
    compile_it = (JAVAC, "-cp", path, "-d", str(tmp_path), str(source / "Workflows.java"))
    await asyncio.to_thread(subprocess.run, compile_it, check=True, capture_output=True)
    async with both(tmp_path, (JAVA, "-cp", f"{tmp_path}:{path}", "Workflows")) as apps:
        await check(apps, WHOLE)
