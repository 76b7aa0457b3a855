"""Random turns against a model: whatever fails, the store holds what good turns left."""

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daprflow import Actor, ActorError, Client, DaprFlow
from daprflow.protocol.http import HttpRequest, HttpResponse
from tests.helpers.actor_stage import ActorSidecar, ActorStage, hosting

IDS = ("ann", "bob")
RANDOM_TURNS = int(os.environ.get("DAPRFLOW_RANDOM_TURNS", "2000"))
BROKEN = HttpResponse(500, (), b'{"errorCode":"ERR_ACTOR_STATE_TRANSACTION_SAVE","message":"no"}')


class Log(msgspec.Struct):
    entries: list[int] = []
    meta: dict[str, list[int]] = {}


class LogActor(Actor[Log]):
    def __init__(self, client: Client) -> None:
        self.client = client

    async def add(self, value: int) -> None:
        self.state.entries.append(value)
        self.state.meta.setdefault("nested", []).append(value)
        await asyncio.sleep(0)

    async def fail(self, value: int) -> None:
        await self.add(value)
        raise ValueError("after a change")

    async def replace_and_fail(self, value: int) -> None:
        self.state = Log([value])
        raise ValueError("after a new state")

    async def hang(self, value: int) -> None:
        await self.add(value)
        await asyncio.get_running_loop().create_future()

    async def time_out(self, value: int) -> None:
        await self.add(value)
        async with asyncio.timeout(0):
            await asyncio.get_running_loop().create_future()

    async def through(self, value: int, how: str) -> None:
        """Change the state, and again in a call that comes back by another actor."""
        await self.add(value)
        other = IDS[1 - IDS.index(self.id)]
        try:
            await self.client.actor(LogActor, other).back(self.id, value, how)
        except ActorError:
            if how != "caught":
                raise
        await self.add(value + 1)

    async def back(self, origin: str, value: int, how: str) -> None:
        actor = self.client.actor(LogActor, origin)
        await (actor.add(-value) if how == "good" else actor.fail(-value))

    async def show(self) -> list[int]:
        return self.state.entries


def is_save(request: HttpRequest) -> bool:
    """Whether a call saves the state."""
    return request.method == "PUT" and request.target.endswith("/state")


class World:
    """An app, its sidecar, and what the store should hold."""

    def __init__(self) -> None:
        self.sidecar = ActorSidecar(with_ids=True)
        self.model: dict[str, list[int]] = {name: [] for name in IDS}
        self._stack = AsyncExitStack()
        self._stage: ActorStage | None = None

    async def start(self) -> None:
        """Start the app on what is stored."""
        app = DaprFlow("log")
        app.actor(reentrant=True)(LogActor)
        self._stage = await self._stack.enter_async_context(hosting(app, self.sidecar))

    async def stop(self) -> None:
        """Stop the app."""
        await self._stack.aclose()

    def actor(self, name: str) -> LogActor:
        """A proxy."""
        assert self._stage is not None
        return self._stage.client.actor(LogActor, name)

    async def restart(self) -> None:
        """Stop the app and start another one."""
        await self.stop()
        await self.start()

    async def good(self, name: str, value: int) -> None:
        """A turn that succeeds."""
        await self.actor(name).add(value)
        self.model[name].append(value)

    async def bad(self, name: str, value: int, method: str) -> None:
        """A turn that changes the state and raises."""
        await refused(getattr(self.actor(name), method)(value))

    async def unsaved(self, name: str, value: int) -> None:
        """A turn whose state the store refuses."""
        self.sidecar.refuse = lambda request: BROKEN if is_save(request) else None
        await refused(self.actor(name).add(value))
        self.sidecar.refuse = lambda _: None

    async def unheard(self, name: str, value: int) -> None:
        """A turn whose state is saved and nobody hears of it: the store decides."""
        self.sidecar.lose = is_save
        await refused(self.actor(name).add(value))
        self.sidecar.lose = lambda _: False
        self.model[name].append(value)

    async def cancelled(self, name: str, value: int, rounds: int) -> None:
        """A turn whose caller is gone at any moment before it ends."""
        turn = asyncio.ensure_future(self.actor(name).hang(value))
        for _ in range(rounds):
            await asyncio.sleep(0)
        turn.cancel()
        await asyncio.wait({turn})

    async def reentered(self, name: str, value: int, how: str) -> None:
        """A turn into which a call comes back, which succeeds, fails, or fails and is caught."""
        turn = self.actor(name).through(value, how)
        if how == "bad":
            await refused(turn)
            return
        await turn
        inner = [-value] if how == "good" else []
        self.model[name] += [value, *inner, value + 1]

    async def deactivate(self, name: str) -> None:
        """The end of an actor's time in memory."""
        await self.sidecar.deactivate("LogActor", name)

    async def together(self, name: str, values: list[int]) -> None:
        """Turns at once, every other of which fails: the good ones are done in order."""
        actor = self.actor(name)
        turns = [actor.fail(each) if each % 2 else actor.add(each) for each in values]
        await asyncio.gather(*turns, return_exceptions=True)
        self.model[name] += [each for each in values if not each % 2]

    def check(self) -> None:
        """Compare the store with the model."""
        for name, entries in self.model.items():
            stored = self.sidecar.value("LogActor", name)
            assert stored is None if not entries else stored["entries"] == entries
            assert not entries or stored["meta"]["nested"] == entries


async def refused(turn: Awaitable[object]) -> None:
    """Await a turn that has to fail."""
    try:
        await turn
    except ActorError:
        return
    raise AssertionError("the turn succeeded")


class Turns(RuleBasedStateMachine):
    """Any order of turns, failures, restarts and deactivations."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self.world = World()
        self._run(self.world.start())

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        self._runner.run(step)

    @rule(name=st.sampled_from(IDS), value=st.integers(0, 99))
    def good(self, name: str, value: int) -> None:
        self._run(self.world.good(name, value))

    @rule(
        name=st.sampled_from(IDS),
        value=st.integers(0, 99),
        method=st.sampled_from(["fail", "replace_and_fail", "time_out"]),
    )
    def bad(self, name: str, value: int, method: str) -> None:
        self._run(self.world.bad(name, value, method))

    @rule(name=st.sampled_from(IDS), value=st.integers(0, 99))
    def unsaved(self, name: str, value: int) -> None:
        self._run(self.world.unsaved(name, value))

    @rule(name=st.sampled_from(IDS), value=st.integers(0, 99))
    def unheard(self, name: str, value: int) -> None:
        self._run(self.world.unheard(name, value))

    @rule(name=st.sampled_from(IDS), value=st.integers(0, 99), rounds=st.integers(0, 12))
    def cancelled(self, name: str, value: int, rounds: int) -> None:
        self._run(self.world.cancelled(name, value, rounds))

    @rule(
        name=st.sampled_from(IDS),
        value=st.integers(0, 99),
        how=st.sampled_from(["good", "bad", "caught"]),
    )
    def reentered(self, name: str, value: int, how: str) -> None:
        self._run(self.world.reentered(name, value, how))

    @rule(name=st.sampled_from(IDS), values=st.lists(st.integers(0, 99), max_size=6))
    def together(self, name: str, values: list[int]) -> None:
        self._run(self.world.together(name, values))

    @rule(name=st.sampled_from(IDS))
    def deactivate(self, name: str) -> None:
        self._run(self.world.deactivate(name))

    @rule()
    def restart(self) -> None:
        self._run(self.world.restart())

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self._run(self.world.stop())
        self._runner.close()


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


@pytest.mark.row("FA-28")
@pytest.mark.timeout(120 + RANDOM_TURNS / 100)
async def test_no_random_turn_leaks(caplog: pytest.LogCaptureFixture) -> None:
    """FA-28, G4: of thousands of random turns, most of which fail, not one leaves a change behind.

    ``DAPRFLOW_RANDOM_TURNS`` says how many there are.
    """
    caplog.set_level(logging.CRITICAL, logger="daprflow.actors.answering")  # thousands are expected
    world, chance = World(), random.Random(20261121)  # noqa: S311 - no secret
    steps: list[Callable[[str, int], Coroutine[Any, Any, None]]] = [
        world.good,
        world.unsaved,
        world.unheard,
        *(lambda name, value, how=how: world.bad(name, value, how) for how in ("fail", "time_out")),
        lambda name, value: world.bad(name, value, "replace_and_fail"),
        lambda name, value: world.cancelled(name, value, value % 12),
        *(
            lambda name, value, how=how: world.reentered(name, value, how)
            for how in ("good", "bad")
        ),
        lambda name, value: world.reentered(name, value, "caught"),
        lambda name, value: world.together(name, [value, value + 1, value + 2]),
    ]
    await world.start()
    try:
        for turn in range(RANDOM_TURNS):
            await chance.choice(steps)(chance.choice(IDS), chance.randrange(100))
            if turn % 50 == 0:
                await world.deactivate(chance.choice(IDS))
            if turn % 200 == 0:
                await shorten(world)
            world.check()
    finally:
        await world.stop()


async def shorten(world: World) -> None:
    """Begin with empty states again, so that a long run stays fast."""
    await world.restart()
    world.sidecar.store.clear()
    world.sidecar.requests.clear()
    world.model = {name: [] for name in IDS}
