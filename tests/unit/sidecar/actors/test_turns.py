"""Turns: one at a time, in order; who gives up, who comes back, who is cut off."""

import asyncio
from collections.abc import Coroutine
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daprflow.sidecar.actors.turns import Halted, StackTooDeep, TurnCut, TurnLock


class Actor:
    """An actor whose calls are noted."""

    def __init__(self, limit: int | None = None) -> None:
        self.lock = TurnLock(limit)
        self.log: list[str] = []
        self.gate = asyncio.Event()

    def call(self, name: str, turn: str = "", *, wait: bool = False) -> "asyncio.Task[str]":
        """Begin a call; one that waits ends with the gate."""
        return asyncio.create_task(self.lock.run(turn, lambda: self._work(name, wait=wait)))

    async def _work(self, name: str, *, wait: bool) -> str:
        self.log.append(f"{name} begins")
        if wait:
            await self.gate.wait()
        self.log.append(f"{name} ends")
        return name


async def rest() -> None:
    """Let everything go on that can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.row("I-AC")
async def test_turns_come_one_by_one_in_order() -> None:
    """The second call begins when the first has ended, the third after the second."""
    actor = Actor()
    calls = [actor.call("a", wait=True), actor.call("b"), actor.call("c")]
    await rest()
    assert actor.log == ["a begins"]
    actor.gate.set()
    assert await asyncio.gather(*calls) == ["a", "b", "c"]
    assert actor.log == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]


async def test_a_waiter_that_gives_up_lets_nobody_in_early() -> None:
    """When a call in the queue gives up, no other one runs beside the turn under way."""
    actor = Actor()
    first, second, third = actor.call("a", wait=True), actor.call("b"), actor.call("c")
    await rest()
    third_to_last = actor.call("d")
    await rest()
    second.cancel()
    third.cancel()
    await rest()
    assert actor.log == ["a begins"]
    actor.gate.set()
    await first
    assert await third_to_last == "d"
    assert actor.log == ["a begins", "a ends", "d begins", "d ends"]


async def test_a_waiter_that_gives_up_as_its_turn_comes_passes_it_on() -> None:
    """A call that is cancelled in the moment of its turn leaves the turn to the next one."""
    actor = Actor()
    first, second, third = actor.call("a", wait=True), actor.call("b"), actor.call("c")
    await rest()
    actor.gate.set()
    first.add_done_callback(lambda _: second.cancel())
    await asyncio.wait({first, second, third})
    assert third.result() == "c"


async def test_a_call_comes_back_to_its_own_turn() -> None:
    """With reentrancy, a call with the id of the turn under way joins it; others wait."""
    actor = Actor(limit=2)
    outer = actor.call("outer", "t1", wait=True)
    await rest()
    other, inner = actor.call("other", "t2"), actor.call("inner", "t1")
    await rest()
    assert actor.log == ["outer begins", "inner begins", "inner ends"]
    actor.gate.set()
    await asyncio.gather(outer, other, inner)
    assert actor.log[-2:] == ["other begins", "other ends"]


@pytest.mark.row("I-AC")
async def test_without_reentrancy_ids_mean_nothing() -> None:
    """A call with the id of the turn under way waits like any other."""
    actor = Actor()
    outer, inner = actor.call("outer", "t", wait=True), actor.call("inner", "t")
    await rest()
    assert actor.log == ["outer begins"]
    actor.gate.set()
    await asyncio.gather(outer, inner)


@pytest.mark.row("I-AC")
async def test_a_turn_has_a_depth() -> None:
    """One call more than allowed is refused, and the actor goes on all the same."""
    actor = Actor(limit=2)
    calls = [actor.call("a", "t", wait=True), actor.call("b", "t", wait=True)]
    await rest()
    with pytest.raises(StackTooDeep):
        await actor.call("c", "t")
    actor.gate.set()
    assert await asyncio.gather(*calls) == ["a", "b"]
    assert await actor.call("d") == "d"


async def test_a_halted_actor_refuses_who_waits() -> None:
    """What is under way ends as it would; what waits, or comes later, is refused."""
    actor = Actor()
    first, second = actor.call("a", wait=True), actor.call("b")
    await rest()
    actor.lock.halt()
    for call in (second, actor.call("c")):
        with pytest.raises(Halted):
            await call
    ended = asyncio.create_task(actor.lock.ended())
    await rest()
    assert not ended.done()
    actor.gate.set()
    assert await first == "a"
    await ended
    assert not actor.lock.busy


async def test_a_turn_whose_time_has_come_is_refused_when_the_actor_leaves() -> None:
    """A waiter that was let in, but has not begun, does not begin after a halt."""
    actor = Actor()
    first, second = actor.call("a", wait=True), actor.call("b")
    await rest()
    actor.gate.set()
    first.add_done_callback(lambda _: actor.lock.halt())
    await asyncio.wait({first, second})
    assert isinstance(second.exception(), Halted | None)
    assert actor.log[:2] == ["a begins", "a ends"]


@pytest.mark.parametrize("leaving", [True, False])
async def test_a_cut_turn_says_why(*, leaving: bool) -> None:
    """A call that is cut fails with the reason; its work is cancelled, its caller is not."""
    actor = Actor()
    call = actor.call("a", wait=True)
    await rest()
    actor.lock.halt()
    actor.lock.cut(TurnCut(leaving=leaving))
    with pytest.raises(TurnCut, match="context canceled") as raised:
        await call
    assert raised.value.leaving is leaving
    assert actor.log == ["a begins"]


async def test_a_caller_that_leaves_ends_its_turn() -> None:
    """The work of a cancelled call is cancelled, and the next turn begins."""
    actor = Actor()
    first, second = actor.call("a", wait=True), actor.call("b")
    await rest()
    first.cancel()
    assert await second == "b"
    assert first.cancelled()
    assert actor.log == ["a begins", "b begins", "b ends"]


@pytest.mark.row("I-AC")
async def test_thousands_of_waiters_leave_nothing_behind() -> None:
    """After 5,000 calls, half of them given up, nothing waits and nothing runs."""
    lock, count = TurnLock(None), 0

    async def work() -> None:
        nonlocal count
        count += 1
        await asyncio.sleep(0)

    def make() -> Coroutine[object, object, None]:
        return work()

    calls = [asyncio.create_task(lock.run("", make)) for _ in range(5000)]
    await asyncio.sleep(0)
    for call in calls[1::2]:
        call.cancel()
    await asyncio.wait(calls)
    assert count == 2500
    assert not lock.busy
    await lock.run("", make)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 4)), min_size=1, max_size=25
    ),
    st.one_of(st.none(), st.integers(0, 20)),
)
@settings(deadline=None, max_examples=60)
def test_no_two_turns_overlap(calls: list[tuple[int, bool, int]], halted_after: int | None) -> None:
    """Whatever calls come, give up, or are halted in between: one turn at a time, and all end."""
    asyncio.run(exercised(calls, halted_after))


async def exercised(calls: list[tuple[int, bool, int]], halted_after: int | None) -> None:
    """Make calls: how long each takes, whether it gives up, and when the next one comes."""
    lock, running, most = TurnLock(None), 0, 0

    async def work(length: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            for _ in range(length):
                await asyncio.sleep(0)
        finally:
            running -= 1

    made = []
    for number, (length, leaves, pause) in enumerate(calls):
        if number == halted_after:
            lock.halt()
        call = asyncio.create_task(lock.run("", partial(work, length)))
        made.append(call)
        for _ in range(pause):
            await asyncio.sleep(0)
        if leaves:
            call.cancel()
    done, pending = await asyncio.wait(made, timeout=5)
    assert not pending
    assert most <= 1
    assert running == 0
    assert not lock.busy
    errors = [call.exception() for call in done if not call.cancelled()]
    assert all(error is None or isinstance(error, Halted) for error in errors)
    if halted_after is None or halted_after >= len(calls):
        await lock.run("", partial(work, 1))
