"""Workflows of an app that runs several times: who works, and who goes on."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.runtime import Runtime
from daprflow.sidecar.workflows.host import StreamEnded, WorkStream
from tests.helpers.replicas import APP, Replica, shop
from tests.helpers.scripted_worker import ScriptedWorker, end, task
from tests.helpers.sidecar import Components
from tests.helpers.timing import eventually

IN_A_STORE: Components = {"one": ("state.in-memory", {"actorStateStore": "true"})}
IN_THE_ENGINE: Components = {}
STEPS = 4


async def worker_of(runtime: Runtime) -> ScriptedWorker:
    """Connect a worker to the sidecar of one replica."""
    hub = await runtime.engine.workflows()
    await runtime.workflows.api()
    stream = WorkStream(stateful=False, limit=-1, replica=runtime.replica)
    return ScriptedWorker(hub, APP, stream)


async def work(worker: ScriptedWorker, did: Counter[str], chance: random.Random) -> None:
    """Work off what comes: each instance calls an activity so many times, then ends."""
    try:
        while True:
            item = await worker.take()
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            if item.HasField("activityRequest"):
                did["tasks"] += 1
                await worker.done(item)
                continue
            did["turns"] += 1
            request = item.workflowRequest
            events = (*request.pastEvents, *request.newEvents)
            step = sum(each.HasField("taskCompleted") for each in events)
            action = end(step + 1) if step == STEPS else task(step + 1)
            await worker.answer(item, action)
    except (StreamEnded, TimeoutError):
        pass
    finally:
        worker.leave()


async def begin(runtime: Runtime, names: Iterable[str]) -> None:
    """Start instances through the sidecar of one replica."""
    api = await runtime.workflows.api()
    for name in names:
        await api.start(wf.CreateInstanceRequest(instanceId=name, name="w"))


async def over(runtime: Runtime, names: Iterable[str]) -> None:
    """Wait until instances have completed."""
    api = await runtime.workflows.api()
    for name in names:
        async with asyncio.timeout(30):
            state = await api.completed(name, payloads=False)
        assert state.workflowStatus == wf.ORCHESTRATION_STATUS_COMPLETED


@pytest.mark.parametrize("components", [IN_THE_ENGINE, IN_A_STORE], ids=["engine", "store"])
async def test_workers_of_replicas_share(tmp_path: Path, components: Components) -> None:
    """Turns and activities go to the workers of all replicas, whoever started the instance."""
    async with shop(tmp_path, components, data_dir=tmp_path) as found:
        replicas = await found.start(1, 2, 3)
        did = [Counter[str]() for _ in replicas]
        chance = random.Random(1)  # noqa: S311 - no secrets
        workers = [
            asyncio.create_task(work(await worker_of(each.runtime), mine, chance))
            for each, mine in zip(replicas, did, strict=True)
        ]
        assert [each.runtime.workflows.connected_workers for each in replicas] == [1, 1, 1]
        names = [f"i{number}" for number in range(12)]
        await begin(replicas[0].runtime, names)
        await over(replicas[2].runtime, names)
        assert sum(each["tasks"] for each in did) == 12 * STEPS
        assert all(each["turns"] and each["tasks"] for each in did)
        for each in replicas:
            await each.runtime.close(1.0)
        await asyncio.gather(*workers)


@pytest.mark.parametrize("components", [IN_THE_ENGINE, IN_A_STORE], ids=["engine", "store"])
@pytest.mark.parametrize("seed", range(3))
async def test_replicas_that_leave_under_load(
    tmp_path: Path, components: Components, seed: int
) -> None:
    """What a worker had goes to others when it dies or its sidecar ends; each instance ends."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    async with shop(tmp_path, components, data_dir=tmp_path) as found:
        replicas = await found.start(1, 2, 3)
        did: Counter[str] = Counter()
        tasks = {
            each.number: asyncio.create_task(work(await worker_of(each.runtime), did, chance))
            for each in replicas
        }
        names = [f"i{number}" for number in range(20)]
        beginning = asyncio.create_task(begin(replicas[2].runtime, names))
        steps = chance.randrange(5, 30)
        await eventually(lambda: did.total() >= steps, 30)
        tasks[1].cancel()  # as a stream that breaks off
        await eventually(lambda: did.total() >= 2 * steps, 30)
        await found.stop(2)
        await tasks[2]
        assert replicas[1].runtime.workflows.connected_workers == 0
        assert replicas[2].runtime.workflows.connected_workers == 1
        await beginning
        await over(replicas[2].runtime, names)
        await found.stop(1)
        await begin(replicas[2].runtime, ["last"])
        await over(replicas[2].runtime, ["last"])
        await found.stop(3)
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def test_a_replica_that_comes_finds_what_there_is(tmp_path: Path) -> None:
    """A later one takes part in instances that others began, and keeps them when those leave."""
    async with shop(tmp_path, IN_A_STORE, data_dir=tmp_path) as found:
        one: Replica = (await found.start(1))[0]
        first = await worker_of(one.runtime)
        await begin(one.runtime, ["i1"])
        await first.answer(await first.turn(), task(1))
        two = (await found.start(2))[0]
        second = await worker_of(two.runtime)
        first.leave()
        await one.runtime.close(1.0)
        await second.done(await second.task())
        await second.answer(await second.turn(), end(2))
        await over(two.runtime, ["i1"])
