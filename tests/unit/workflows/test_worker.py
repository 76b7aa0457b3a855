"""The worker over a socket: what it does when sidecars, activities and apps come and go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow import (
    DaprFlow,
    Delivery,
    ExternalEvent,
    SidecarUnavailable,
    WorkflowContext,
    WorkflowFailed,
    trace_context,
)
from daprflow.health import HealthStatus
from daprflow.protocol.history import TaskCompleted
from daprflow.settings import Settings
from daprflow.sidecar.grpc_api.server import GrpcServer
from daprflow.sidecar.options import RuntimeOptions
from daprflow.workflows.options import WorkflowSettings
from tests.helpers.asgi import call_asgi
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.own_ports import free_port
from tests.helpers.timing import eventually

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
WITHIN = 60.0
MEBIBYTE = 1024 * 1024


class Work:
    """An app whose activity waits until it may go on."""

    def __init__(self, port: int, settings: WorkflowSettings) -> None:
        address = Settings(grpc_endpoint=f"127.0.0.1:{port}", health_timeout=0)
        self.app = DaprFlow("app1", settings=address, workflows=settings)
        self.may = asyncio.Event()
        self.begun = asyncio.Event()
        self.ran: list[int] = []
        self.at_once = 0
        self.most = 0
        self.traces: list[str] = []

        @self.app.activity
        async def slow(number: int, *, delivery: Delivery) -> int:
            self.ran.append(number)
            self.traces.append(dict(delivery.headers).get("traceparent", ""))
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            self.begun.set()
            try:
                await self.may.wait()
            finally:
                self.at_once -= 1
            return number

        @self.app.activity
        async def large(size: int) -> str:
            return "x" * size

        @self.app.workflow
        async def flow(ctx: WorkflowContext, count: int) -> int:
            return sum(await ctx.gather(*[ctx.call(slow, number) for number in range(count)]))

        @self.app.workflow
        async def big(ctx: WorkflowContext, size: int) -> int:
            return len(await ctx.call(large, size))

        @self.app.workflow
        async def quick(ctx: WorkflowContext, number: int) -> int:
            return number

        self.go = ExternalEvent("go", int)

        @self.app.workflow
        async def heavy(ctx: WorkflowContext, size: int) -> int:
            parts = await ctx.gather(ctx.call(large, size), ctx.call(large, size))
            ctx.status("heavy")
            return sum(map(len, parts)) + await ctx.wait(self.go)

        self.heavy = heavy
        self.flow = flow
        self.quick = quick
        self.big = big

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the app, with work coming."""
        async with self.app.lifespan():
            async with asyncio.timeout(WITHIN):
                await self.app.works()
            yield


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar that listens for gRPC."""
    async with grpc_sidecar(tmp_path, {}) as made:
        yield made


async def test_an_activity_outlives_its_sidecar(sidecar: GrpcSidecar) -> None:
    """An activity that ends while its sidecar is away is not run again when that is back."""
    work = Work(sidecar.port, WorkflowSettings())
    async with asyncio.timeout(WITHIN), work.running():
        run = await work.app.client.start(work.flow, 1)
        await work.begun.wait()
        await sidecar.server.stop(0)
        work.may.set()
        again = GrpcServer(sidecar.inner.runtime)
        await again.start(sidecar.port)
        try:
            await work.app.works()
            assert await run.result() == 0
            assert await (await work.app.client.start(work.flow, 2)).result() == 1
        finally:
            await again.stop(0)
    assert work.ran == [0, 0, 1]


async def test_what_is_cancelled_at_the_end_runs_again(sidecar: GrpcSidecar) -> None:
    """An activity that does not end in time when its app stops is run by the next one."""
    first = Work(sidecar.port, WorkflowSettings(drain=0.01))
    async with first.running():
        run = await first.app.client.start(first.flow, 1, id="w1")
        await first.begun.wait()
    assert first.at_once == 0
    second = Work(sidecar.port, WorkflowSettings())
    second.may.set()
    async with asyncio.timeout(WITHIN), second.running():
        run = second.app.client.workflow(second.flow, "w1")
        assert await run.result() == 0
    assert (first.ran, second.ran) == ([0], [0])


@pytest.mark.row("FA-07")
async def test_what_ends_in_time_is_answered(sidecar: GrpcSidecar) -> None:
    """An app that stops lets what runs end, and its answer is taken."""
    first = Work(sidecar.port, WorkflowSettings())
    async with first.running():
        await first.app.client.start(first.flow, 1, id="w1")
        await first.begun.wait()
        asyncio.get_running_loop().call_later(0.05, first.may.set)
    second = Work(sidecar.port, WorkflowSettings())
    async with asyncio.timeout(WITHIN), second.running():
        assert await second.app.client.workflow(second.flow, "w1").result() == 0
    assert (first.ran, second.ran) == ([0], [])


async def test_activities_are_limited(sidecar: GrpcSidecar) -> None:
    """Of 1,000 activities no more run at once than the app says, and workflows go on meanwhile."""
    work = Work(sidecar.port, WorkflowSettings(max_activities=7))
    async with asyncio.timeout(WITHIN), work.running():
        run = await work.app.client.start(work.flow, 1000)
        await eventually(lambda: work.at_once == 7)
        assert await (await work.app.client.start(work.quick, 3)).result() == 3
        work.may.set()
        assert await run.result() == sum(range(1000))
    assert work.most == 7
    assert sorted(work.ran) == list(range(1000))


async def test_what_waits_is_left_to_others_at_the_end(sidecar: GrpcSidecar) -> None:
    """An app that stops begins no activity any more, and ends when those are done that run."""
    first = Work(sidecar.port, WorkflowSettings(max_activities=1, drain=WITHIN))
    async with first.running():
        await first.app.client.start(first.flow, 3, id="w1")
        await first.begun.wait()
        asyncio.get_running_loop().call_later(0.05, first.may.set)
    second = Work(sidecar.port, WorkflowSettings())
    second.may.set()
    async with asyncio.timeout(WITHIN), second.running():
        assert await second.app.client.workflow(second.flow, "w1").result() == 3
    assert first.ran == [0]
    assert sorted(second.ran) == [1, 2]


async def test_workers_share_what_is_to_be_done(sidecar: GrpcSidecar) -> None:
    """Two processes of one app each do a part, nothing twice; one goes on without the other."""
    first, second = (Work(sidecar.port, WorkflowSettings()) for _ in range(2))
    async with asyncio.timeout(WITHIN), first.running():
        async with second.running():
            run = await first.app.client.start(first.flow, 20)
            await eventually(lambda: first.at_once + second.at_once == 20)
            assert first.at_once
            assert second.at_once
            first.may.set()
            second.may.set()
            assert await run.result() == sum(range(20))
            assert sorted(first.ran + second.ran) == list(range(20))
        assert await (await first.app.client.start(first.flow, 5)).result() == 10


@pytest.mark.row("FA-35")
async def test_what_is_too_large_fails_clearly(sidecar: GrpcSidecar) -> None:
    """A result that no message holds fails its activity, and says what to do; others go on."""
    work = Work(sidecar.port, WorkflowSettings())
    work.may.set()
    async with asyncio.timeout(WITHIN), work.running():
        run = await work.app.client.start(work.big, 5 * 1024 * 1024)
        with pytest.raises(WorkflowFailed, match="more than the sidecar takes"):
            await run.result()
        assert await (await work.app.client.start(work.flow, 2)).result() == 1


async def test_a_long_history_comes_as_a_whole(tmp_path: Path) -> None:
    """A process that is new to an instance is sent all of it, however little gRPC takes unasked."""
    options = RuntimeOptions("app1", max_body_size=32 * MEBIBYTE)
    async with asyncio.timeout(WITHIN), grpc_sidecar(tmp_path, {}, options=options) as sidecar:
        first = Work(sidecar.port, WorkflowSettings())
        async with first.running():
            run = await first.app.client.start(first.heavy, 3 * MEBIBYTE, id="w1")
            while (await run.status()).custom_status != "heavy":  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
        second = Work(sidecar.port, WorkflowSettings())
        async with second.running():
            run = second.app.client.workflow(second.heavy, "w1")
            await run.send(second.go, 1)
            assert await run.result() == 6 * MEBIBYTE + 1


@pytest.mark.parametrize("replay", [False, True])
async def test_a_history_that_no_message_holds(sidecar: GrpcSidecar, *, replay: bool) -> None:
    """A history that is longer than any message reaches the next process, and users, in pages."""
    async with asyncio.timeout(WITHIN):
        first = Work(sidecar.port, WorkflowSettings(replay=replay))
        async with first.running():
            run = await first.app.client.start(first.heavy, 3 * MEBIBYTE, id="w1")
            while (await run.status()).custom_status != "heavy":  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
        second = Work(sidecar.port, WorkflowSettings())
        async with second.running():
            run = second.app.client.workflow(second.heavy, "w1")
            await run.send(second.go, 1)
            assert await run.result() == 6 * MEBIBYTE + 1
            results = [each for each in await run.history() if isinstance(each, TaskCompleted)]
            assert sum(len(each.result or "") for each in results) > 6 * MEBIBYTE


async def test_traces_reach_activities(sidecar: GrpcSidecar) -> None:
    """The trace of who starts a workflow goes along to its activities."""
    work = Work(sidecar.port, WorkflowSettings())
    work.may.set()
    async with asyncio.timeout(WITHIN), work.running():
        with trace_context(PARENT):
            run = await work.app.client.start(work.flow, 1)
        await run.result()
    assert [each.split("-")[1] for each in work.traces] == [PARENT.split("-")[1]]


async def test_kept_workflows_are_bounded(sidecar: GrpcSidecar) -> None:
    """Workflows that are given up from memory are replayed, with the same result."""
    work = Work(sidecar.port, WorkflowSettings(kept=1))
    async with asyncio.timeout(WITHIN), work.running():
        runs = [await work.app.client.start(work.flow, 2) for _ in range(4)]
        work.may.set()
        assert [await each.result() for each in runs] == [1, 1, 1, 1]


def stream(app: DaprFlow) -> HealthStatus:
    """How the stream of workflows is."""
    return next(each.status for each in app.health.report().parts if each.part == "stream")


async def test_an_app_without_a_sidecar_is_not_ready() -> None:
    """While no work comes, the app says that it is not ready; it ends at once all the same."""
    work = Work(free_port(), WorkflowSettings())
    async with asyncio.timeout(WITHIN), work.app.lifespan():
        answer = await call_asgi(work.app, "GET", "/readyz")
        assert (answer.status, b'"name":"workflows"' in answer.body) == (503, True)
        assert (await call_asgi(work.app, "GET", "/healthz")).status == 200


async def test_readiness_comes_with_work(sidecar: GrpcSidecar) -> None:
    """Once work comes, the app is ready."""
    work = Work(sidecar.port, WorkflowSettings())
    async with asyncio.timeout(WITHIN), work.running():
        assert stream(work.app) is HealthStatus.READY


async def test_readiness_goes_with_the_sidecar(sidecar: GrpcSidecar) -> None:
    """While the sidecar is away the app is not ready, and it is again when that is back."""
    work = Work(sidecar.port, WorkflowSettings())
    async with asyncio.timeout(WITHIN), work.running():
        await sidecar.server.stop(0)
        while stream(work.app) is HealthStatus.READY:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        again = GrpcServer(sidecar.inner.runtime)
        await again.start(sidecar.port)
        try:
            await work.app.works()
            assert stream(work.app) is HealthStatus.READY
        finally:
            await again.stop(0)


@pytest.mark.row("FA-02")
async def test_a_late_sidecar_is_found(sidecar: GrpcSidecar) -> None:
    """An app that began long before its sidecar takes work when that comes."""
    port = free_port()
    work = Work(port, WorkflowSettings())
    work.may.set()
    async with asyncio.timeout(WITHIN), work.app.lifespan():
        with pytest.raises(SidecarUnavailable):
            await work.app.client.start(work.flow, 1)
        late = GrpcServer(sidecar.inner.runtime)
        await late.start(port)
        try:
            await work.app.works()
            run = None
            while run is None:  # the client's channel is another one, and looks when it is its time
                with contextlib.suppress(SidecarUnavailable):
                    run = await work.app.client.start(work.flow, 2)
            assert await run.result() == 1
        finally:
            await late.stop(0)
