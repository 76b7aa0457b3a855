"""Activities that raise or return what is hard to pass on: each is answered, and none hangs."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from daprflow import (
    Activity,
    ActivityFailed,
    Client,
    DaprFlow,
    Delivery,
    Workflow,
    WorkflowContext,
    WorkflowFailed,
    trace_context,
)
from daprflow.settings import Settings
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
WITHIN = 60.0
THREADS = 2


class Mute(Exception):  # noqa: N818 - named for what it does
    """An error that cannot say anything."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unusual(BaseException):
    """An error that is no exception."""


class Odd:
    """What has no JSON form."""


def raising(error: BaseException) -> Callable[[], Any]:
    """Return what raises."""

    def odd() -> Any:
        raise error

    return odd


def looped() -> Exception:
    """Return an error that is its own cause."""
    error = ValueError("round")
    error.__cause__ = error
    return error


ODD: dict[str, Callable[[], Any]] = {
    "surrogate": raising(ValueError("\ud800")),
    "mute": raising(Mute()),
    "huge": raising(ValueError("x" * 5_000_000)),
    "exit": raising(SystemExit(3)),
    "cancelled": raising(asyncio.CancelledError()),
    "stop": raising(StopIteration()),
    "base": raising(Unusual()),
    "group": raising(BaseExceptionGroup("many", [KeyError("a"), ValueError("\udfff")])),
    "looped": raising(looped()),
    "object": Odd,
    "text": lambda: "\ud800",
    "nested": lambda: {"a": [Odd()]},
    "number": lambda: 2**70,
    "nan": lambda: float("nan"),
}


class Stage:
    """An app with odd activities."""

    def __init__(self, port: int) -> None:
        address = Settings(grpc_endpoint=f"127.0.0.1:{port}", health_timeout=0)
        self.app = DaprFlow("app1", settings=address, threads=THREADS)
        self.lock = threading.Lock()
        self.at_once = self.most = 0
        self.traces: list[tuple[str, str]] = []
        self.flow, self.label = self.with_odd()
        self.many, self.misfit = self.with_plain()
        self.outer = self.with_traced()

    def with_odd(self) -> tuple[Workflow[str, str], Workflow[None, None]]:
        """Add what does odd things."""

        @self.app.activity
        async def odd(name: str) -> Any:
            return ODD[name]()

        @self.app.workflow
        async def flow(ctx: WorkflowContext, name: str) -> str:
            try:
                await ctx.call(odd, name)
            except ActivityFailed as failed:
                return failed.failure.type
            return "done"

        @self.app.workflow
        async def label(ctx: WorkflowContext) -> None:
            ctx.status("\ud800")

        return flow, label

    def with_plain(self) -> tuple[Workflow[int, int], Workflow[None, str]]:
        """Add what runs in threads."""

        @self.app.activity
        def plain(number: int) -> int:
            with self.lock:
                self.at_once += 1
                self.most = max(self.most, self.at_once)
            threading.Event().wait(0.002)
            with self.lock:
                self.at_once -= 1
            return number

        wrong: Activity[str, int] = Activity("", "plain", str, int)

        @self.app.workflow
        async def many(ctx: WorkflowContext, count: int) -> int:
            return sum(await ctx.gather(*[ctx.call(plain, number) for number in range(count)]))

        @self.app.workflow
        async def misfit(ctx: WorkflowContext) -> str:
            try:
                await ctx.call(wrong, "no number")
            except ActivityFailed as failed:
                return failed.failure.message
            return "done"

        return many, misfit

    def with_traced(self) -> Workflow[None, None]:
        """Add what notes its trace."""

        @self.app.activity
        async def trace(*, delivery: Delivery) -> None:
            self.traces.append((of(delivery, "traceparent"), of(delivery, "dapr-task-id")))

        @self.app.workflow
        async def inner(ctx: WorkflowContext) -> None:
            await ctx.call(trace)

        @self.app.activity
        async def start_inner(*, client: Client) -> None:
            await (await client.start(inner)).result()

        @self.app.workflow
        async def outer(ctx: WorkflowContext) -> None:
            await ctx.call(trace)
            await ctx.start(inner)
            await ctx.call(start_inner)

        return outer


def of(delivery: Delivery, name: str) -> str:
    """Return a header."""
    return dict(delivery.headers).get(name, "")


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar that listens for gRPC."""
    async with grpc_sidecar(tmp_path, {}) as made:
        yield made


@pytest.fixture
async def stage(sidecar: GrpcSidecar) -> AsyncIterator[Stage]:
    """The app, with work coming."""
    made = Stage(sidecar.port)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(made.app.lifespan())
        await stack.enter_async_context(asyncio.timeout(WITHIN))
        await made.app.works()
        yield made


@pytest.mark.parametrize("name", ODD)
async def test_whatever_it_does_an_activity_is_answered(stage: Stage, name: str) -> None:
    """What cannot be passed on fails the activity, and others go on."""
    result = await (await stage.app.client.start(stage.flow, name)).result()
    assert result
    assert (result == "done") == (name in {"number", "nan"})
    assert await (await stage.app.client.start(stage.many, 2)).result() == 1


@pytest.mark.row("FA-35")
async def test_a_status_that_cannot_be_sent_fails_the_workflow(stage: Stage) -> None:
    """A turn that no message holds ends its workflow, and says why."""
    with pytest.raises(WorkflowFailed, match="UnicodeEncodeError"):
        await (await stage.app.client.start(stage.label)).result()


async def test_an_input_that_does_not_fit_fails_the_activity(stage: Stage) -> None:
    """The failure names the activity and holds no part of the input."""
    text = await (await stage.app.client.start(stage.misfit)).result()
    assert "the input of activity 'plain'" in text
    assert "no number" not in text


async def test_plain_functions_have_their_threads(stage: Stage) -> None:
    """However many plain activities are due, no more run at once than there are threads."""
    run = await stage.app.client.start(stage.many, 100)
    assert await run.result() == sum(range(100))
    assert stage.most == THREADS


async def test_a_trace_goes_all_the_way(stage: Stage) -> None:
    """From who starts it through children and activities to what activities start."""
    with trace_context(PARENT):
        run = await stage.app.client.start(stage.outer)
    await run.result()
    assert [each.split("-")[1] for each, _ in stage.traces] == [PARENT.split("-")[1]] * 3
    assert {number for _, number in stage.traces} == {"1"}
