"""Workflows of an app: in one process with its sidecar, over sockets, and beside a real runtime."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daprflow import Client, NotFound, SidecarError, WorkflowFailed
from daprflow.client.workflow_runs import WorkflowRun
from daprflow.protocol.workflow_actions import WorkflowState
from daprflow.settings import Settings
from daprflow.testing import TestSidecar, replay
from tests.helpers import workflow_app as flows
from tests.helpers.cli_run import Run
from tests.helpers.real_runtime import home_of, services
from tests.helpers.workflow_app import Order, app

TOKEN = "token-of-this-test"
ROOT = Path(__file__).parents[2]
HELPERS = ROOT / "tests" / "helpers"
WITHIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Hosted:
    """A running app: how its workflows are managed, and how time passes."""

    client: Client
    wait: Callable[[float], Awaitable[None]]

    async def until(self, run: WorkflowRun[Any], state: WorkflowState) -> None:
        """Wait until an instance is in a state."""
        async with asyncio.timeout(WITHIN.total_seconds()):
            while (await run.status()).state is not state:
                await self.wait(0.05)

    async def result(self, run: WorkflowRun[Any], seconds: float = 0) -> Any:
        """Let time pass, and return what comes of an instance."""
        await self.wait(seconds)
        return await run.result(WITHIN)


async def doubled(number: int) -> int:
    """Stand for the other app's activity."""
    return number * 2


async def doubled_order(order: Order) -> Order:
    """Stand for the other app's workflow."""
    return Order(order.id, order.total * 2)


async def in_process(_: pytest.FixtureRequest) -> AsyncIterator[Hosted]:
    """The app in this process, on a clock that is moved."""
    async with TestSidecar(app) as dapr:

        async def wait(seconds: float) -> None:
            await dapr.advance(timedelta(seconds=seconds))

        dapr.fake(flows.remote_double, doubled)
        dapr.fake(flows.remote_order, doubled_order)
        yield Hosted(dapr.client, wait)


@contextlib.asynccontextmanager
async def client_of(run: Run, token: str = "") -> AsyncIterator[Client]:
    """Give a client of a sidecar that runs."""
    settings = Settings(
        http_endpoint=f"http://127.0.0.1:{run.port('HTTP')}",
        grpc_endpoint=f"127.0.0.1:{run.port('gRPC')}",
        api_token=token,
    )
    async with Client(settings) as client:
        yield client


@contextlib.contextmanager
def both(folder: Path, *words: str, beside: Path | None = None, **env: str) -> Iterator[Run]:
    """Run the app and the other app, with an engine in common unless that is ``beside``."""
    paths = {"PYTHONPATH": str(ROOT), **env}
    with (
        Run(folder, "run", str(HELPERS / "workflow_app.py"), *words, env=paths) as run,
        Run(
            beside or folder, "run", str(HELPERS / "workflow_other.py"), *words, env=paths
        ) as other,
    ):
        run.ready()
        other.ready()
        yield run


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The apps and their sidecar as processes of ``daprflow run``."""
    with both(tmp_path_factory.mktemp("embedded"), "--sidecar", "embedded") as run:
        yield run


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The apps beside real runtimes, where ``--dapr-runtime`` names one."""
    home = home_of(request.config)
    folder, other = tmp_path_factory.mktemp("real"), tmp_path_factory.mktemp("other")
    env = {"DAPR_RUNTIME_PATH": str(home), "DAPR_API_TOKEN": TOKEN}
    with (
        services(home, folder) as found,
        both(folder, "--sidecar", "daprd", *found.flags, beside=other, **env) as run,
    ):
        yield run


async def over_sockets(request: pytest.FixtureRequest) -> AsyncIterator[Hosted]:
    """The app in a process of its own, with the embedded sidecar."""
    async with client_of(request.getfixturevalue("embedded")) as client:
        yield Hosted(client, asyncio.sleep)


async def on_the_real_runtime(request: pytest.FixtureRequest) -> AsyncIterator[Hosted]:
    """The app in a process of its own, with a real runtime."""
    async with client_of(request.getfixturevalue("real"), TOKEN) as client:
        yield Hosted(client, asyncio.sleep)


@pytest.fixture(
    params=[
        in_process,
        pytest.param(over_sockets, marks=pytest.mark.sockets),
        pytest.param(on_the_real_runtime, marks=pytest.mark.sockets),
    ],
    ids=["in process", "sockets", "real runtime"],
)
async def hosted(request: pytest.FixtureRequest) -> AsyncIterator[Hosted]:
    """The app behind a sidecar, which the tests of this module share but in one process."""
    async for each in request.param(request):
        yield each


async def test_the_language(hosted: Hosted) -> None:
    """Calls, children, timers, events, restarts, retries and sagas do what their page says."""
    client, order = hosted.client, Order("o", 3)
    assert await hosted.result(await client.start(flows.chain, 5)) == 32
    assert await hosted.result(await client.start(flows.fan, 3)) == [0, 2, 4, 400, 800]
    failed = await client.start(flows.failing_child, order)
    assert await hosted.result(failed) == [
        "ActivityFailed",
        "ValueError",
        "no order 'o'",
        "KeyError",
    ]
    assert await hosted.result(await client.start(flows.undoing, "key")) == "ValueError [1, 1]"
    retried = await client.start(flows.retrying, "key")
    assert await hosted.result(retried, 1) == [3, 3]
    same = await client.start(flows.determined, id="same")
    assert await hosted.result(same, 1) == ["True", "True", "False", "same"]
    assert await hosted.result(await client.start(flows.patched)) == [True, True, True]
    assert await hosted.result(await client.start(flows.versioned_2)) == "new 2"


async def test_children(hosted: Hosted) -> None:
    """Children have results, ids of their own, and may be left alone."""
    run = await hosted.client.start(flows.parent, Order("o", 3), id="family")
    assert await hosted.result(run) == [Order("o", 6), Order("o", 12)]
    alone = hosted.client.workflow(flows.child, "family-alone")
    assert await hosted.result(alone) == Order("o", 24)


async def test_events(hosted: Hosted) -> None:
    """Events are awaited for a time, in any case of their names, raced, and kept over a restart."""
    client = hosted.client
    late = await client.start(flows.patient, Order("o", 3))
    await hosted.wait(1)
    assert (await late.status()).custom_status == '{"late":"o"}'
    await late.send(flows.added, Order("p", 4))
    assert await hosted.result(late) == "o 7"
    answered = await client.start(flows.racer, 60.0)
    await client.workflow(flows.racer, answered.id).send(flows.approved, data=True)
    assert await hosted.result(answered) == "answered True"
    assert await hosted.result(await client.start(flows.racer, 0.1), 1) == "late"
    counted = await client.start(flows.counter, 0)
    for number in range(1, 6):
        await counted.send(flows.added, Order("more", number))
    await counted.send(flows.added, Order("last", 100))
    assert await hosted.result(counted) == 115


async def test_forgotten_events(hosted: Hosted) -> None:
    """Events that came before a restart are gone where it says so."""
    run = await hosted.client.start(flows.forgetful, 0)
    await run.send(flows.added, Order("old", 1))
    await run.send(flows.approved, data=True)
    assert await hosted.result(run, 1) == Order("none", 0)


async def test_failures(hosted: Hosted) -> None:
    """A failed workflow tells why, with the cause."""
    run = await hosted.client.start(flows.failing, Order("o", 3))
    with pytest.raises(WorkflowFailed, match="no order 'o'") as caught:
        await hosted.result(run)
    status = await run.status()
    assert (status.state, status.ended, status.output) == (WorkflowState.FAILED, True, None)
    assert status.failure == caught.value.failure
    assert status.input == Order("o", 3)


async def test_suspension(hosted: Hosted) -> None:
    """A suspended instance takes events later; resuming one that runs changes nothing."""
    run = await hosted.client.start(flows.waiting, Order("o", 3))
    await run.suspend("a pause")
    await hosted.until(run, WorkflowState.SUSPENDED)
    await run.send(flows.added, Order("p", 4))
    await hosted.wait(0.3)
    assert (await run.status()).state is WorkflowState.SUSPENDED
    await run.resume()
    assert await hosted.result(run) == 4
    await run.resume()
    assert (await run.status()).state is WorkflowState.COMPLETED


async def test_termination_and_purge(hosted: Hosted) -> None:
    """Terminating ends children, too; purging forgets them; one that runs is not forgotten."""
    client = hosted.client
    run = await client.start(flows.waiting, Order("o", 3), id="tree")
    young = client.workflow(flows.waiting_child, "tree-child")
    await hosted.wait(0.5)
    assert (await run.status()).custom_status == "waiting"
    with pytest.raises(SidecarError):
        await run.purge()
    await run.terminate({"why": "over"})
    with pytest.raises(WorkflowFailed, match="was terminated"):
        await hosted.result(run)
    await hosted.until(young, WorkflowState.TERMINATED)
    assert await run.purge() == 2
    for gone in (run, young):
        with pytest.raises(NotFound):
            await gone.status()
    forced = partial(run.purge, force=True)
    for act in (run.suspend, run.resume, run.terminate, run.history, run.purge, forced):
        with pytest.raises(NotFound):
            await act()
    with pytest.raises(NotFound):
        await run.send(flows.added, Order("o", 1))


async def test_ids(hosted: Hosted) -> None:
    """An id is in use until its instance has ended, and for ever where that is asked for."""
    client = hosted.client
    run = await client.start(flows.waiting_child, Order("o", 3), id="one")
    with pytest.raises(SidecarError):
        await client.start(flows.waiting_child, Order("o", 3), id="one")
    await run.send(flows.approved, data=True)
    assert await hosted.result(run) == "o"
    with pytest.raises(SidecarError, match="already exists"):
        await client.start(flows.chain, 1, id="one", reuse=False)
    again = await client.start(flows.chain, 1, id="one")
    assert await hosted.result(again) == 2


async def test_history_and_rerun(hosted: Hosted) -> None:
    """A history tells each step, and an instance can be begun again from one, with other data."""
    run = await hosted.client.start(flows.adding, 1)
    assert await hosted.result(run) == 6
    steps = [type(event).__name__ for event in await run.history()]
    assert steps == [
        *("WorkflowStarted", "ExecutionStarted", "TaskScheduled"),
        *("WorkflowStarted", "TaskCompleted", "TaskScheduled"),
        *("WorkflowStarted", "TaskCompleted", "ExecutionCompleted"),
    ]
    assert await hosted.result(await run.rerun(1, id="again")) == 6
    other = await run.rerun(2, data=10)
    assert await hosted.result(other) == 22
    for recorded in (run, other):
        replay(flows.adding, await recorded.history())
    with pytest.raises(NotFound):
        await run.rerun(7)


async def test_listing(hosted: Hosted) -> None:
    """Instances are found by workflow, state and time."""
    client, before = hosted.client, datetime.now(UTC) - timedelta(days=1)
    done = [await client.start(flows.chain, 1) for _ in range(3)]
    for run in done:
        await hosted.result(run)
    held = await client.start(flows.waiting_child, Order("o", 3))
    found = {each.id async for each in client.workflows(flows.chain)}
    assert found >= {run.id for run in done}
    assert held.id not in found
    running = {each.id async for each in client.workflows(state=WorkflowState.RUNNING)}
    assert held.id in running
    assert running.isdisjoint(found)
    assert [each async for each in client.workflows(until=before)] == []


async def test_later(hosted: Hosted) -> None:
    """What is started for later begins then, and can be seen before."""
    run = await hosted.client.start(flows.chain, 3, at=timedelta(seconds=1))
    assert (await run.status()).state is WorkflowState.PENDING
    assert await hosted.result(run, 1.5) == 8


async def test_another_app(hosted: Hosted) -> None:
    """Activities and children of another app are used like one's own."""
    run = await hosted.client.start(flows.remote, Order("o", 21))
    assert await hosted.result(run) == [42, 42]
