"""Actors of an app: in one process with its sidecar, over sockets, and beside a real runtime."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from daprflow import ActorError, Client
from daprflow.settings import Settings
from daprflow.testing import TestSidecar
from tests.helpers.actor_app import LedgerActor, PlainActor, app
from tests.helpers.cli_run import Run
from tests.helpers.real_runtime import home_of, services

TOKEN = "token-of-this-test"
APP = Path(__file__).parents[1] / "helpers" / "actor_app.py"
NAMES = ("ann", "a|b", "a b.c", "ñ→", "a/b", "x?y#z", "100%", "..")


@dataclass(frozen=True, slots=True)
class Hosted:
    """A running app: how it is called, and how time passes.

    Attributes:
        frees_the_turn: whether an actor can be called again after a call that went too deep; the
            real runtime 1.18.3 holds its turn for ever.
    """

    client: Client
    wait: Callable[[float], Awaitable[None]]
    frees_the_turn: bool = True

    def ledger(self, name: str) -> LedgerActor:
        """An actor."""
        return self.client.actor(LedgerActor, name)


async def in_process(_: pytest.FixtureRequest, __: Path) -> AsyncIterator[Hosted]:
    """The app in this process, on a clock that is moved."""
    async with TestSidecar(app) as dapr:

        async def wait(seconds: float) -> None:
            await dapr.advance(timedelta(seconds=seconds))

        yield Hosted(dapr.client, wait)


async def over_sockets(_: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Hosted]:
    """The app and its sidecar as processes of ``daprflow run``."""
    with Run(folder, "run", str(APP), "--sidecar", "embedded", "--ephemeral") as run:
        run.ready()
        settings = Settings(http_endpoint=f"http://127.0.0.1:{run.port('HTTP')}")
        async with Client(settings) as client:
            yield Hosted(client, asyncio.sleep)


async def on_the_real_runtime(
    request: pytest.FixtureRequest, folder: Path
) -> AsyncIterator[Hosted]:
    """The app beside a real runtime, where ``--dapr-runtime`` names one."""
    home = home_of(request.config)
    with services(home, folder) as beside:
        words = ("run", str(APP), "--sidecar", "daprd", *beside.flags)
        env = {"DAPR_RUNTIME_PATH": str(home), "DAPR_API_TOKEN": TOKEN}
        with Run(folder, *words, env=env) as run:
            run.ready()
            address = f"http://127.0.0.1:{run.port('HTTP')}"
            async with Client(Settings(http_endpoint=address, api_token=TOKEN)) as client:
                yield Hosted(client, asyncio.sleep, frees_the_turn=False)


@pytest.fixture(
    params=[
        in_process,
        pytest.param(over_sockets, marks=pytest.mark.sockets),
        pytest.param(on_the_real_runtime, marks=pytest.mark.sockets),
    ],
    ids=["in process", "sockets", "real runtime"],
)
async def hosted(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hosted]:
    """The app behind a sidecar."""
    async for each in request.param(request, tmp_path):
        yield each


async def test_turns(hosted: Hosted) -> None:
    """Calls of any id are turns: kept when they succeed, without a trace when they fail."""
    for name in NAMES:
        ledger = hosted.ledger(name)
        assert await ledger.add("one") == ["one"]
        with pytest.raises(ActorError) as caught:
            await ledger.fail("two")
        assert (caught.value.type, caught.value.message) == ("ValueError", "not two")
        assert await ledger.add("three") == ["one", "three"]
    await hosted.wait(0.1)
    assert await hosted.ledger("ann").show() == ["one", "three"]


@pytest.mark.row("I-AC")
async def test_one_turn_at_a_time(hosted: Hosted) -> None:
    """Many calls at once of one actor are done one after the other, and none is lost."""
    texts = [str(number) for number in range(40)]
    await asyncio.gather(*(hosted.ledger("busy").overlap(text) for text in texts))
    assert sorted(await hosted.ledger("busy").show(), key=int) == texts


@pytest.mark.row("FA-26", "I-AC")
async def test_calls_come_back(hosted: Hosted) -> None:
    """FA-26: calls come back into their turn, but not deeper than is allowed, without a trace."""
    deep = hosted.ledger("deep")
    assert await deep.chain(3) == 3
    assert await deep.show() == ["depth 3", "depth 2", "depth 1", "depth 0"]
    deeper = hosted.ledger("deeper")
    with pytest.raises(ActorError, match="maximum stack depth exceeded"):
        await deeper.chain(6)
    if hosted.frees_the_turn:
        assert await deeper.show() == []
    assert await hosted.ledger("inner").caught() == ["before", "ValueError"]


@pytest.mark.row("FA-25", "I-AC")
async def test_a_cycle_is_told(hosted: Hosted) -> None:
    """FA-25: an actor that would wait for itself is told so at once."""
    with pytest.raises(ActorError, match="would wait for itself"):
        await hosted.client.actor(PlainActor, "x").call_myself()


async def test_reminders_and_timers_come(hosted: Hosted) -> None:
    """Reminders end themselves, timers come as often as was asked, both under any name."""
    reminded, timed, named = (hosted.ledger(each) for each in ("reminded", "timed", "named"))
    await reminded.plan(2)
    await timed.plan_timer("t/1 |ñ")
    await named.named("r/1 |ñ")
    await hosted.wait(5)
    assert await reminded.show() == ["planned", "tick last 2", "tick last 2"]
    assert await timed.show() == ["tick t/1 |ñ"] * 3
    assert await named.show() == ["tick r/1 |ñ"]


SCHEDULED = {
    "stopped timer": ["tick last 1"] * 2,
    "counted": ["tick counted"] * 3,
    "ended": ["tick ended"] * 3,
    "at a time": ["tick at a time"],
    "kept": ["tick kept"],
    "removed": [],
    "tried again": ["try 3 with 1 {'a': [2, None]}"],
}


async def test_schedules(hosted: Hosted) -> None:
    """Reminders and timers come as often as was asked for, and a failed tick is tried again."""
    for kind in SCHEDULED:
        await hosted.ledger(kind).schedule(kind)
    await hosted.ledger("kept").schedule("not replaced")
    await hosted.ledger("removed").schedule("removal")
    await hosted.wait(5)
    assert {kind: await hosted.ledger(kind).show() for kind in SCHEDULED} == SCHEDULED


async def test_a_part_that_expires(hosted: Hosted) -> None:
    """What has a time to live is gone after it, and nothing else is."""
    ann = hosted.ledger("visitor")
    await ann.add("one")
    await ann.enter("ann")
    assert await ann.entered() == "ann"
    await hosted.wait(3)
    assert (await ann.entered(), await ann.show()) == ("", ["one"])


async def test_what_nobody_hosts(hosted: Hosted) -> None:
    """An undeclared method is told at once, by name; a private one is as unknown as any."""
    for method in ("nothing", "_private", "state", "on_activate"):
        with pytest.raises(ActorError) as caught:
            await hosted.client.actor("LedgerActor", "ann").invoke(method)
        assert caught.value.code == "ERR_ACTOR_INVOKE_METHOD"
